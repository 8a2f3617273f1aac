"""``readiness``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from understudy import __version__
from understudy.cli.documents import paper_option, require_form
from understudy.cli.exit_codes import ExitCode
from understudy.cli.options import json_option, opened_with_runs, stack_options
from understudy.cli.printing import moment, print_json, say, words


@click.command(
    epilog="""\b
Examples:
  understudy readiness
  understudy readiness --json
  understudy readiness --to readiness.html

Exit codes: 0 every line is met, or of what this version does not do; 1 a line is
not met or unknown; 2 the stack file is wrong, or nothing is recorded yet.
"""
)
@paper_option("checklist", otherwise="the terminal")
@stack_options
@json_option
def readiness(file: Path | None, stack_file: Path, state: Path | None, as_json: bool) -> None:
    """Tick off what a disaster needs: high availability, backups, monitoring, alerting, drills, deployment, security.

    Each tick is a measurement, with the run whose evidence says so; what was never measured is unknown, and unknown is not met.
    From the records alone: no server and no store is asked.
    """
    from understudy.app.papers import write_paper
    from understudy.app.readiness import readiness as look
    from understudy.documents.readiness_paper import readiness_paper
    from understudy.judge.readiness import is_ready

    require_form(file)
    installation = opened_with_runs(stack_file, state)
    lines = look(installation)
    ready = is_ready(lines)
    if file is not None:
        paper = readiness_paper(installation.stack.stack, lines, installation.clock.now(), __version__)
        write_paper(paper, file)
    if as_json:
        print_json({"ready": ready, "lines": lines, "file": file})
    elif file is not None:
        click.echo(f"written to {file}")
    else:
        area = None
        for line in lines:
            if line.area is not area:
                area = line.area
                click.echo(("" if line is lines[0] else "\n") + click.style(area.value, bold=True))
            about = f"{line.subject}: " if line.subject else ""
            shown = click.style(words(line.state.value).ljust(9), fg=_COLOURS.get(line.state.value))
            proof = ", ".join([*([line.run] if line.run else []), *([moment(line.at)] if line.at else [])])
            say(f"  {shown}  {about}{line.asks}: {line.found}{f' ({proof})' if proof else ''}", hang=13)
    sys.exit(ExitCode.DONE if ready else ExitCode.FAILED)


_COLOURS = {"met": "green", "not_met": "red", "unknown": "yellow"}
