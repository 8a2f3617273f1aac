"""Wait until a repository holds every byte of WAL that the new backup needs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import ClassVar

from understudy.ports.wal_receiver import WalReceiver
from understudy.ports.world import World
from understudy.repository.catalog import Repository
from understudy.repository.manifests import BackupManifest
from understudy.repository.wal_contents import WalContents
from understudy.repository.wal_records import SegmentPages, WalRecords
from understudy.steps.codec import step_kind
from understudy.steps.left_out import leave_out, left_out
from understudy.steps.spooled_wal import SEGMENT_MISSING
from understudy.steps.wal_shipping import Shipped, WalShipper
from understudy.steps.witness import Witness
from understudy.steps.write_backup_manifest import taken_backup
from understudy.vocabulary.errors import Cancelled, GiveUp, TryAgain, UnderstudyError
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import RepositoryName, ResourceName, StepKey
from understudy.vocabulary.json import Json
from understudy.vocabulary.phases import Phase
from understudy.vocabulary.pieces import Pieces
from understudy.vocabulary.wal import Lsn, WalSegment, segments_covering

_LOOK_AGAIN = timedelta(milliseconds=200)


@step_kind("await_wal")
@dataclass(frozen=True, slots=True)
class AwaitWal:
    """Ships what the spool holds, and is done when the archive covers the backup from start to stop without a hole.

    Source: PostgreSQL manual, "Making a Base Backup": the backup can be restored only with every segment in between.

    ``may_follow_gap``: a full backup needs nothing from before it, so a hole there may stand. It stays visible: the segment
    behind it is marked, and older backups are not replayed across it.

    ``may_be_left_out``: another repository holds the backup already, so one that is away is named and does not fail the run.
    """

    resource: str
    repository: str
    may_follow_gap: bool = False
    may_be_left_out: bool = False
    PHASE: ClassVar = Phase.PROTECT

    @property
    def key(self) -> StepKey:
        return StepKey(f"{self.resource}/await-wal-in-{self.repository}")

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=1)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, f"all WAL of the backup is in {self.repository}")
        backup = taken_backup(world, self.resource)
        needed = segments_covering(backup.timeline, backup.start_lsn, backup.stop_lsn, backup.segment_bytes)
        receiver = world.receivers[ResourceName(self.resource)]
        receiver.ensure_running()
        skipped = left_out(world, witness, self.resource, self.repository)
        if skipped is not None:
            return skipped
        try:
            shipped, contents = self._ship(world, backup, needed[0])
        except UnderstudyError as error:
            if not self.may_be_left_out or isinstance(error, Cancelled):
                raise
            return leave_out(world, witness, self.resource, self.repository, error)
        needed_files = {each.name for each in needed}
        for file, fault in shipped.damaged.items():
            if file in needed_files or file.endswith(".history"):
                raise fault
        if shipped.doubtful in needed:
            raise TryAgain(
                "wal_not_compared_yet",
                found=f"{self.repository} holds {shipped.doubtful} already, and the server writes that segment again",
                expected="the same bytes, which shows when the segment is complete",
                hint="it is compared once the server goes on to the next segment: SELECT pg_switch_wal(); on the server",
                after=_LOOK_AGAIN,
            )
        missing = contents.gap_between(needed[0], needed[-1])
        reach = contents.reaches(backup.timeline)
        own = contents.reach_of(needed[-1])
        held = own >= backup.stop_lsn or _only_zeros_are_missing(receiver, backup, own)
        if missing is not None or not held:
            raise TryAgain(
                "wal_not_there_yet",
                found=f"the WAL in {self.repository} reaches {reach or 'nothing'}"
                + (f", and {missing} is missing" if missing else ""),
                expected=f"every segment from {needed[0]} to {needed[-1]}, up to {backup.stop_lsn}",
                hint="see what the receiver says: understudy status; if a segment was lost, take a full backup",
                after=_LOOK_AGAIN,
            )
        gaps: list[Json] = [segment.name for segment in shipped.began_after_gap]
        return witness.done(
            hint=f"WAL right before {', '.join(map(str, gaps))} is lost: older backups cannot be replayed past it"
            if gaps
            else "",
            first_segment=needed[0].name,
            last_segment=needed[-1].name,
            segments=len(needed),
            reaches=str(reach),
            begins_after_gap=gaps,
        )

    def _ship(self, world: World, backup: BackupManifest, begins_in: WalSegment) -> tuple[Shipped, WalContents]:
        name = ResourceName(self.resource)
        repository = Repository.of(world, RepositoryName(self.repository))
        archive = repository.wal(name, backup.system_identifier, backup.segment_bytes)
        shipper = WalShipper(world.receivers[name], archive, repository.own_claim(world.controller, world.clock))
        shipped = shipper.ship_once(backup_begins_in=begins_in if self.may_follow_gap else None, compare_from=begins_in)
        return shipped, archive.contents()


def _only_zeros_are_missing(receiver: WalReceiver, backup: BackupManifest, reach: Lsn) -> bool:
    """Whether a record ends where the backup stopped, and all of it behind ``reach`` is zero: no tail holds such bytes.

    Behind the last record of an idle server nothing comes that they could be stored with.
    """
    segment = WalSegment.holding(backup.timeline, Lsn(backup.stop_lsn.position - 1), backup.segment_bytes)

    @cache
    def held(number: int) -> Pieces:
        wanted = WalSegment(segment.timeline, number, segment.size_bytes)
        return receiver.read_segment(wanted) if wanted != segment else receiver.read_tail(segment, 0)

    def read(number: int, offset: int, size_bytes: int) -> bytes:
        return b"".join(held(number).between(offset, offset + size_bytes)).ljust(size_bytes, b"\0")

    try:
        if receiver.spool().partial != segment or reach < segment.start:
            return False
        if receiver.read_tail(segment, reach.bytes_since(segment.start)).size_bytes:
            return False
        return WalRecords(SegmentPages(read, segment.size_bytes), reach).record_ends_at(backup.stop_lsn)
    except GiveUp as error:
        if error.code != SEGMENT_MISSING:
            raise
        return False
