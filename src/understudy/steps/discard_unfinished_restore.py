"""Of a snapshot that was only half restored, nothing is left."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.world import World
from understudy.repository.snapshots.scratch import discard_scratch
from understudy.steps.codec import step_kind
from understudy.steps.restore_snapshot import restore_index
from understudy.steps.witness import Witness
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import ResourceName, StepKey
from understudy.vocabulary.phases import Phase


@step_kind("discard_unfinished_restore")
@dataclass(frozen=True, slots=True)
class DiscardUnfinishedRestore:
    """Always runs; there is something to do only where a place still bears this run's mark: the restore did not get through."""

    resource: str
    place: str
    PHASE: ClassVar = Phase.CLEAN_UP

    @property
    def key(self) -> StepKey:
        return StepKey(f"{self.resource}/discard-unfinished")

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=1)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, "nothing half-restored is left")
        discard_scratch(restore_index(world, self.resource))
        with suppress(OSError):
            world.scratch.rmdir()
        if not world.targets[ResourceName(self.resource)].at(self.place).abandon(world.run):
            return witness.skipped(f"{self.place} bears no mark of this run")
        return witness.done(removed=self.place)
