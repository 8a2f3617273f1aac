"""The place that a snapshot is restored into, marked as this run's, with room for all that will come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.restore_base_backup import BACKUP_AT_FAULT
from understudy.steps.restore_snapshot import SnapshotRestore
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import GiveUp, Refusal, UnderstudyError
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.phases import Phase


def is_directory(place: str) -> bool:
    """Whether the place is one on this host."""
    return place.startswith("/")


@step_kind("provision_snapshot_target")
@dataclass(frozen=True, slots=True)
class ProvisionSnapshotTarget(SnapshotRestore):
    bytes_needed: int
    """Of contents, the holes of sparse files counted; of a bucket nobody knows how much it takes. 0: not known."""
    set_aside: bool = False
    """Of a directory, in a real recovery: what stands there is renamed, never removed."""
    sandbox: str | None = None
    """Of a drill in a directory: what the place lies in, and is removed with."""
    quarantined: bool = False
    """Nothing of what stood there is to be believed, which its name shall say."""

    VERB = "provision-target"
    PHASE: ClassVar = Phase.PROVISION

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=1)  # the listing may be long

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, f"{self.place} is empty and ours")
        room: JsonObject = {}
        hint = ""
        if is_directory(self.place):
            free_bytes = world.places.facts(self.place).free_bytes
            room = {"free_bytes": free_bytes, "bytes_needed": self.bytes_needed}
            if free_bytes < self.bytes_needed:
                sparse_bytes = self._require_room_for_the_others(world, free_bytes)
                room["bytes_in_sparse_files"] = sparse_bytes
                hint = (
                    f"room is short: {sparse_bytes:,} of {self.bytes_needed:,} bytes are in sparse files, whose holes take none; "
                )
                hint += f"{free_bytes:,} bytes are free"
        aside = world.places.set_aside(self.place, world.run, quarantined=self.quarantined) if self.set_aside else None
        if self.sandbox is not None:
            world.places.claim(self.sandbox, world.run)
        try:
            self.target(world).claim(world.run)
        except UnderstudyError as error:
            if aside is not None:  # it is told of whatever comes: it may be all that there is
                error.add_proof(set_aside=aside)
            raise
        moved: list[Json] = [aside] if aside else []
        return witness.done(room, hint=hint, place=self.place, set_aside=moved)

    def _require_room_for_the_others(self, world: World, free_bytes: int) -> int:
        """How much of it is in files that were sparse. A snapshot does not say what their holes leave of that, so for them alone
        nobody is turned away.
        """
        sparse_bytes = self._sparse_bytes(world)
        least_bytes = self.bytes_needed - sparse_bytes
        if free_bytes < least_bytes:
            beside = f", without the sparse files ({sparse_bytes:,} bytes with their holes)" if sparse_bytes else ""
            raise Refusal(
                "target_too_small",
                found=f"{free_bytes:,} bytes free on the file system of {self.place}",
                expected=f"at least {least_bytes:,} bytes there{beside}",
                hint="free space there, or choose another directory with --to; then start again",
            )
        return sparse_bytes

    def _sparse_bytes(self, world: World) -> int:
        try:
            return self.opened(world).sparse_bytes()
        except GiveUp as error:
            error.add_proof(**{BACKUP_AT_FAULT: self.label})
            raise
