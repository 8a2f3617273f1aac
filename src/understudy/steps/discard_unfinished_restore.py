"""Of a snapshot that was only half restored, nothing is left."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.world import World
from understudy.repository.snapshots.restored_keys import RestoredKeys
from understudy.repository.snapshots.scratch import discard_scratch
from understudy.steps.codec import step_kind
from understudy.steps.restore_snapshot import SnapshotRestore
from understudy.steps.witness import Witness
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import RepositoryName, ResourceName, SnapshotLabel
from understudy.vocabulary.json import Json
from understudy.vocabulary.phases import Phase


@step_kind("discard_unfinished_restore")
@dataclass(frozen=True, slots=True)
class DiscardUnfinishedRestore(SnapshotRestore):
    """Always runs; there is something to do only where a place still bears this run's mark: the restore did not get through.

    What others put there meanwhile stays, and is named.
    """

    VERB = "discard-unfinished"
    PHASE: ClassVar = Phase.CLEAN_UP

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=1)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, "nothing half-restored is left")
        url = world.stores[RepositoryName(self.repository)].url
        if (trial := world.trials.get(ResourceName(self.resource))) is not None:
            trial.discard()
        with RestoredKeys(
            self.index(world), url, SnapshotLabel(self.label), self.selection, lambda: self.opened(world)
        ) as written:
            left = self.target(world).abandon(world.run, written.hold)
        discard_scratch(self.index(world))
        with suppress(OSError):
            world.scratch.rmdir()
        if left is None:
            return witness.skipped(f"{self.place} bears no mark of this run")
        return witness.done(hint=_told_left(self.place, left), removed=self.place, left=list[Json](left))


def _told_left(place: str, left: tuple[str, ...]) -> str:
    if not left:
        return ""
    more = f", and {'a hundred or more' if left[-1] == '…' else len(left) - 1} more" if len(left) > 1 else ""
    return f"somebody else wrote into {place} meanwhile; that is still there: {left[0]}{more}"
