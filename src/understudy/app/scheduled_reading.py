"""What serve reads back by itself, and what status shows of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from understudy.app.installation import Installation
from understudy.app.protection import ScheduleStatus, schedule_status
from understudy.app.reading_back import plan_next_reading
from understudy.app.scheduling import last_handled, note_handled
from understudy.plan.plan import Plan
from understudy.plan.reading_back import runs_needed
from understudy.plan.schedule import ScheduledBackup, next_due
from understudy.records.run import RunState
from understudy.records.state_database import as_state_faults
from understudy.runner.signals import RunnerStopped
from understudy.supervise.schedules import BackupSchedules, Handled
from understudy.vocabulary.identifiers import BackupKind, RepositoryName, ResourceName, RunId

EVERYTHING = ResourceName("everything stored")
"""What the schedule is about; no resource can be called so."""

_FORESEEN = 400
"""Runs whose moments are looked up; what is further away is told by their distance."""


class CarriesOut(Protocol):
    """The runner, as far as this needs one."""

    def submit(self, plan: Plan) -> RunId: ...

    def wait(self, run: RunId) -> RunState | None: ...


def reading_schedule(installation: Installation) -> ScheduledBackup | None:
    settings = installation.stack.verification
    if not settings.scheduled:
        return None
    return ScheduledBackup(
        resource=EVERYTHING,
        kind=BackupKind.INCREMENTAL,
        cron=settings.schedule,
        timezone=settings.timezone,
        takes="reading back",
        stack=installation.stack.stack,
        jitter=settings.jitter,
    )


@dataclass(frozen=True, slots=True)
class ScheduledReading:
    """Hands the supervised loop what it calls. Its runs never overlap with one another, nor with one by hand."""

    installation: Installation
    runner: CarriesOut

    def start(self, undo: ExitStack) -> None:
        entry = reading_schedule(self.installation)
        if entry is None:
            return
        schedules = BackupSchedules(
            EVERYTHING,
            [entry],
            self.installation.clock,
            self._handled,
            lambda entry, handled: note_handled(self.installation, entry, handled),
            lambda: True,
            lambda _, begun: self.read(begun),
        )
        schedules.start()
        undo.callback(schedules.stop)

    def _handled(self, entry: ScheduledBackup) -> datetime | None:
        with as_state_faults():
            handled = last_handled(self.installation, entry)
        return handled.occurrence if handled else None

    def read(self, begun: Callable[[RunId], None]) -> RunId | None:
        """The run, where it failed; None also where nothing is stored yet, and where the process ends meanwhile: the next one
        resumes it.
        """
        try:
            with as_state_faults():
                plan = plan_next_reading(self.installation, self.installation.stack.verification.budget)
                if plan is None:
                    self._mark_nothing_due()
                    return None
                run = self.runner.submit(plan)
                begun(run)
                return run if self.runner.wait(run) is RunState.FAILED else None
        except RunnerStopped:
            return None

    def _mark_nothing_due(self) -> None:
        entry = reading_schedule(self.installation)
        if entry is not None:
            note_handled(self.installation, entry, Handled(self.installation.clock.now()))


@dataclass(frozen=True, slots=True)
class RepositoryReading:
    """What was read back of one repository, and when all of it will have been. By what its last run found there."""

    repository: RepositoryName
    units: int
    """Objects, and segments of WAL."""
    size_bytes: int
    damaged: int
    """Units that were not as signed when they were read last."""
    never_read: int
    """Units that were not read yet since they were stored."""
    never_read_bytes: int
    oldest_read: datetime | None
    """Of what was read, what was not read for longest; None: nothing was read yet."""
    cycle_runs: int
    """As many runs read everything once at this budget."""
    read_in_cycle_bytes: int
    """Of what is stored now, what was read within as many runs' time."""
    complete: datetime | None
    """When the run is due with which everything will have been read that is stored now: for the first time, as long as anything
    was never read; else once more. None: nothing is scheduled, or stored.
    """


@dataclass(frozen=True, slots=True)
class ReadingStatus:
    schedule: ScheduleStatus | None
    """None: only by hand."""
    budget_bytes: int
    """Of a run, for each repository."""
    repositories: tuple[RepositoryReading, ...]


def reading_status(installation: Installation) -> ReadingStatus:
    """From the records alone: no store is asked."""
    entry = reading_schedule(installation)
    return ReadingStatus(
        schedule=None if entry is None else schedule_status(installation, entry),
        budget_bytes=installation.stack.verification.budget,
        repositories=tuple(_of(installation, name, entry) for name in installation.repository_names()),
    )


def _of(installation: Installation, name: RepositoryName, entry: ScheduledBackup | None) -> RepositoryReading:
    readings, now = installation.records.readings, installation.clock.now()
    units, budget_bytes = readings.in_turn(name), installation.stack.verification.budget
    never = [size for size, read in units if read is None]
    cycle_runs = runs_needed((size for size, _ in units), budget_bytes)
    moments = _moments(entry, now, cycle_runs) if entry is not None else []
    since = now - (moments[-1] - now) if moments else None
    ahead = runs_needed(never, budget_bytes) or cycle_runs
    return RepositoryReading(
        repository=name,
        units=len(units),
        size_bytes=sum(size for size, _ in units),
        damaged=sum(len(readings.damaged(name, resource)) for resource in installation.resource_names()),
        never_read=len(never),
        never_read_bytes=sum(never),
        oldest_read=next((read for _, read in units if read is not None), None),
        cycle_runs=cycle_runs,
        read_in_cycle_bytes=sum(size for size, read in units if read is not None and since is not None and read >= since),
        complete=moments[ahead - 1] if moments else None,
    )


def _moments(entry: ScheduledBackup, now: datetime, runs: int) -> list[datetime]:
    """When so many runs come due from now on."""
    moments: list[datetime] = []
    occurrence = None
    for _ in range(min(runs, _FORESEEN)):
        due = next_due(entry, now, occurrence)
        moments.append(due.at)
        occurrence = due.occurrence
    distance = (moments[-1] - moments[0]) / (len(moments) - 1) if len(moments) > 1 else timedelta(0)
    moments += [moments[-1] + distance * more for more in range(1, runs - len(moments) + 1)]
    return moments
