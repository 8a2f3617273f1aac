"""What ``status`` says of directories and buckets; and what it says of every resource in the same words."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from understudy.cli.looking_at_copies import copy_rows
from understudy.cli.options import command_on
from understudy.cli.printing import duration, moment, say, state_told
from understudy.records.run import RunState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from understudy.app.damage import DamagedBackup
    from understudy.app.protection import EndedRun, ScheduledRun, ScheduleStatus
    from understudy.app.snapshot_status import SnapshotStatus, TakenSnapshot


def no_backup_yet(what: str) -> str:
    return click.style(f"no usable {what}: nothing can be recovered", fg="red")


def unknown_to_records() -> str:
    return f"unknown: the records cannot be read (the repositories can: {command_on('backups')})"


def failed(run: EndedRun) -> str:
    return click.style("failed", fg="red") + f" {moment(run.ended)} ({command_on('show', run.run)})"


def damaged_rows(damaged: Sequence[DamagedBackup]) -> Iterator[tuple[str, str]]:
    for each in damaged:
        where = click.style(f"{each.label} in {each.repository}", fg="red")
        yield "damaged", f"{where}, found {moment(each.damage.since)}: {each.damage.code}: {each.damage.found}"


def quarantined_rows(since: datetime | None) -> Iterator[tuple[str, str]]:
    if since is not None:
        what = click.style(f"what was stored from {moment(since)} on", fg="yellow")
        yield "quarantined", f"{what} ({command_on('quarantine', 'list')})"


def scheduled(schedules: Sequence[ScheduleStatus], due: datetime | None, *, known: bool, served: bool) -> list[tuple[str, str]]:
    """When the next backup is due, and for each schedule when it is, what it makes up for, and how it ended last."""
    if due is None:
        return [("next backup", "no schedule")]
    missed = [each.missed_since for each in schedules if each.missed_since is not None]
    if not missed:
        first = moment(due) + ("" if served else f", if it is served by then ({command_on('serve')})")
    else:
        since = click.style(f"due since {moment(min(missed))}", fg="yellow")
        first = since + (", begins as soon as it can" if served else f", begins once it is served ({command_on('serve')})")
    return [("next backup", first), *((f"  {each.schedule}", _schedule(each, known=known)) for each in schedules)]


def _schedule(schedule: ScheduleStatus, *, known: bool) -> str:
    told = f"due {moment(schedule.next)}"
    if schedule.missed_since is not None:
        told += f"; makes up, once, for all since {moment(schedule.missed_since)}"
    return f"{told}; {_last(schedule.last) if known else 'last run unknown'}"


def _last(run: ScheduledRun | None) -> str:
    if run is None:
        return "not run yet"
    begun = f"last run {moment(run.began)}" + (f", made up for {moment(run.due)}" if run.made_up else "")
    which = run.run if run.state is RunState.SUCCEEDED else command_on("show", run.run)
    return f"{begun}: {state_told(run.state)} ({which})"


def print_snapshots(status: SnapshotStatus, *, known: bool, whole: bool, served: bool) -> None:
    click.echo(click.style(str(status.resource), bold=True) + f"  ({status.kind}, {status.tier})")
    none = f"none taken here ({command_on('backup', status.resource)}; what the repositories hold: {command_on('backups')})"
    proof = status.last_restore
    rows = [
        ("objective", f"back within {duration(status.rto)}, at most {duration(status.rpo)} of work lost"),
        *([] if status.recoverable or not whole else [("protection", no_backup_yet("snapshot"))]),
        ("exposure now", _exposure(status)),
        ("newest", (_taken(status.newest_snapshot) or none) if known else unknown_to_records()),
        *(_unlike_the_source(status.newest_snapshot) if known else []),
        *(copy_rows(status.kept_in) if known else ()),
        *damaged_rows(status.damaged),
        *quarantined_rows(status.quarantined_since),
        *([("last backup", failed(status.failed_backup))] if status.failed_backup else []),
        *scheduled(status.schedules, status.next_backup, known=known, served=served),
        ("last restore", (f"{moment(proof.ended)} ({proof.run})" if proof else "none") if known else unknown_to_records()),
        *([("failed restore", failed(status.failed_restore))] if status.failed_restore else []),
    ]
    for name, value in rows:
        say(f"  {name.ljust(14)} {value}", hang=17)


def left_out_told(left_out: int) -> str:
    return click.style(f"{left_out}, which changed each time they were read, and are not in it", fg="red")


def changed_told(changed_while_read: int) -> str:
    return f"{changed_while_read}, which changed each time they were read, and are in it as they came"


def _unlike_the_source(snapshot: TakenSnapshot | None) -> list[tuple[str, str]]:
    if snapshot is None:
        return []
    which = f" ({command_on('show', snapshot.run)})"
    left_out = [("  left out", left_out_told(snapshot.left_out) + which)] if snapshot.left_out else []
    return left_out + (
        [("  unsettled", changed_told(snapshot.changed_while_read) + which)] if snapshot.changed_while_read else []
    )


def _exposure(status: SnapshotStatus) -> str:
    """What was changed since the newest snapshot was begun: a snapshot is all that brings anything back."""
    if status.exposed_seconds is None:
        return "unknown: no snapshot was taken from here"
    said = duration(timedelta(seconds=status.exposed_seconds))
    return said if status.is_within_objective else click.style(f"{said}: the objective is missed", fg="red")


def _taken(snapshot: TakenSnapshot | None) -> str:
    return f"{snapshot.label}, {moment(snapshot.ended)} ({snapshot.run})" if snapshot is not None else ""
