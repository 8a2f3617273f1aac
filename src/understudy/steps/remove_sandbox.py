"""Leave nothing of a drill behind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.instance import StopMode
from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.placed import PlacedStep
from understudy.steps.witness import Witness
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.phases import Phase


@step_kind("remove_sandbox")
@dataclass(frozen=True, slots=True)
class RemoveSandbox(PlacedStep):
    """Stops the drill's server and removes its directories, each only when it bears this run's marker. Always runs."""

    other_directories: tuple[str, ...] = ()
    VERB = "remove-sandbox"
    PHASE: ClassVar = Phase.CLEAN_UP

    @property
    def time_limit(self) -> timedelta:
        return timedelta(minutes=15)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, "nothing of the sandbox is left")
        instances = self.instances(world)
        if world.places.facts(self.place.directory).claimed_by == world.run:
            instances.stop(self.place, StopMode.IMMEDIATE)
        running = instances.facts(self.place).running
        directories = (*self.other_directories, self.place.directory)
        for directory in directories:
            world.places.remove(directory, world.run)
        left = [directory for directory in directories if world.places.facts(directory).exists]
        gone = [directory for directory in directories if directory not in left]
        return witness.done(server_running=running, directories_gone=gone, directories_left=left)
