"""``evidence verify`` and ``evidence export``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from understudy.cli.exit_codes import ExitCode
from understudy.cli.options import json_option, opened, stack_options
from understudy.cli.printing import print_json
from understudy.vocabulary.identifiers import RunId


@click.group()
def evidence() -> None:
    """Verify or export the chain of evidence."""


@evidence.command(
    epilog="""\b
Examples:
  understudy evidence verify                 the whole chain of this control plane
  understudy evidence verify drill.json      a file that was exported
"""
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@stack_options
@json_option
def verify(file: Path | None, stack_file: Path, state: Path | None, as_json: bool) -> None:
    """Find records that were edited, removed, reordered or cut off."""
    from understudy.app.proving import verify_evidence

    verdict = verify_evidence(opened(stack_file, state), file)
    if as_json:
        print_json(verdict)
    elif verdict.findings:
        for finding in verdict.findings:
            place = f"link {finding.sequence}" if finding.sequence is not None else "head"
            click.echo(f"{finding.fault.value} at {place}: {finding.found}")
    else:
        click.echo(f"{verdict.subject}: {verdict.links} links, all as they were signed")
    sys.exit(ExitCode.FAILED if verdict.findings else ExitCode.DONE)


@evidence.command(
    epilog="""\b
Examples:
  understudy evidence export 20261124-031059-56e991 --to drill.json
  understudy evidence export --to everything.json
"""
)
@click.argument("run", required=False)
@click.option("--to", "file", required=True, type=click.Path(path_type=Path), help="The file to write.")
@stack_options
def export(run: str | None, file: Path, stack_file: Path, state: Path | None) -> None:
    """Write the evidence of RUN, or of everything, as one JSON file that can be verified elsewhere."""
    from understudy.app.proving import export_evidence

    export_evidence(opened(stack_file, state), RunId(run) if run else None, file)
    click.echo(f"written to {file}")
