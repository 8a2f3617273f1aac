"""Of a snapshot that came to nothing, nothing is left: neither parts in the repository nor scratch files on this host."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.world import World
from understudy.repository.catalog import Repository
from understudy.repository.snapshots.scratch import discard_scratch
from understudy.steps.codec import step_kind
from understudy.steps.take_snapshot import snapshot_index, snapshots_in
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import Cancelled, UnderstudyError
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import RepositoryName, ResourceName, SnapshotLabel, StepKey
from understudy.vocabulary.phases import Phase


@step_kind("discard_snapshot_leftovers")
@dataclass(frozen=True, slots=True)
class DiscardSnapshotLeftovers:
    """Always runs; there is something to do only where no manifest was signed.

    A repository that is away then keeps them, and so does one that another controller took over: nothing refers to them, and
    retention removes them once they are old.
    """

    resource: str
    kind: str
    repository: str
    label: str
    PHASE: ClassVar = Phase.CLEAN_UP

    @property
    def key(self) -> StepKey:
        return StepKey(f"{self.resource}/discard-snapshot-leftovers")

    @property
    def time_limit(self) -> timedelta:
        return timedelta(minutes=15)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, "of a snapshot that was not completed nothing is left")
        if (staging := world.stagings.get(ResourceName(self.resource))) is not None:
            staging.discard()
        discard_scratch(snapshot_index(world, self.resource))
        with suppress(OSError):
            world.scratch.rmdir()
        repository = Repository.of(world, RepositoryName(self.repository))
        snapshots = snapshots_in(world, self.repository, self.kind, self.resource)
        label = SnapshotLabel(self.label)
        try:
            if world.stores[RepositoryName(self.repository)].head(snapshots.place.manifest(label)) is not None:
                return witness.skipped("the snapshot is complete")
            repository.require_epoch(world.controller)
            snapshots.remove_leftovers(label, None)
        except Cancelled:
            raise
        except UnderstudyError as error:
            return witness.skipped(f"{self.repository} cannot be tidied now, and retention will do it: {error.found}")
        return witness.done(repository=self.repository, label=self.label)
