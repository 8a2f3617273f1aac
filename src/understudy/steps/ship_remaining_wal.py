"""Bring the last WAL that this host received into the repositories: what makes the difference between little loss and none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.world import World
from understudy.repository.catalog import Repository
from understudy.repository.wal_archive import WAL_CONFLICT
from understudy.steps.codec import step_kind
from understudy.steps.spooled_wal import SPOOL_OF_ANOTHER_CLUSTER, spooled_wal
from understudy.steps.wal_shipping import ship_spool
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import Cancelled, GiveUp, UnderstudyError
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import RepositoryName, ResourceName, StepKey
from understudy.vocabulary.json import Json
from understudy.vocabulary.phases import Phase


@step_kind("ship_remaining_wal")
@dataclass(frozen=True, slots=True)
class ShipRemainingWal:
    """Stops the receiver, whose server is gone, and ships the spool with its tail.

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
        try:
            spooled_wal(receiver, self.system_identifier, self.segment_bytes)
        except GiveUp as error:
            if error.code != SPOOL_OF_ANOTHER_CLUSTER:
                raise
            return witness.skipped(f"{error.code}: {error.found}", hint=f"nothing is shipped: {error.found}", code=error.code)
        reached: dict[str, Json] = {}
        unreachable: list[str] = []
        hints: list[str] = []
        for each in self.repositories:
            try:
                shipped = ship_spool(world, self.resource, each, self.system_identifier, self.segment_bytes)
            except UnderstudyError as error:
                if isinstance(error, Cancelled) or (each == self.repositories[0] and error.code != WAL_CONFLICT):
                    raise
                unreachable.append(f"{each}: {error.found}")
                continue
            reached[each] = {
                "reaches": str(shipped.safe) if shipped.safe else None,
                "segments": shipped.segments,
                "tail_bytes": shipped.tail_bytes,
            }
            if shipped.fault is not None:
                hints.append(f"{each}: {shipped.fault}")
        if unreachable:
            hints.append(f"not shipped to {'; '.join(unreachable)}")
        if hints:
            witness = witness.claiming("the WAL that was received is shipped, but for what the hint names")
        return witness.done(hint="; ".join(hints), repositories=reached, unreachable=list(unreachable))

    def _take_over(self, world: World) -> None:
        """One that cannot be taken over now, the shipping to it tells."""
        for each in self.repositories if self.take_over else ():
            try:
                Repository.of(world, RepositoryName(each)).claim_epoch(world.controller, world.clock.now())
            except UnderstudyError:
                if each == self.repositories[0]:
                    raise
