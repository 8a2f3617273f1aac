"""A snapshot's sealed objects into another repository, as far as they are not there already; manifest last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.world import World
from understudy.repository.catalog import Repository
from understudy.repository.snapshots.copying import copy_snapshot_objects
from understudy.steps.codec import step_kind
from understudy.steps.take_snapshot import snapshots_in, taken_snapshot
from understudy.steps.witness import Witness
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import RepositoryName, StepKey
from understudy.vocabulary.phases import Phase


@step_kind("copy_snapshot")
@dataclass(frozen=True, slots=True)
class CopySnapshot:
    """Needs no identity: what is copied was sealed for good, and its digest is compared on the way. A snapshot is whole by
    itself, so it is whole in the other repository, too, whichever earlier ones were never copied there.
    """

    resource: str
    kind: str
    source: str
    repository: str
    PHASE: ClassVar = Phase.PROTECT

    @property
    def key(self) -> StepKey:
        return snapshot_copied_key(self.resource, self.repository)

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=24)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, f"the snapshot is complete in {self.repository}, too")
        snapshot = taken_snapshot(world, self.resource)
        target = snapshots_in(world, self.repository, self.kind, self.resource)
        copied = copy_snapshot_objects(
            snapshot,
            world.stores[RepositoryName(self.source)],
            world.stores[RepositoryName(self.repository)],
            newest_there=target.newest_before(snapshot.stop_time),
            progress=world.progress,
            cancellation=world.cancellation,
        )
        Repository.of(world, RepositoryName(self.repository)).require_epoch(world.controller)
        written = target.write_manifest(snapshot)
        return witness.done(
            label=snapshot.label.text,
            repository=self.repository,
            objects_copied=copied.objects,
            bytes_copied=copied.size_bytes,
            objects_there_already=copied.already_there,
            manifest_sha256=written.sha256,
            changed_while_read=snapshot.changed_while_read,
            left_out=snapshot.left_out,
        )


def snapshot_copied_key(resource: str, repository: str) -> StepKey:
    """Of the step with whose success the repository holds a copy of the snapshot."""
    return StepKey(f"{resource}/copy-snapshot-to-{repository}")
