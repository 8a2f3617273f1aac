"""Before the first of several resources is touched: whether there is room for all of them at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.places import PlaceFacts
from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import StepKey
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.phases import Phase


@step_kind("check_prerequisites")
@dataclass(frozen=True, slots=True)
class CheckPrerequisites:
    """Each resource looks for its own room again once its turn comes; here those that share a file system are counted
    together.
    """

    scenario: str
    resources: tuple[str, ...]
    """In the order of their turns."""
    priorities: Mapping[str, str]
    bytes_needed: Mapping[str, int]
    """By directory."""
    bytes_perhaps_needed: Mapping[str, int]
    """By directory: with the holes of sparse files, of which no snapshot says how much they are."""
    disrupted: Mapping[str, str] | None = None
    """Since when the service is lost (``vocabulary.disruption``), of a real recovery."""
    VERB = "check-prerequisites"
    PHASE: ClassVar = Phase.PROVISION

    @property
    def key(self) -> StepKey:
        return StepKey(f"stack/{self.VERB}")

    @property
    def time_limit(self) -> timedelta:
        return timedelta(minutes=5)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.scenario, f"there is room for {', '.join(self.resources)}")
        sharing: dict[int, list[str]] = {}
        facts: dict[str, PlaceFacts] = {}
        for directory in {**self.bytes_needed, **self.bytes_perhaps_needed}:
            facts[directory] = world.places.facts(directory)
            sharing.setdefault(facts[directory].file_system, []).append(directory)
        room = [self._room(directories, facts) for directories in sharing.values()]
        short = [str(each["directories"]) for each in room if each["short"]]
        proof: JsonObject = {"order": list[Json](self.resources), "priorities": dict[str, Json](self.priorities)}
        if self.disrupted is not None:
            proof = {**proof, "disrupted": dict[str, Json](self.disrupted)}
        hint = f"room may be short in {'; '.join(short)}: it is enough if files there are sparse" if short else ""
        return witness.done(proof, hint=hint, room=list[Json](room))

    def _room(self, directories: list[str], facts: Mapping[str, PlaceFacts]) -> dict[str, Json]:
        """
        Raises:
            Refusal: ``target_too_small``.
        """
        free_bytes = min(facts[directory].free_bytes for directory in directories)
        surely = sum(self.bytes_needed.get(directory, 0) for directory in directories)
        perhaps = sum(self.bytes_perhaps_needed.get(directory, 0) for directory in directories)
        if free_bytes < surely:
            raise Refusal(
                "target_too_small",
                found=f"{free_bytes:,} bytes free on the file system of {' and '.join(directories)}",
                expected=f"at least {surely:,} bytes there, for all that comes back at once",
                hint="free space there, or recover one after another: --resource NAME",
            )
        return {
            "directories": ", ".join(directories),
            "free_bytes": free_bytes,
            "bytes_needed": surely + perhaps,
            "short": free_bytes < surely + perhaps,
        }
