"""What a play came to, as tables for people and as one JSON object for machines."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import click

from understudy.cli.printing import duration
from understudy.demo.played import Played
from understudy.documents.words import PHASE_NAMES
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.phases import Phase

_NAME_COLUMNS, _FIGURE_COLUMNS = 40, 10


def print_outcome(outcome: Played) -> None:
    measurement = _measurement(outcome.recovery)
    objectives = cast(JsonObject, cast(JsonObject, outcome.recovery["measured"])["objectives"])
    click.echo("\nRecovery time by phase")
    for phase, seconds in cast(Mapping[str, float], measurement["phases"]).items():
        _row(PHASE_NAMES[Phase(phase)], duration(seconds))
    objective = f"objective {duration(cast(float, objectives['rto']))}"
    took = cast("float | None", measurement["recovery_time"])
    _row("recovery time", duration(took), f"{objective}: {_met(measurement['verdict'] == 'met')}")
    for phase, seconds in cast(Mapping[str, float], measurement["afterwards"]).items():
        _row(f"{PHASE_NAMES[Phase(phase)]} (afterwards)", duration(seconds))
    _print_commits(outcome)
    click.echo("\nThe dropped table")
    back = cast("float | None", _measurement(outcome.point_in_time)["recovery_time"])
    _row("rows in the sandbox of the drill", f"{outcome.prices_back:,}", f"after {duration(back)}")
    _row("rows in the database again", f"{outcome.prices_live:,}", _met(outcome.prices_met))


def _print_commits(outcome: Played) -> None:
    """A synchronous promise is about commits, an asynchronous one about time."""
    click.echo("\nCommits")
    _row("acknowledged", f"{outcome.acknowledged:,}")
    _row("recovered", f"{outcome.recovered:,}")
    lost = f"{outcome.loss.commits:,}"
    if outcome.synchronous:
        _row("lost", lost, f"none may be: {_met(outcome.loss_met)}")
        return
    _row("lost", lost, "" if outcome.loss.commits else "none, this time")
    objective = f"objective {duration(outcome.loss_objective)}"
    _row("work lost, by the oldest of them", duration(outcome.loss.work), f"{objective}: {_met(outcome.loss_met)}")


def _row(name: str, figure: str, verdict: str = "") -> None:
    click.echo(f"  {name.ljust(_NAME_COLUMNS)}{figure.rjust(_FIGURE_COLUMNS)}  {verdict}".rstrip())


def print_verifying(outcome: Played, signer: str) -> None:
    """The last lines of a demo that is gone: its evidence, and what to do with it."""
    evidence = str(outcome.recovery["evidence"])
    click.echo(f"\nevidence: {evidence}")
    click.echo(f"report:   {outcome.page} (a page: open it in a browser)")
    click.echo(f"next:     {verifying(outcome, signer)}")


def print_kept(home: Path, outcome: Played | None = None) -> None:
    """The last lines of a demo that goes on."""
    if outcome is not None:
        click.echo(f"\nevidence: {outcome.recovery['evidence']}")
        click.echo(f"report:   {outcome.page} (a page: open it in a browser)")
    click.echo(f"kept:     {home}: the database, understudy serve and the S3 server run on")
    click.echo(f"end it:   {_program()} demo --end {home}")
    click.echo("next:     " + joining(home))
    click.echo("          and there: understudy check, backup shop, drill database_corruption, runs")


def joining(home: Path) -> str:
    return f". {home}/environment && understudy status"


def verifying(outcome: Played, signer: str) -> str:
    return f"{_program()} evidence verify {shlex.quote(str(outcome.recovery['evidence']))} --signer {signer}"


def _program() -> str:
    """As this process was called, so that the line can be pasted whether or not the program is on the PATH."""
    called = Path(sys.argv[0])
    if called.suffix:
        return f"{sys.executable} -m understudy"
    found = shutil.which(called.name)
    return called.name if found is not None and called.exists() and Path(found).samefile(called) else str(called)


def outcome_as_json(outcome: Played, kept_in: Path | None, next_command: str) -> JsonObject:
    measurement = _measurement(outcome.recovery)
    return {
        "synchronous": outcome.synchronous,
        "acknowledged": outcome.acknowledged,
        "recovered": outcome.recovered,
        "lost": outcome.loss.commits,
        "lost_work_seconds": outcome.loss.work.total_seconds(),
        "lost_work_objective_seconds": 0.0 if outcome.synchronous else outcome.loss_objective.total_seconds(),
        "server_processes_killed": outcome.processes_killed,
        "exposure_seconds_seen": max(outcome.exposure_seconds, default=None),
        "recovery_time_seconds": measurement["recovery_time"],
        "phases_seconds": measurement["phases"],
        "objective_met": outcome.objectives_met,
        "prices_back": outcome.prices_back,
        "prices_live": outcome.prices_live,
        "point_in_time_recovery_seconds": _measurement(outcome.point_in_time)["recovery_time"],
        "evidence": outcome.recovery["evidence"],
        "report": outcome.page,
        "kept_in": None if kept_in is None else str(kept_in),
        "next": next_command,
    }


def _measurement(answer: JsonObject) -> Mapping[str, Json]:
    return cast(JsonObject, cast(JsonObject, answer["measured"])["measurement"])


def _met(met: bool) -> str:
    return click.style("met", fg="green") if met else click.style("MISSED", fg="red")
