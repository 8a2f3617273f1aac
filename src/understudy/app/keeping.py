"""Everything that the control plane keeps going for one resource: its stream, its exposure, its schedules, its heartbeat."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime

from understudy.app.backups import plan_requested_backup
from understudy.app.exposure_json import exposure_to_json, fault_to_json, remembered_from_json
from understudy.app.installation import Installation
from understudy.app.repositories import prepare_repository
from understudy.app.retention import decide, plan_for
from understudy.app.seen import remember_seen
from understudy.plan.request import BackupRequest, request_to_json
from understudy.plan.schedule import ScheduledBackup
from understudy.records.run import RunState
from understudy.records.state_database import as_state_faults
from understudy.runner.runner import Runner
from understudy.runner.signals import RunnerStopped
from understudy.steps.wal_shipping import WalShipper
from understudy.steps.write_backup_manifest import backup_completed_key
from understudy.supervise.exposure_watch import ExposureReport, ExposureWatch, Remembered
from understudy.supervise.heartbeats import Heartbeats
from understudy.supervise.schedules import BackupSchedules
from understudy.supervise.wal_streams import ReceivingReport, StreamReport, WalStream
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.identifiers import BackupKind, BackupLabel, BackupOrigin, RepositoryName, ResourceName, RunId
from understudy.vocabulary.json import JsonObject
from understudy.vocabulary.wal import WalSegment

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2
EXPOSURE, RECEIVING, HEARTBEAT, USABLE_BACKUP = "exposure", "receiving", "heartbeat", "usable_backup"


def shipping_to(repository: str) -> str:
    """The kind of observation that tells how shipping to this repository goes."""
    return f"shipping:{repository}"


@dataclass(frozen=True)
class Keeping:
    """One resource's loops, and what they are handed."""

    installation: Installation
    runner: Runner
    name: ResourceName
    _told: dict[str, JsonObject] = field(default_factory=dict)

    def start(self, undo: ExitStack) -> None:
        """All but the schedules."""
        installation, resource = self.installation, self.installation.resource(self.name)
        repositories = installation.repository_names(self.name)
        watch = ExposureWatch(
            self.name,
            installation.databases[self.name],
            installation.stack.slot_of(self.name),
            repositories,
            installation.clock,
            self._see_exposure,
            self._remembered(),
            self._newest_backup_begun,
        )

        def shipped(report: StreamReport) -> None:
            if report.safe is not None:
                watch.now_safe(report.repository, report.safe)
            self._see(shipping_to(report.repository), fault_to_json(report.fault))

        stream = WalStream(
            self.name,
            installation.receivers[self.name],
            watch.written,
            {repository: self._shipper(repository) for repository in repositories},
            resource.wal.ship_every,
            installation.clock,
            shipped,
            self._see_receiving,
        )
        watch.start()
        undo.callback(watch.stop)
        stream.start()
        undo.callback(stream.stop)
        if resource.heartbeat is not None:
            beat = resource.heartbeat
            heartbeats = Heartbeats(installation.databases[self.name], beat.database, beat.every, self._see_heartbeat)
            heartbeats.start()
            undo.callback(heartbeats.stop)

    def start_schedules(self, undo: ExitStack) -> None:
        """Apart, because what an earlier process left unfinished comes before new backups."""
        schedules = BackupSchedules(
            self.name,
            self._entries(),
            self.installation.clock,
            self._handled,
            self._mark_handled,
            self._has_usable_backup,
            self._back_up,
        )
        schedules.start()
        undo.callback(schedules.stop)

    def _shipper(self, repository: RepositoryName) -> Callable[[], WalShipper]:
        compared: dict[WalSegment, str] = {}

        def make() -> WalShipper:
            """Needs the server's identity, which is remembered, so that an outage of the server does not stop the shipping."""
            seen = self.installation.seen(self.name)
            if seen is None:
                remember_seen(self.installation.state, self.name, self.installation.databases[self.name].facts())
                return make()
            with as_state_faults():
                prepared = prepare_repository(self.installation, repository)
                claim = prepared.own_claim(self.installation.records.controller_id(), self.installation.clock)
            archive = prepared.wal(self.name, seen.system_identifier, seen.segment_bytes)
            return WalShipper(self.installation.receivers[self.name], archive, claim, compared)

        return make

    # What is seen, for status

    def _remembered(self) -> Remembered:
        seen = self.installation.records.observed(self.name, EXPOSURE)
        return remembered_from_json(seen.value) if seen is not None else Remembered()

    def _newest_backup_begun(self) -> datetime | None:
        try:
            with as_state_faults():
                step = self.installation.records.newest_success(backup_completed_key(self.name))
        except UnderstudyError:
            return None
        if step is None or step.evidence is None:
            return None
        return BackupLabel(str(step.evidence.proof["label"])).begun

    def _see_exposure(self, report: ExposureReport) -> None:
        self._see(EXPOSURE, exposure_to_json(report))

    def _see_receiving(self, report: ReceivingReport) -> None:
        self._see(RECEIVING, fault_to_json(report.fault))

    def _see_heartbeat(self, fault: UnderstudyError | None) -> None:
        self._see(HEARTBEAT, fault_to_json(fault))

    def _see(self, kind: str, value: JsonObject) -> None:
        """Only what changed, because each is a write to disk; and streaming goes on although nobody can be told of it."""
        if self._told.get(kind) == value:
            return
        if self.installation.records.observe_if_possible(self.name, kind, value):
            self._told[kind] = value

    # Schedules

    def _entries(self) -> list[ScheduledBackup]:
        backup = self.installation.resource(self.name).backup
        planned = ((BackupKind.FULL, backup.full), (BackupKind.INCREMENTAL, backup.incremental))
        return [ScheduledBackup(self.name, kind, cron, backup.timezone) for kind, cron in planned if cron]

    def _handled(self, entry: ScheduledBackup) -> datetime | None:
        with as_state_faults():
            seen = self.installation.records.observed(self.name, f"scheduled:{entry.kind}")
        return datetime.fromisoformat(str(seen.value["due"])) if seen else None

    def _mark_handled(self, entry: ScheduledBackup, due: datetime) -> None:
        with as_state_faults():
            self.installation.records.observe(self.name, f"scheduled:{entry.kind}", {"due": due.isoformat()})

    def _has_usable_backup(self) -> bool:
        """In the first repository, which is where backups are taken to and counted from."""
        with as_state_faults():
            first = prepare_repository(self.installation, self.installation.repository_names(self.name)[0])
        server = self.installation.databases[self.name].facts()
        there = bool(first.backups(self.name, server.system_identifier).usable)
        self._see(USABLE_BACKUP, {"there": there})
        return there

    def _back_up(self, kind: BackupKind, begun: Callable[[], None]) -> RunId | None:
        """Incremental where the server agrees, else full, like the command; and like any request it goes on by itself.

        None also where the process ends meanwhile: the next one resumes the run.
        """
        try:
            with as_state_faults():
                return self._backed_up(kind, begun)
        except RunnerStopped:
            return None

    def _backed_up(self, kind: BackupKind, begun: Callable[[], None]) -> RunId | None:
        request = BackupRequest(self.name, kind, origin=BackupOrigin.AUTOMATIC)
        run = self.runner.submit(plan_requested_backup(self.installation, request), asked=request_to_json(request))
        begun()
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
        try:
            decided = decide(self.installation, self.name, None)
            for each in decided:
                if each.fault is not None:
                    _log.warning("%s: nothing is removed from %s: %s", self.name, each.repository, each.fault)
            if not any(each.decision is not None and len(each.decision.backups) > 1 for each in decided):
                return  # a first backup makes nothing old but the WAL from before it, and that can wait for the second
            plan = plan_for(self.installation, self.name, decided)
            if plan is None:
                return
            run = self.runner.submit(plan)
            if self.runner.wait(run) is RunState.FAILED:
                _log.error("%s: retention failed, and old backups and WAL stay: understudy show %s", self.name, run)
        except UnderstudyError as error:
            _log.warning("%s: old backups and WAL stay until after the next backup: %s", self.name, error)
