"""What a play came to, as tables for people and as one JSON object for machines."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import chain, repeat
from pathlib import Path
from typing import cast

import click

from understudy.cli.printing import duration
from understudy.demo.ledger import Compared
from understudy.demo.played import Played, rpo_of
from understudy.documents.words import PHASE_NAMES
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.phases import Phase

_NAME_COLUMNS, _FIGURE_COLUMNS, _HEADING_COLUMNS = 40, 10, 10


def print_outcome(outcome: Played) -> None:
    click.echo("\nRecovery time by phase")
    _print_phases(outcome.recovery)
    click.echo("\nCommits")
    _print_loss(outcome.commits, rpo_of(outcome.recovery), outcome.commits_met, nothing_may_be=outcome.synchronous)
    click.echo("\nThe dropped table")
    back = cast("float | None", _measurement(outcome.point_in_time)["recovery_time"])
    _row("rows in the sandbox of the drill", f"{outcome.prices_back:,}", f"after {duration(back)}")
    _row("rows in the database again", f"{outcome.prices_live:,}", _met(outcome.prices_met))
    _print_everything(outcome)


def _print_phases(answer: JsonObject) -> None:
    measurement = _measurement(answer)
    for phase, seconds in cast(Mapping[str, float], measurement["phases"]).items():
        _row(PHASE_NAMES[Phase(phase)], duration(seconds))
    _print_recovery_time(answer)
    for phase, seconds in cast(Mapping[str, float], measurement["afterwards"]).items():
        _row(f"{PHASE_NAMES[Phase(phase)]} (afterwards)", duration(seconds))


def _print_recovery_time(answer: JsonObject) -> None:
    measurement, objectives = _measurement(answer), cast(JsonObject, cast(JsonObject, answer["measured"])["objectives"])
    took = cast("float | None", measurement["recovery_time"])
    objective = f"objective {duration(cast(float, objectives['rto']))}"
    _row("recovery time", duration(took), f"{objective}: {_met(measurement['verdict'] == 'met')}")


def _print_everything(outcome: Played) -> None:
    click.echo("\nEverything lost, and brought back from a repository and the recovery kit")
    _row("adopt the repository", duration(outcome.adopted_seconds))
    parts = cast(Mapping[str, JsonObject], cast(JsonObject, outcome.everything["measured"])["parts"])
    for name, part in parts.items():
        _row(f"{name} back after", duration(cast("float | None", cast(JsonObject, part["measurement"])["recovery_time"])))
    _print_recovery_time(outcome.everything)
    _print_compared(outcome)


def _print_compared(outcome: Played) -> None:
    figures = list(outcome.compared.values())
    click.echo()
    _columns("Of all that was ever acknowledged", outcome.compared, indent="")
    _columns("acknowledged", [f"{each.acknowledged:,}" for each in figures])
    _columns("recovered", [f"{each.recovered:,}" for each in figures])
    _columns("lost", [f"{each.loss.count:,}" for each in figures])
    _columns("work lost, by the oldest of them", [duration(each.loss.work) for each in figures])
    met = [_met(outcome.came_back(kind)) for kind in outcome.compared]
    _columns(f"objective {duration(rpo_of(outcome.everything))}", met)


def _columns(name: str, cells: Iterable[str], indent: str = "  ") -> None:
    """Several figures in one row. A coloured one is as wide as it looks."""
    padded = [" " * (_FIGURE_COLUMNS - len(click.unstyle(cell))) + cell for cell in cells]
    click.echo((indent + name).ljust(len("  ") + _NAME_COLUMNS) + "".join(padded))


def _print_loss(compared: Compared, objective: timedelta, met: bool, *, nothing_may_be: bool) -> None:
    """A synchronous promise is about commits; an asynchronous one, and where the host is lost, about time."""
    _row("acknowledged", f"{compared.acknowledged:,}")
    _row("recovered", f"{compared.recovered:,}")
    lost = f"{compared.loss.count:,}"
    if nothing_may_be:
        _row("lost", lost, f"none may be: {_met(met)}")
        return
    _row("lost", lost, "" if compared.loss.count else "none, this time")
    _row("work lost, by the oldest of them", duration(compared.loss.work), f"objective {duration(objective)}: {_met(met)}")


def _row(name: str, figure: str, verdict: str = "") -> None:
    click.echo(f"  {name.ljust(_NAME_COLUMNS)}{figure.rjust(_FIGURE_COLUMNS)}  {verdict}".rstrip())


def print_verifying(outcome: Played) -> None:
    """The last lines of a demo that is gone: its evidence, and what to do with it."""
    _print_left(outcome)
    for heading, command in zip(_headings("next:"), verifying(outcome), strict=False):
        click.echo(heading + command)


def print_kept(home: Path, outcome: Played | None = None) -> None:
    """The last lines of a demo that goes on."""
    if outcome is not None:
        _print_left(outcome)
    click.echo(f"kept:     {home}: the database, understudy serve and the S3 servers run on")
    click.echo(f"end it:   {_program()} demo --end {home}")
    click.echo("next:     " + joining(home))
    click.echo("          and there: understudy check, backup shop, drill database_corruption, runs")


def _print_left(outcome: Played) -> None:
    click.echo()
    for heading, file in zip(_headings("evidence:"), outcome.evidence, strict=False):
        click.echo(heading + file)
    for heading, file in zip(_headings("pages:"), outcome.pages, strict=False):
        click.echo(heading + file)


def _headings(first: str) -> Iterator[str]:
    """Before the first of several lines, and before the others."""
    return chain([first.ljust(_HEADING_COLUMNS)], repeat(" " * _HEADING_COLUMNS))


def joining(home: Path) -> str:
    return f". {home}/environment && understudy status"


def verifying(outcome: Played) -> list[str]:
    """A command for each file of evidence; each host has signed with a key of its own."""
    return [
        f"{_program()} evidence verify {shlex.quote(file)} --signer {signer}"
        for file, signer in zip(outcome.evidence, outcome.signers, strict=True)
    ]


def _program() -> str:
    """As this process was called, so that the line can be pasted whether or not the program is on the PATH."""
    called = Path(sys.argv[0])
    if called.suffix:
        return f"{sys.executable} -m understudy"
    found = shutil.which(called.name)
    return called.name if found is not None and called.exists() and Path(found).samefile(called) else str(called)


def outcome_as_json(outcome: Played, kept_in: Path | None, next_commands: Sequence[str]) -> JsonObject:
    measurement, everything = _measurement(outcome.recovery), _measurement(outcome.everything)
    return {
        "synchronous": outcome.synchronous,
        "acknowledged": outcome.commits.acknowledged,
        "recovered": outcome.commits.recovered,
        "lost": outcome.commits.loss.count,
        "lost_work_seconds": outcome.commits.loss.work.total_seconds(),
        "lost_work_objective_seconds": 0.0 if outcome.synchronous else rpo_of(outcome.recovery).total_seconds(),
        "server_processes_killed": outcome.processes_killed,
        "exposure_seconds_seen": max(outcome.exposure_seconds, default=None),
        "recovery_time_seconds": measurement["recovery_time"],
        "phases_seconds": measurement["phases"],
        "objective_met": outcome.objectives_met,
        "prices_back": outcome.prices_back,
        "prices_live": outcome.prices_live,
        "point_in_time_recovery_seconds": _measurement(outcome.point_in_time)["recovery_time"],
        "everything": {
            "adopted_seconds": outcome.adopted_seconds,
            "recovery_time_seconds": everything["recovery_time"],
            "lost_work_objective_seconds": rpo_of(outcome.everything).total_seconds(),
            "compared": {
                kind: {
                    "acknowledged": compared.acknowledged,
                    "recovered": compared.recovered,
                    "lost": compared.loss.count,
                    "lost_work_seconds": compared.loss.work.total_seconds(),
                }
                for kind, compared in outcome.compared.items()
            },
        },
        "evidence": list(outcome.evidence),
        "pages": list(outcome.pages),
        "kept_in": None if kept_in is None else str(kept_in),
        "next": list(next_commands),
    }


def _measurement(answer: JsonObject) -> Mapping[str, Json]:
    return cast(JsonObject, cast(JsonObject, answer["measured"])["measurement"])


def _met(met: bool) -> str:
    return click.style("met", fg="green") if met else click.style("MISSED", fg="red")
