"""The address that the resource is known by leads to the server that was recovered, and not to another one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.placed import PlacedStep
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import ResourceName

_WHO = "SELECT extract(epoch FROM pg_postmaster_start_time())"
"""As a number, because two roles may print times in two zones."""


@step_kind("check_address")
@dataclass(frozen=True, slots=True)
class CheckAddress(PlacedStep):
    """Before anything is protected anew: a slot and a base backup of the old server would pass for those of the new one."""

    VERB = "check-address"

    @property
    def time_limit(self) -> timedelta:
        return timedelta(minutes=2)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, "the resource's address leads to the recovered server")
        database = world.databases[ResourceName(self.resource)]
        here = self.instances(world).query(self.place, _WHO)[0][0]
        there = database.query(_WHO)[0][0]
        if here != there:
            raise GiveUp(
                "address_of_another_server",
                found=f"the server at {database.address} started at {there}, the recovered one at {here}",
                expected="one and the same server",
                hint=f"the data are recovered in {self.place.directory}, port {self.place.port}: stop the other server, or let "
                f"the resource's url lead here, then protect it again: understudy backup {self.resource} --full",
            )
        return witness.done(address=database.address, same_server=True)
