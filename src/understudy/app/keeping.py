"""Everything that the control plane keeps going for one resource: its stream, its exposure, its heartbeat, its schedules."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime

from understudy.app.exposure_json import exposure_to_json, fault_to_json, remembered_from_json
from understudy.app.installation import Installation
from understudy.app.repositories import prepare_repository
from understudy.app.scheduling import Scheduling
from understudy.app.seen import remember_seen
from understudy.records.state_database import as_state_faults
from understudy.runner.runner import Runner
from understudy.steps.wal_shipping import WalShipper
from understudy.steps.write_backup_manifest import backup_completed_key
from understudy.supervise.exposure_watch import ExposureReport, ExposureWatch, Remembered
from understudy.supervise.heartbeats import Heartbeats
from understudy.supervise.wal_streams import ReceivingReport, StreamReport, WalStream
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.identifiers import BackupLabel, RepositoryName, ResourceName
from understudy.vocabulary.json import JsonObject
from understudy.vocabulary.wal import WalSegment

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2
EXPOSURE, RECEIVING, HEARTBEAT = "exposure", "receiving", "heartbeat"


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
        installation, resource = self.installation, self.installation.postgres(self.name)
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
        Scheduling(self.installation, self.runner, self.name, self._see).start(undo)

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
