"""End recovery: the copy becomes a primary of its own timeline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.instance import Instances
from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.placed import PlacedStep, wait_until
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.phases import Phase


@step_kind("promote")
@dataclass(frozen=True, slots=True)
class Promote(PlacedStep):
    """Only ever after ``ReplayWal`` proved that the target was reached: the server itself never decides to end recovery."""

    slot: str | None = None
    """Of a server that goes on to serve: reserved before it writes anything of its own, because it is streamed from only once it
    was verified. Reading every row makes it write WAL (hint bits, pages pruned), and checkpoints recycle that."""
    VERB = "promote"
    PHASE: ClassVar = Phase.PROMOTE

    @property
    def time_limit(self) -> timedelta:
        return timedelta(minutes=10)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, "the server has left recovery")
        instances = self.instances(world)
        if instances.facts(self.place).accepts_connections:
            self._reserve_slot(instances)
        instances.promote(self.place)
        facts = wait_until(world, instances, self.place, lambda facts: facts.in_recovery is False, "leave recovery")
        unreserved = self._reserve_slot(instances)
        hint = f"no slot keeps its WAL yet, so some of it may be lost before it is streamed: {unreserved}" if unreserved else ""
        return witness.done(hint=hint, in_recovery=False, timeline=facts.timeline, slot=None if unreserved else self.slot)

    def _reserve_slot(self, instances: Instances) -> str:
        """Once; says what stood against it, which is nothing that a promotion waits for."""
        if self.slot is None:
            return ""
        name = self.slot.replace("'", "''")
        make = f"SELECT pg_create_physical_replication_slot('{name}', true)"
        try:
            instances.execute(
                self.place, [f"{make} WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '{name}')"]
            )
        except GiveUp as error:
            return f"{error.code}: {error.found}"
        return ""
