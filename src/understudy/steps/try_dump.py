"""What was restored of a dump is loaded, whole, into a server that a drill makes and removes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.restore_snapshot import SnapshotRestore
from understudy.steps.witness import Witness
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import ResourceName
from understudy.vocabulary.phases import Phase


@step_kind("try_dump")
@dataclass(frozen=True, slots=True)
class TryDump(SnapshotRestore):
    """Comes behind ``CompareRestored``. Unlike ``TryRestored`` it is what the drill is for: what cannot be loaded fails it."""

    VERB = "try-restored"
    PHASE: ClassVar = Phase.VERIFY

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, f"a server takes {self.label} in, with every row that was counted")
        told = world.trials[ResourceName(self.resource)].try_out(Path(self.place))
        return witness.done(told)
