"""What the records say of a resource's protection, whatever its kind: when the next backup is due, and what ended how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from understudy.app.installation import Installation
from understudy.app.scheduling import USABLE_BACKUP, last_handled, scheduled_backups
from understudy.plan.plan import Procedure
from understudy.plan.schedule import ScheduledBackup, due_since, is_of_a_clock_ahead, next_due, to_make_up
from understudy.records.run import RunRecord, RunState
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import ResourceName, RunId

_LATE = timedelta(minutes=1)
"""A server that is away for a moment, and another run that is at work, make no schedule late."""


@dataclass(frozen=True, slots=True)
class EndedRun:
    run: RunId
    procedure: str
    subject: str
    ended: datetime


@dataclass(frozen=True, slots=True)
class ScheduledRun:
    """What a schedule has taken, or the first backup of all, which stands for what was due until then."""

    run: RunId
    """The last of those that it led to."""
    began: datetime
    state: RunState
    ended: datetime | None
    due: datetime | None
    """When it came due; of several that were missed, the first. None: nothing had come due."""
    made_up: bool
    """Whether it could not begin when it was due."""


@dataclass(frozen=True, slots=True)
class ScheduleStatus:
    schedule: str
    """Its key in the stack file."""
    cron: str
    timezone: str
    jitter: timedelta
    next: datetime
    missed_since: datetime | None
    """Since when something is due that nobody has acted on; whatever was missed is made up for once."""
    last: ScheduledRun | None


def schedules(installation: Installation, name: ResourceName) -> tuple[ScheduleStatus, ...]:
    return tuple(schedule_status(installation, entry) for entry in scheduled_backups(installation, name))


def next_of(scheduled: Sequence[ScheduleStatus]) -> datetime | None:
    """When the next of them comes due, whatever is due already."""
    return min((each.next for each in scheduled), default=None)


def schedule_status(installation: Installation, entry: ScheduledBackup) -> ScheduleStatus:
    now = installation.clock.now()
    handled = last_handled(installation, entry)
    over = handled.occurrence if handled is not None and not is_of_a_clock_ahead(handled.occurrence, now) else None
    missed = over is not None and to_make_up(entry, over, now) is not None
    return ScheduleStatus(
        schedule=entry.name,
        cron=entry.cron,
        timezone=entry.timezone,
        jitter=entry.jitter,
        next=next_due(entry, now, over).at,
        missed_since=due_since(entry, over) if over is not None and missed else None,
        last=None if handled is None or handled.run is None else _scheduled_run(installation, handled.run, handled.since),
    )


def _scheduled_run(installation: Installation, first: RunId, due: datetime | None) -> ScheduledRun | None:
    """A request goes on until none of its runs may be followed by another: only then it is said to have failed."""
    try:
        request = installation.records.requests.of(first)
        runs = (first,) if request is None else request.runs
        begun, last = installation.records.run(runs[0]), installation.records.run(runs[-1])
    except Refusal:  # it is not in these records
        return None
    goes_on = last.state is RunState.FAILED and request is not None and request.ended is None
    state, ended = (RunState.RUNNING, None) if goes_on else (last.state, last.ended)
    late = due is not None and begun.submitted - due > _LATE
    return ScheduledRun(last.run, begun.submitted, state, ended, due, late)


def is_recoverable(installation: Installation, name: ResourceName, newest_ended: datetime | None) -> bool:
    """By what ``serve`` found in the repository, unless a backup was completed since."""
    seen = installation.records.observed(name, USABLE_BACKUP)
    if seen is None or (newest_ended is not None and newest_ended > seen.at):
        return newest_ended is not None
    return bool(seen.value["there"])


def failed_since(
    installation: Installation, name: ResourceName, procedures: Sequence[Procedure], since: datetime | None
) -> EndedRun | None:
    run = installation.records.history.newest(procedures, RunState.FAILED, name)
    failed = None if run is None else ended_run(run)
    return failed if failed is not None and (since is None or failed.ended > since) else None


def ended_run(run: RunRecord) -> EndedRun:
    return EndedRun(run.run, run.procedure, run.subject, run.ended or run.submitted)
