"""End recovery: the copy becomes a primary of its own timeline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.placed import PlacedStep, wait_until
from understudy.steps.witness import Witness
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.phases import Phase


@step_kind("promote")
@dataclass(frozen=True, slots=True)
class Promote(PlacedStep):
    """Only ever after ``ReplayWal`` proved that the target was reached: the server itself never decides to end recovery."""

    VERB = "promote"
    PHASE: ClassVar = Phase.PROMOTE

    @property
    def time_limit(self) -> timedelta:
        return timedelta(minutes=10)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, "the server has left recovery")
        instances = self.instances(world)
        instances.promote(self.place)
        facts = wait_until(world, instances, self.place, lambda facts: facts.in_recovery is False, "leave recovery")
        return witness.done(in_recovery=False, timeline=facts.timeline)
