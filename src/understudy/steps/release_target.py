"""The restored directory belongs to its user from here on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.placed import PlacedStep
from understudy.steps.witness import Witness
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.phases import Phase


@step_kind("release_target")
@dataclass(frozen=True, slots=True)
class ReleaseTarget(PlacedStep):
    """Takes this run's markers out, so that no later base backup carries them, and removes the WAL that was fetched ahead."""

    kept: tuple[str, ...]
    removed: tuple[str, ...]
    VERB = "release-target"
    PHASE: ClassVar = Phase.CLEAN_UP

    @property
    def time_limit(self) -> timedelta:
        return timedelta(minutes=5)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, "nothing of this run is left in the restored directories")
        for directory in self.removed:
            world.places.remove(directory, world.run)
        for directory in self.kept:
            world.places.release(directory, world.run)
        gone = [directory for directory in self.removed if not world.places.facts(directory).exists]
        return witness.done(released=list(self.kept), gone=gone)
