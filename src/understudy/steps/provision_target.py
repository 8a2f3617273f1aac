"""A directory to restore into, claimed by this run, with room for all that will come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.placed import PlacedStep
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.evidence import Evidence


@step_kind("provision_target")
@dataclass(frozen=True, slots=True)
class ProvisionTarget(PlacedStep):
    """Claims the directory. What stood there is set aside by renaming, if the plan says so; never removed."""

    bytes_needed: int
    set_aside: bool = False
    other_directories: tuple[str, ...] = ()
    """Of tablespaces, of the WAL that is fetched ahead, of a sandbox's socket."""
    VERB = "provision-target"

    @property
    def time_limit(self) -> timedelta:
        return timedelta(minutes=5)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, f"{self.place.directory} is empty, ours and large enough")
        before = world.places.facts(self.place.directory)
        if before.free_bytes < self.bytes_needed:
            raise Refusal(
                "target_too_small",
                found=f"{before.free_bytes:,} bytes free where {self.place.directory} will be",
                expected=f"at least {self.bytes_needed:,} bytes for the backup chain and the WAL that will be replayed",
                hint="free space there, or choose another directory in the stack file or with --to; then start again",
            )
        moved: list[str] = []
        for directory in (self.place.directory, *self.other_directories):
            facts = world.places.facts(directory)
            if self.set_aside and facts.exists and not facts.empty and facts.claimed_by != world.run:
                aside = world.places.set_aside(directory, world.run)
                moved += [aside] if aside else []
            world.places.claim(directory, world.run, self.instances(world).owner)
        return witness.done(
            directory=self.place.directory, free_bytes=before.free_bytes, bytes_needed=self.bytes_needed, set_aside=moved
        )
