"""The place that a snapshot is restored into, marked as this run's, with room for all that will come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import ResourceName, StepKey
from understudy.vocabulary.json import JsonObject
from understudy.vocabulary.phases import Phase


def is_directory(place: str) -> bool:
    """Whether the place is one on this host."""
    return place.startswith("/")


@step_kind("provision_snapshot_target")
@dataclass(frozen=True, slots=True)
class ProvisionSnapshotTarget:
    resource: str
    place: str
    """A directory of this host, or ``s3://bucket/prefix``."""
    bytes_needed: int
    """Of contents; of a bucket nobody knows how much it takes."""
    PHASE: ClassVar = Phase.PROVISION

    @property
    def key(self) -> StepKey:
        return StepKey(f"{self.resource}/provision-target")

    @property
    def time_limit(self) -> timedelta:
        return timedelta(minutes=5)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, f"{self.place} is empty and ours")
        room: JsonObject = {}
        if is_directory(self.place):
            free_bytes = world.places.facts(self.place).free_bytes
            if free_bytes < self.bytes_needed:
                raise Refusal(
                    "target_too_small",
                    found=f"{free_bytes:,} bytes free on the file system of {self.place}",
                    expected=f"at least {self.bytes_needed:,} bytes there",
                    hint="free space there, or choose another directory with --to; then start again",
                )
            room = {"free_bytes": free_bytes, "bytes_needed": self.bytes_needed}
        world.targets[ResourceName(self.resource)].at(self.place).claim(world.run)
        return witness.done(room, place=self.place)
