"""Wait until a repository holds every byte of WAL that the new backup needs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from understudy.ports.world import World
from understudy.repository.catalog import Repository
from understudy.steps.codec import step_kind
from understudy.steps.wal_shipping import WalShipper
from understudy.steps.witness import Witness
from understudy.steps.write_backup_manifest import taken_backup
from understudy.vocabulary.errors import TryAgain
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import RepositoryName, ResourceName, StepKey
from understudy.vocabulary.json import Json
from understudy.vocabulary.wal import segments_covering

_LOOK_AGAIN = timedelta(milliseconds=200)


@step_kind("await_wal")
@dataclass(frozen=True, slots=True)
class AwaitWal:
    """Ships what the spool holds, and is done when the archive covers the backup from start to stop without a hole.

    Source: PostgreSQL manual, "Making a Base Backup": the backup can be restored only with every segment in between.

    ``may_follow_gap``: a full backup needs nothing from before it, so a hole there may stand. It stays visible: the segment
    behind it is marked, and older backups are not replayed across it.
    """

    resource: str
    repository: str
    may_follow_gap: bool = False

    @property
    def key(self) -> StepKey:
        return StepKey(f"{self.resource}/await-wal-in-{self.repository}")

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=1)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, f"all WAL of the backup is in {self.repository}")
        backup = taken_backup(world, self.resource)
        name = ResourceName(self.resource)
        archive = Repository.of(world, RepositoryName(self.repository)).wal(name, backup.system_identifier, backup.segment_bytes)
        receiver = world.receivers[name]
        receiver.ensure_running()
        needed = segments_covering(backup.timeline, backup.start_lsn, backup.stop_lsn, backup.segment_bytes)
        shipped = WalShipper(receiver, archive).ship_once(backup_begins_in=needed[0] if self.may_follow_gap else None)
        contents = archive.contents()
        missing = contents.gap_between(needed[0], needed[-1])
        reach = contents.reaches(backup.timeline)
        if missing is not None or reach is None or reach < backup.stop_lsn:
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
