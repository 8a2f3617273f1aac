"""Times and modes of directories, everything on the disks, and the mark off: the place belongs to its user now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from understudy.ports.world import World
from understudy.repository.snapshots.reading import finish_restore
from understudy.repository.snapshots.scratch import discard_scratch
from understudy.steps.codec import step_kind
from understudy.steps.restore_snapshot import SnapshotRestore
from understudy.steps.witness import Witness
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.json import Json
from understudy.vocabulary.phases import Phase


@step_kind("finish_snapshot_restore")
@dataclass(frozen=True, slots=True)
class FinishSnapshotRestore(SnapshotRestore):
    VERB = "release-target"
    PHASE: ClassVar = Phase.CUT_OVER

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, f"{self.place} holds what was restored, and bears no mark of this run")
        target = self.target(world)
        finish_restore(self.opened(world), target, index=self.index(world), run=world.run, select=self.selection)
        discard_scratch(self.index(world))
        fell_short = list(target.fell_short())
        return witness.done(hint=self.told_short(fell_short), place=target.url, fell_short=list[Json](fell_short))
