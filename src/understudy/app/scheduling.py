"""The schedules of one resource: what is due, what is taken then, and what the rules let go once it is there."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime

from understudy.app.backups import plan_requested_backup
from understudy.app.damage import damaged_labels, with_what_stands_on
from understudy.app.installation import Installation
from understudy.app.quarantines import quarantines_in
from understudy.app.repositories import prepare_repository
from understudy.app.retention import Decided, Retention, decide, plan_for
from understudy.plan.request import BackupRequest, request_to_json
from understudy.plan.schedule import ScheduledBackup
from understudy.records.run import RunState
from understudy.records.state_database import as_state_faults
from understudy.repository.quarantine import believed
from understudy.runner.runner import Runner
from understudy.runner.signals import RunnerStopped
from understudy.supervise.schedules import BackupSchedules, Handled
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.identifiers import BackupKind, BackupOrigin, ResourceName, RunId
from understudy.vocabulary.json import JsonObject

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2
USABLE_BACKUP = "usable_backup"


def scheduled_backups(installation: Installation, name: ResourceName) -> list[ScheduledBackup]:
    """What the stack file declares. A snapshot uses what is there, so to the runs it counts as incremental."""
    settings = installation.resource(name)
    backup = settings.backup
    planned: tuple[tuple[BackupKind, str | None, str, str], ...]
    if settings.kind == "postgres":
        planned = (
            (BackupKind.FULL, settings.backup.full, "full", "full backup"),
            (BackupKind.INCREMENTAL, settings.backup.incremental, "incremental", "incremental backup"),
        )
    else:
        planned = ((BackupKind.INCREMENTAL, settings.backup.schedule, "schedule", "snapshot"),)
    stack, zone = installation.stack.stack, backup.timezone
    return [
        ScheduledBackup(name, kind, cron, zone, key, takes, stack, backup.jitter) for kind, cron, key, takes in planned if cron
    ]


def last_handled(installation: Installation, entry: ScheduledBackup) -> Handled | None:
    """What the schedule acted on last; None where it is new. What an earlier version noted tells no run."""
    seen = installation.records.observed(entry.resource, f"scheduled:{entry.kind}")
    if seen is None:
        return None
    due, run, since = (seen.value.get(each) for each in ("due", "run", "since"))
    return Handled(
        datetime.fromisoformat(str(due)),
        None if run is None else RunId(str(run)),
        None if since is None else datetime.fromisoformat(str(since)),
    )


def note_handled(installation: Installation, entry: ScheduledBackup, handled: Handled) -> None:
    """For ``last_handled``. Raises GiveUp ``state_unwritable``."""
    since = handled.since.isoformat() if handled.since else None
    noted: JsonObject = {"due": handled.occurrence.isoformat(), "run": handled.run, "since": since}
    with as_state_faults():
        installation.records.observe(entry.resource, f"scheduled:{entry.kind}", noted)


@dataclass(frozen=True, slots=True)
class Scheduling:
    """Hands the supervised loop what it calls."""

    installation: Installation
    runner: Runner
    name: ResourceName
    see: Callable[[str, JsonObject], object]
    """Takes in an observation of the resource, for status."""

    def start(self, undo: ExitStack) -> None:
        schedules = BackupSchedules(
            self.name,
            scheduled_backups(self.installation, self.name),
            self.installation.clock,
            self._handled,
            self._mark_handled,
            self._has_usable_backup,
            self._back_up,
        )
        schedules.start()
        undo.callback(schedules.stop)

    def _handled(self, entry: ScheduledBackup) -> datetime | None:
        with as_state_faults():
            handled = last_handled(self.installation, entry)
        return handled.occurrence if handled else None

    def _mark_handled(self, entry: ScheduledBackup, handled: Handled) -> None:
        note_handled(self.installation, entry, handled)

    def _has_usable_backup(self) -> bool:
        """In the first repository, which is where backups are taken to and counted from."""
        repository = self.installation.repository_names(self.name)[0]
        with as_state_faults():
            first = prepare_repository(self.installation, repository)
            marked = damaged_labels(self.installation, repository, self.name)
            quarantines = quarantines_in(self.installation, self.name, repository)
        if self.installation.is_database(self.name):
            server = self.installation.databases[self.name].facts()
            backups = first.backups(self.name, server.system_identifier).usable
            damaged = with_what_stands_on(marked, backups)
            there = any(each.label.text not in damaged for each in believed(quarantines, backups))
        else:
            snapshots = first.snapshots(self.installation.in_snapshots(self.name).kind, self.name).found().usable
            there = any(each.label.text not in marked for each in believed(quarantines, snapshots))
        self.see(USABLE_BACKUP, {"there": there})
        return there

    def _back_up(self, kind: BackupKind, begun: Callable[[RunId], None]) -> RunId | None:
        """Incremental where the server agrees, else full, like the command; and like any request it goes on by itself.

        None also where the process ends meanwhile: the next one resumes the run.
        """
        try:
            with as_state_faults():
                return self._backed_up(kind, begun)
        except RunnerStopped:
            return None

    def _backed_up(self, kind: BackupKind, begun: Callable[[RunId], None]) -> RunId | None:
        request = BackupRequest(self.name, kind, origin=BackupOrigin.AUTOMATIC)
        run = self.runner.submit(plan_requested_backup(self.installation, request), asked=request_to_json(request))
        begun(run)
        self.runner.wait(run)
        while (asked := self.installation.records.requests.of(run)) is not None and asked.ended is None:
            self.runner.wait(asked.runs[-1])
            self.installation.clock.wait(_LOOK_SECONDS)
        last = run if asked is None else asked.runs[-1]
        state = self.installation.records.run(last).state
        if state is RunState.SUCCEEDED:
            self.expire()
        return last if state is RunState.FAILED else None

    def expire(self) -> None:
        """What the rules let go now that there is a newer backup. What is in the way now is seen to after the next one."""
        old = "old backups and WAL" if self.installation.is_database(self.name) else "old snapshots"
        try:
            decided = decide(self.installation, self.name, None)
            for each in decided:
                if each.fault is not None:
                    _log.warning("%s: nothing is removed from %s: %s", self.name, each.repository, each.fault)
            if all(_is_a_first_one(each) for each in decided):
                return
            plan = plan_for(self.installation, self.name, decided)
            if plan is None:
                return
            run = self.runner.submit(plan)
            if self.runner.wait(run) is RunState.FAILED:
                _log.error("%s: retention failed, and %s stay: understudy show %s", self.name, old, run)
        except UnderstudyError as error:
            _log.warning("%s: %s stay until after the next backup: %s", self.name, old, error)


def _is_a_first_one(each: Decided) -> bool:
    """A first backup makes nothing old but the WAL from before it, and that can wait for the second."""
    if each.decision is None:
        return True
    there = each.decision.backups if isinstance(each, Retention) else each.decision.snapshots
    return len(there) <= 1
