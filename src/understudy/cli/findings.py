"""``findings add``, ``findings list`` and ``findings close``."""

from __future__ import annotations

import getpass
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from understudy.cli.exit_codes import ExitCode
from understudy.cli.options import json_option, looked_at, opened_with_runs, stack_options
from understudy.cli.printing import moment, print_json, say, table
from understudy.cli.recovering import SCENARIOS
from understudy.vocabulary.identifiers import Person, RunId

if TYPE_CHECKING:
    from collections.abc import Sequence

    from understudy.judge.findings import FindingState
    from understudy.records.findings import FindingRecord
    from understudy.vocabulary.json import JsonObject


@click.group()
def findings() -> None:
    """What drills and recoveries found wanting: who sees to it, until when, and the run that tested it again.

    Findings stand in the chain of evidence: none is edited or taken away unseen.
    """


def _day(_context: click.Context, _parameter: click.Parameter, value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r}; expected a day such as 2026-12-31") from None


@findings.command(
    epilog="""\b
Examples:
  understudy findings add "Nobody knew the way" --owner ops --due 2026-12-31
  understudy findings add "It took too long" --owner ops --due 2026-12-31 \\
      --run 20261124-031059-56e991

Exit codes: 0 written, 2 usage, or the run is not known, 5 refused.
"""
)
@click.argument("text")
@click.option("--owner", required=True, metavar="WHO", help="Who sees to it.")
@click.option("--due", required=True, metavar="DAY", callback=_day, help="Until when, as 2026-12-31 (UTC).")
@click.option("--run", metavar="RUN", help="The run in which it was found; its scenario is what must be tested again.")
@click.option(
    "--scenario", type=click.Choice(SCENARIOS), metavar="SCENARIO", help="What must be tested again, where no run says it."
)
@stack_options
@json_option
def add(
    text: str, owner: str, due: date, run: str | None, scenario: str | None, stack_file: Path, state: Path | None, as_json: bool
) -> None:
    """Open a finding: TEXT says what is wanting."""
    from understudy.app.findings import add_finding
    from understudy.stack.models import Scenario

    installation = opened_with_runs(stack_file, state)
    wanted = None if scenario is None else Scenario(scenario)
    by = Person(getpass.getuser())
    found = add_finding(installation, text, owner, due, by, RunId(run) if run else None, wanted)
    if as_json:
        print_json(found)
        return
    say(f"{found.finding} is open: {found.owner} sees to it until {found.due}")


@findings.command(
    "list",
    epilog="""\b
Examples:
  understudy findings list
  understudy findings list --all --json

Exit codes: 0 nothing is overdue, 1 a finding is.
""",
)
@click.option("--all", "everything", is_flag=True, help="Closed ones, too.")
@stack_options
@json_option
def list_findings(everything: bool, stack_file: Path, state: Path | None, as_json: bool) -> None:
    """List the findings that are open, the one that is due first at the top."""
    from understudy.app.findings import states_of
    from understudy.judge.findings import FindingState

    installation = looked_at(stack_file, state)
    there = (installation.state / "state.db").exists()
    found = installation.past.findings.all() if there else ()
    shown = tuple(sorted((each for each in found if everything or each.closing is None), key=lambda each: each.due))
    states = states_of(installation, shown)
    if as_json:
        print_json({"findings": [_told(each, state) for each, state in zip(shown, states, strict=True)]})
    elif not shown:
        say("no finding" if everything else "no finding is open")
    else:
        _print(shown, states)
    sys.exit(ExitCode.FAILED if FindingState.OVERDUE in states else ExitCode.DONE)


def _told(finding: FindingRecord, state: FindingState) -> JsonObject:
    from typing import cast

    from understudy.vocabulary.json_form import to_json

    return {**cast("JsonObject", to_json(finding)), "state": state.value}


def _print(shown: Sequence[FindingRecord], states: Sequence[FindingState]) -> None:
    rows = [
        (each.finding, state.value, each.due.isoformat(), each.owner, each.scenario or "-", each.run or "-", _what(each))
        for each, state in zip(shown, states, strict=True)
    ]
    table(("FINDING", "STATE", "DUE", "OWNER", "RETEST", "FOUND IN", "WHAT"), rows, shed=("FOUND IN", "RETEST"), fold="WHAT")


def _what(finding: FindingRecord) -> str:
    closing = finding.closing
    if closing is None:
        return finding.text
    how = f"by retest {closing.retest}" if closing.retest is not None else f"without a retest: {closing.reason}"
    return f"{finding.text} (closed by {closing.by} at {moment(closing.at)}, {how})"


@findings.command(
    epilog="""\b
Examples:
  understudy findings close finding-0001 --retest 20261201-031059-56e991
  understudy findings close finding-0002 --reason "the bucket is gone"

Exit codes: 0 closed, 2 usage, or no such finding or run, 5 refused: the run is no retest, or it is closed already.
"""
)
@click.argument("finding")
@click.option("--retest", metavar="RUN", help="The later drill or recovery of the same scenario that passed.")
@click.option("--reason", metavar="TEXT", default="", help="Why it may be closed; without a retest it is needed.")
@stack_options
@json_option
def close(finding: str, retest: str | None, reason: str, stack_file: Path, state: Path | None, as_json: bool) -> None:
    """Close FINDING, with the run that tested it again, or with a reason."""
    from understudy.app.findings import close_finding

    if retest is None and not reason.strip():
        raise click.UsageError("expected --retest RUN, or --reason TEXT where there is none")
    installation = opened_with_runs(stack_file, state)
    closed = close_finding(installation, finding, Person(getpass.getuser()), RunId(retest) if retest else None, reason)
    if as_json:
        print_json(closed)
        return
    say(f"{closed.finding} is closed")
