"""The warm copy becomes the data directory of the recovered server: stopped, renamed, and this run's from then on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import ClassVar

from understudy.ports.instance import InstancePlace, Instances, StopMode
from understudy.ports.warm_copies import WarmCopy
from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.placed import PlacedStep
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import ResourceName
from understudy.vocabulary.phases import Phase

_RECOVERING = frozenset({"in archive recovery", "shut down in recovery"})
"""What ``pg_controldata`` calls the state of a copy that nobody promoted."""


@step_kind("take_warm_copy")
@dataclass(frozen=True, slots=True)
class TakeWarmCopy(PlacedStep):
    """Takes the place of unpacking a base backup. Replay goes on from where the copy is.

    The note says first that the copy is taken, so that nobody starts it again in its old place.
    """

    copy_directory: str
    copy_socket_directory: str
    made_by: str
    """The run that seeded it."""
    system_identifier: str
    label: str
    """The newest backup of the chain that it came from."""
    VERB = "take-warm-copy"
    PHASE: ClassVar = Phase.RESTORE

    @property
    def time_limit(self) -> timedelta:
        return timedelta(minutes=10)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, "the warm copy is where the recovered server goes on from")
        resource = ResourceName(self.resource)
        instances = self.instances(world)
        with world.warm_copies.held(resource):
            copy = self._require_fit(world)
            if copy.taken_by is None:
                world.warm_copies.write(resource, replace(copy, taken_by=world.run))
            if world.places.facts(self.copy_directory).exists:
                instances.stop(InstancePlace(self.copy_directory, self.copy_socket_directory), StopMode.FAST)
                self._require_in_recovery(instances)
            world.places.put_in_place(self.copy_directory, copy.run, self.place.directory, world.run)
        return witness.done(labels=list(copy.labels), seeded_by=copy.run, verified=copy.verified.isoformat())

    def _require_fit(self, world: World) -> WarmCopy:
        copy = world.warm_copies.read(ResourceName(self.resource))
        if copy is None or copy.run != self.made_by or copy.taken_by not in (None, world.run):
            raise _unfit("another copy, or none, counts by now", self.copy_directory)
        if copy.fault is not None:
            raise _unfit(f"it fell out since then: {copy.fault.code}: {copy.fault.found}", self.copy_directory)
        return copy

    def _require_in_recovery(self, instances: Instances) -> None:
        control = instances.control_data(self.copy_directory)
        if control.system_identifier != self.system_identifier:
            raise _unfit(f"it is of cluster {control.system_identifier}", self.copy_directory)
        if control.cluster_state not in _RECOVERING:
            raise _unfit(f"its control file says {control.cluster_state}", self.copy_directory)


def _unfit(found: str, directory: str) -> GiveUp:
    return GiveUp(
        "warm_copy_unfit",
        found=f"the warm copy in {directory} is not what it was when this was planned: {found}",
        expected="a copy in recovery, of this cluster, that nobody else has taken",
        hint="nothing is lost by that: the recovery goes on by restoring a base backup",
    )
