"""Of what was restored only to be loaded, nothing is left on this host."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.world import World
from understudy.repository.snapshots.scratch import discard_scratch
from understudy.steps.codec import step_kind
from understudy.steps.restore_snapshot import SnapshotRestore
from understudy.steps.witness import Witness
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import ResourceName
from understudy.vocabulary.phases import Phase


@step_kind("remove_loaded")
@dataclass(frozen=True, slots=True)
class RemoveLoaded(SnapshotRestore):
    """Always runs, however the load ended."""

    VERB = "remove-loaded"
    PHASE: ClassVar = Phase.CLEAN_UP

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=1)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, f"nothing of {self.label} is left in {self.place}")
        world.places.remove(self.place, world.run)
        discard_scratch(self.index(world))
        with suppress(OSError):
            world.scratch.rmdir()
        loader = world.loaders.get(ResourceName(self.resource))
        at_work = () if loader is None else loader.left_over()
        hint = f"processes of the load command are still at work: {', '.join(map(str, at_work))}" if at_work else ""
        return witness.done(hint=hint, gone=not world.places.facts(self.place).exists)
