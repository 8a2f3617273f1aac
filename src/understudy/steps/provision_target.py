"""A directory to restore into, claimed by this run, with room for all that will come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.places import PlaceFacts
from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.placed import PlacedStep
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.phases import Phase

DATA_SET_ASIDE = "data_set_aside"
"""In the proof: where that lies now which stood in the data directory's place; null where nothing did."""


@step_kind("provision_target")
@dataclass(frozen=True, slots=True)
class ProvisionTarget(PlacedStep):
    """Claims the directory. What stood there is set aside by renaming, if the plan says so; never removed."""

    bytes_needed: Mapping[str, int]
    """By directory: the data directory, each tablespace's, that of the WAL that is fetched ahead."""
    set_aside: bool = False
    other_directories: tuple[str, ...] = ()
    """Of tablespaces, of the WAL that is fetched ahead, of a sandbox's socket."""
    quarantined: bool = False
    """Nothing of what stood there is to be believed, which its name shall say."""
    VERB = "provision-target"
    PHASE: ClassVar = Phase.PROVISION

    @property
    def time_limit(self) -> timedelta:
        return timedelta(minutes=5)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, f"{self.place.directory} is empty, ours and large enough")
        room = _require_room({directory: world.places.facts(directory) for directory in self.bytes_needed}, self.bytes_needed)
        moved: list[str] = []
        data_aside: str | None = None
        for directory in (self.place.directory, *self.other_directories):
            # Asked also where nothing stands: an attempt that was killed may have set it aside, and only this tells where it is.
            aside = world.places.set_aside(directory, world.run, quarantined=self.quarantined) if self.set_aside else None
            moved += [aside] if aside else []
            data_aside = aside if directory == self.place.directory else data_aside
            world.places.claim(directory, world.run, self.instances(world).owner)
        where: JsonObject = {"directory": self.place.directory, DATA_SET_ASIDE: data_aside}
        return witness.done(where, room=room, set_aside=list(moved))


def _require_room(places: Mapping[str, PlaceFacts], bytes_needed: Mapping[str, int]) -> list[Json]:
    """What each file system must hold and has free. Directories that share one share its room.

    Raises:
        Refusal: ``target_too_small``: names the directories on the first file system that is too small.
    """
    sharing: dict[int, list[str]] = {}
    for directory, facts in places.items():
        sharing.setdefault(facts.file_system, []).append(directory)
    room: list[Json] = []
    for directories in sharing.values():
        free = min(places[directory].free_bytes for directory in directories)
        needed = sum(bytes_needed[directory] for directory in directories)
        if free < needed:
            parts = ", ".join(f"{bytes_needed[directory]:,} in {directory}" for directory in directories)
            raise Refusal(
                "target_too_small",
                found=f"{free:,} bytes free on the file system of {' and '.join(directories)}",
                expected=f"at least {needed:,} bytes there for the backup chain and the WAL that will be replayed: {parts}",
                hint="free space there, or choose another directory in the stack file or with --to and --tablespace; "
                "then start again",
            )
        room.append({"directories": list[Json](directories), "free_bytes": free, "bytes_needed": needed})
    return room
