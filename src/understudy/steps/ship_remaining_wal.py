"""Bring the last WAL that this host received into the repositories: what makes the difference between little loss and none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.wal_receiver import WalReceiver
from understudy.ports.world import World
from understudy.repository.catalog import Repository
from understudy.repository.wal_archive import WAL_CONFLICT
from understudy.steps.codec import step_kind
from understudy.steps.old_server_wal import Brought, OldServerWal
from understudy.steps.spooled_wal import SPOOL_OF_ANOTHER_CLUSTER, spooled_wal
from understudy.steps.wal_shipping import Shipped, ship_spool
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import Cancelled, GiveUp, UnderstudyError
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import RepositoryName, ResourceName, StepKey
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.phases import Phase


@step_kind("ship_remaining_wal")
@dataclass(frozen=True, slots=True)
class ShipRemainingWal:
    """Stops the receiver, whose server is gone, and ships the spool with its tail; then what the old server had written and the
    receiver did not get, because it was down or had no room, where the data directory is on this host.

    A repository that cannot be reached, or does not take it, does not stop a recovery that reads from another: it is reported,
    and only the first one must succeed. Nor does a spool of another history than the repository's stop it (``wal_conflict``): the
    server was set back, and what it had before is in the repository. Nor does a damaged copy there: the replay sees whether that
    matters.

    It is the first step that writes to the repositories, so it is here that they are taken over from another controller where a
    person said so: by now somebody has agreed to the recovery, and the old server is gone.
    """

    resource: str
    repositories: tuple[str, ...]
    system_identifier: str
    segment_bytes: int
    take_over: bool = False
    timeline: int = 0
    """On which the recovery ends."""
    old_directories: tuple[str, ...] = ()
    """Where the old server's data may be. A plan from before this was looked for names none."""
    PHASE: ClassVar = Phase.SHIP

    @property
    def key(self) -> StepKey:
        return StepKey(f"{self.resource}/ship-remaining-wal")

    @property
    def time_limit(self) -> timedelta:
        return timedelta(minutes=30)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, "every received byte of WAL is in every repository")
        receiver = world.receivers[ResourceName(self.resource)]
        receiver.stop()
        self._take_over(world)
        stranger = self._of_another_cluster(receiver)
        faults = [] if stranger is None else [f"nothing of the spool is shipped: {stranger.found}"]
        reached: dict[str, Json] = {}
        unreachable: list[str] = []
        left: dict[str, Brought] = {}
        old_server_wal = self._old_server_wal()
        for each in self.repositories:
            is_first = each == self.repositories[0]
            try:
                if stranger is None:
                    shipped = ship_spool(world, self.resource, each, self.system_identifier, self.segment_bytes)
                    reached[each] = _as_json(shipped)
                    faults += [f"{each}: {shipped.fault}"] if shipped.fault is not None else []
                for brought in old_server_wal.bring_into(world, each, first=is_first):
                    left.setdefault(brought.directory, brought)
            except UnderstudyError as error:
                if isinstance(error, Cancelled) or (is_first and error.code != WAL_CONFLICT):
                    raise
                unreachable.append(f"{each}: {error.found}")
        if stranger is not None and not any(brought.taken_bytes for brought in left.values()):
            why = f"{stranger.code}: {stranger.found}"
            return witness.skipped(why, hint=f"nothing is shipped: {stranger.found}", code=stranger.code)
        if unreachable:
            faults.append(f"not shipped to {'; '.join(unreachable)}")
        if faults:
            witness = witness.claiming("the WAL that was received is shipped, but for what the hint names")
        notes = [brought.note for brought in left.values() if brought.note]
        old_server: list[Json] = [brought.to_json() for brought in left.values()]
        hint = "; ".join([*faults, *notes])
        return witness.done(hint=hint, repositories=reached, unreachable=list(unreachable), old_server=old_server)

    def _of_another_cluster(self, receiver: WalReceiver) -> GiveUp | None:
        """Why the spool is not to be shipped; None where it is."""
        try:
            spooled_wal(receiver, self.system_identifier, self.segment_bytes)
        except GiveUp as error:
            if error.code != SPOOL_OF_ANOTHER_CLUSTER:
                raise
            return error
        return None

    def _old_server_wal(self) -> OldServerWal:
        directories = self.old_directories
        return OldServerWal(self.resource, self.system_identifier, self.segment_bytes, self.timeline, directories)

    def _take_over(self, world: World) -> None:
        """One that cannot be taken over now, the shipping to it tells."""
        for each in self.repositories if self.take_over else ():
            try:
                Repository.of(world, RepositoryName(each)).claim_epoch(world.controller, world.clock.now())
            except UnderstudyError:
                if each == self.repositories[0]:
                    raise


def _as_json(shipped: Shipped) -> JsonObject:
    return {
        "reaches": str(shipped.safe) if shipped.safe else None,
        "segments": shipped.segments,
        "tail_bytes": shipped.tail_bytes,
    }
