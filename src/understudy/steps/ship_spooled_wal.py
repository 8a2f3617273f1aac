"""Bring the WAL that this host received into the repository that is restored from, and touch nothing else."""

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
from understudy.vocabulary.errors import Cancelled, TryAgain, UnderstudyError
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import RepositoryName, ResourceName, StepKey, SystemIdentifier
from understudy.vocabulary.phases import Phase
from understudy.vocabulary.sizes import readable_size

_PATIENCE_SECONDS = 30.0
"""Of a restore, with a repository that takes nothing just now."""

_FAILS_NOTHING = frozenset({"controller_superseded", "store_denied", "spool_unreadable", SPOOL_OF_ANOTHER_CLUSTER, WAL_CONFLICT})
"""This host has none of the database's WAL to give, or may not give it there; or it has that of a server which was set back,
without which a recovery would go on, too."""


@step_kind("ship_spooled_wal")
@dataclass(frozen=True, slots=True)
class ShipSpooledWal:
    """What a recovery of this moment would ship first, before a restore or a drill; the receiver and the server go on.

    Where this host has none to give, or another controller writes to the repository, it is left out with the reason, and what the
    repository holds is restored. A fault in shipping fails a drill, because the recovery would fail by it, too; a restore goes on
    without, because less is better than nothing.

    While ``serve`` ships, both do: each looks what is there, and the same bytes again are no conflict.
    """

    resource: str
    repository: str
    system_identifier: str
    segment_bytes: int
    faults_fail: bool
    PHASE: ClassVar = Phase.SHIP

    @property
    def key(self) -> StepKey:
        return StepKey(f"{self.resource}/ship-spooled-wal")

    @property
    def time_limit(self) -> timedelta:
        return timedelta(minutes=30)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, f"the WAL that this host received is in {self.repository}")
        try:
            return self._ship_patiently(world, witness)
        except UnderstudyError as error:
            if isinstance(error, Cancelled) or (self.faults_fail and error.code not in _FAILS_NOTHING):
                raise
            return witness.skipped(
                f"{error.code}: {error.found}",
                hint=f"what this host received last is not shipped, and what {self.repository} holds is restored: {error.found}",
                code=error.code,
            )

    def _ship_patiently(self, world: World, witness: Witness) -> Evidence:
        deadline = world.clock.monotonic_seconds() + _PATIENCE_SECONDS
        while True:
            try:
                shipped = self._ship(world, witness)
            except TryAgain as error:
                if self.faults_fail or world.clock.monotonic_seconds() >= deadline:
                    raise
                world.cancellation.raise_if_requested()
                world.progress.held_up(error)
                world.clock.wait(error.after.total_seconds())
            else:
                world.progress.held_up(None)
                return shipped

    def _ship(self, world: World, witness: Witness) -> Evidence:
        name, repository = ResourceName(self.resource), Repository.of(world, RepositoryName(self.repository))
        archive = repository.wal(name, SystemIdentifier(self.system_identifier), self.segment_bytes)
        spooled = spooled_wal(world.receivers[name], self.system_identifier, self.segment_bytes)
        if not spooled.timelines():
            return witness.skipped("this host's spool holds no WAL of it")
        repository.require_epoch(world.controller)
        only_here_bytes = self._only_here_bytes(world, archive.contents().bytes_lacking(spooled))
        shipped = ship_spool(world, self.resource, self.repository, self.system_identifier, self.segment_bytes)
        hints = [str(shipped.fault)] if shipped.fault is not None else []
        if only_here_bytes:
            hints.append(f"{readable_size(only_here_bytes)} of WAL lay on this host only, and would have been lost with it")
        return witness.done(
            hint="; ".join(hints),
            repository=self.repository,
            only_here_bytes=only_here_bytes,
            reaches=str(shipped.safe) if shipped.safe else None,
        )

    def _only_here_bytes(self, world: World, found_bytes: int) -> int:
        """As the first attempt found it: what that one shipped counts."""
        noted = world.receipts.read(self._receipt)
        if noted is None:
            noted = {"only_here_bytes": found_bytes}
            world.receipts.write(self._receipt, noted)
        return int(str(noted["only_here_bytes"]))

    @property
    def _receipt(self) -> str:
        return f"{self.resource}-spooled"
