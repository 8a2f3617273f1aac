"""The control plane: streams, exposure, schedules, and the runs that other commands hand over."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from understudy.app.backups import INCREMENTAL_REFUSED, plan_next_backup
from understudy.app.carrying_out import SERVING_FILE, view_of
from understudy.app.exposure_json import exposure_to_json
from understudy.app.installation import Installation
from understudy.app.repositories import prepare_repository
from understudy.app.seen import remember_seen
from understudy.judge.exposure import WalPosition
from understudy.plan.schedule import ScheduledBackup
from understudy.runner.runner import Runner
from understudy.steps.wal_shipping import WalShipper
from understudy.supervise.exposure_watch import ExposureReport, ExposureWatch
from understudy.supervise.heartbeats import Heartbeats
from understudy.supervise.schedules import BackupSchedules
from understudy.supervise.wal_streams import StreamReport, WalStream
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.identifiers import BackupKind, RepositoryName, ResourceName

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2


def serve(installation: Installation, stopping: threading.Event, ready: Callable[[], None]) -> None:
    """Run until ``stopping`` is set. What an earlier process left unfinished is resumed first.

    Raises:
        Refusal: ``controller_busy``.
    """
    with ExitStack() as undo:
        runner = undo.enter_context(Runner(installation.state, installation.records, installation.clock, installation.world_for))
        undo.enter_context(_announced(installation.state))
        for run in runner.resume_all():
            _log.info("resumed run %s", run)
        for name in installation.resource_names():
            _Keeping(installation, runner, name).start(undo)
        ready()
        while not stopping.wait(_LOOK_SECONDS):
            for run in runner.pick_up():
                _log.info("picked up run %s", run)


@contextmanager
def _announced(state: Path) -> Iterator[None]:
    """Other commands then hand their work over instead of refusing."""
    file = state / SERVING_FILE
    aside = file.with_suffix(f".{os.getpid()}")
    aside.write_text(str(os.getpid()))
    aside.replace(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Keeping:
    """Everything that is kept going for one resource."""

    installation: Installation
    runner: Runner
    name: ResourceName

    def start(self, undo: ExitStack) -> None:
        installation, resource = self.installation, self.installation.resource(self.name)
        repositories = installation.repository_names(self.name)
        watch = ExposureWatch(self.name, installation.databases[self.name], repositories, installation.clock, self._see_exposure)

        def shipped(report: StreamReport) -> None:
            if report.safe is not None:
                watch.now_safe(report.repository, report.safe)
            self._see_shipping(report)

        stream = WalStream(
            self.name,
            installation.receivers[self.name],
            self._written,
            {repository: self._shipper(repository) for repository in repositories},
            resource.wal.ship_every,
            installation.clock,
            shipped,
        )
        schedules = BackupSchedules(
            self._entries(), installation.clock, self._handled, self._mark_handled, self._back_up_as_scheduled
        )
        stream.start()
        undo.callback(stream.stop)
        watch.start()
        undo.callback(watch.stop)
        schedules.start()
        undo.callback(schedules.stop)
        if resource.heartbeat is not None:
            heartbeats = Heartbeats(installation.databases[self.name], resource.heartbeat.database, resource.heartbeat.every)
            heartbeats.start()
            undo.callback(heartbeats.stop)

    def _shipper(self, repository: RepositoryName) -> Callable[[], WalShipper]:
        def make() -> WalShipper:
            """Needs the server's identity, which is remembered, so that an outage of the server does not stop the shipping."""
            seen = self.installation.seen(self.name)
            if seen is None:
                remember_seen(self.installation.state, self.name, self.installation.databases[self.name].facts())
                return make()
            prepared = prepare_repository(self.installation, repository)
            archive = prepared.wal(self.name, seen.system_identifier, seen.segment_bytes)
            return WalShipper(self.installation.receivers[self.name], archive)

        return make

    def _written(self) -> WalPosition | None:
        database = self.installation.databases[self.name]
        slot = self.installation.stack.slot_of(self.name)
        try:
            timeline, _ = database.wal_flushed()
            ours = [each.written for each in database.standbys() if each.application_name == slot and each.written]
        except UnderstudyError:
            return None
        return WalPosition(timeline, ours[0]) if ours else None

    def _see_exposure(self, report: ExposureReport) -> None:
        self.installation.records.observe(self.name, "exposure", exposure_to_json(report))

    def _see_shipping(self, report: StreamReport) -> None:
        self.installation.records.observe(
            self.name,
            f"shipping:{report.repository}",
            {
                "safe_lsn": str(report.safe.lsn) if report.safe else None,
                "fault": report.fault.code if report.fault else None,
                "found": report.fault.found if report.fault else None,
            },
        )

    def _entries(self) -> list[ScheduledBackup]:
        backup = self.installation.resource(self.name).backup
        planned = ((BackupKind.FULL, backup.full), (BackupKind.INCREMENTAL, backup.incremental))
        return [ScheduledBackup(self.name, kind, cron, backup.timezone) for kind, cron in planned if cron]

    def _handled(self, entry: ScheduledBackup) -> datetime | None:
        seen = self.installation.records.observed(self.name, f"scheduled:{entry.kind}")
        return datetime.fromisoformat(str(seen.value["due"])) if seen else None

    def _mark_handled(self, entry: ScheduledBackup, due: datetime) -> None:
        self.installation.records.observe(self.name, f"scheduled:{entry.kind}", {"due": due.isoformat()})

    def _back_up_as_scheduled(self, entry: ScheduledBackup) -> None:
        """Incremental where the server agrees, else full, like the command."""
        for kind in (entry.kind, BackupKind.FULL):
            run = self.runner.submit(plan_next_backup(self.installation, self.name, kind))
            self.runner.wait(run)
            if not view_of(self.installation, run).failed_with(INCREMENTAL_REFUSED):
                return
