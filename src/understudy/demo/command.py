"""``understudy demo``."""

from __future__ import annotations

import shutil
import sys
import textwrap
from contextlib import suppress
from pathlib import Path

import click

from understudy.adapters.clock.system import SystemClock
from understudy.cli.exit_codes import ExitCode
from understudy.cli.printing import print_json
from understudy.demo.kept import end_kept_demo
from understudy.demo.report import joining, outcome_as_json, print_kept, print_outcome, print_verifying, verifying
from understudy.demo.stage import Tell
from understudy.demo.story import Demo
from understudy.vocabulary.errors import UnderstudyError

_INDENT = " " * 10


@click.command(
    epilog="""\b
Examples:
  understudy demo                  synchronous: no acknowledged commit is lost
  understudy demo --asynchronous   faster commits, and what they really cost
  understudy demo --keep           leaves everything running to try commands

Exit codes: 0 every objective was met, 1 one was missed or something failed, 130 interrupted. What it started ends with it, and
all of it but the evidence is removed; --keep leaves it until --end.
"""
)
@click.option("--asynchronous", is_flag=True, help="Commits do not wait for the WAL receiver.")
@click.option("--keep", is_flag=True, help="Leave it running, and say how to use and how to end it.")
@click.option("--end", "to_end", type=click.Path(path_type=Path), metavar="DIR", help="End a demo that was kept running.")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object.")
def demo(asynchronous: bool, keep: bool, to_end: Path | None, as_json: bool) -> None:
    """Start a real little stack, destroy its database under load, then everything, recover it, and show what was lost.

    Three acts: the database is destroyed; a table is dropped by mistake; the whole host is lost, and adopt makes a new one of a
    repository and the recovery kit.
    """
    if to_end is not None:
        end_kept_demo(to_end)
        return
    tell = _teller()
    with Demo(synchronous=not asynchronous, tell=tell) as played:
        try:
            outcome = played.play()
        except UnderstudyError:
            if keep and played.can_be_kept:
                played.keep()
                print_kept(played.home)
            raise
        if keep:
            played.go_on()
            played.keep()
        else:
            tell("stopping and cleaning up")
    if as_json:
        print_json(
            outcome_as_json(outcome, played.home if keep else None, [joining(played.home)] if keep else verifying(outcome))
        )
    else:
        print_outcome(outcome)
        if keep:
            print_kept(played.home, outcome)
        else:
            print_verifying(outcome)
    sys.exit(ExitCode.DONE if outcome.objectives_met else ExitCode.FAILED)


def _teller() -> Tell:
    """Tells on standard error how the play goes, each line with its second, folded to the width of a terminal."""
    clock = SystemClock()
    began = clock.monotonic_seconds()

    def tell(text: str) -> None:
        line = f"{clock.monotonic_seconds() - began:6.1f} s  {text}"
        if sys.stderr.isatty():
            columns = shutil.get_terminal_size().columns
            line = textwrap.fill(line, max(columns, 40), subsequent_indent=_INDENT, break_long_words=False)
        with suppress(OSError):  # the terminal was closed: cleaning up goes on
            click.echo(line, err=True)

    return tell
