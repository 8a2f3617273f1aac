"""WAL that every repository holds, out of the spool."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.world import World
from understudy.repository.catalog import Repository
from understudy.steps.codec import step_kind
from understudy.steps.wal_shipping import WalShipper, forget_shipped
from understudy.steps.witness import Witness
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import RepositoryName, ResourceName, StepKey, SystemIdentifier
from understudy.vocabulary.json import Json
from understudy.vocabulary.phases import Phase


@step_kind("forget_shipped_wal")
@dataclass(frozen=True, slots=True)
class ForgetShippedWal:
    """Before retention removes WAL from a repository: what the spool still holds would be shipped there again.

    The control plane does so all the time; without it nobody does.
    """

    resource: str
    repositories: tuple[str, ...]
    """All of the resource."""
    system_identifier: str
    segment_bytes: int
    PHASE: ClassVar = Phase.CLEAN_UP

    @property
    def key(self) -> StepKey:
        return StepKey(f"{self.resource}/forget-shipped-wal")

    @property
    def time_limit(self) -> timedelta:
        return timedelta(minutes=5)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, "the spool holds only what some repository has not got, and the newest")
        resource, system = ResourceName(self.resource), SystemIdentifier(self.system_identifier)
        receiver = world.receivers[resource]
        shippers = []
        damaged: list[Json] = []
        for name in self.repositories:
            repository = Repository.of(world, RepositoryName(name))
            archive = repository.wal(resource, system, self.segment_bytes)
            shippers.append(WalShipper(receiver, archive, repository.own_claim(world.controller, world.clock)))
            fault = shippers[-1].compare_once()
            if fault is not None:
                damaged.append(f"{name}: {fault}")
        forget_shipped(receiver, shippers)
        hint = "; ".join(str(each) for each in damaged)
        return witness.done(hint=hint, left=[segment.name for segment in receiver.spool().segments], damaged=damaged)
