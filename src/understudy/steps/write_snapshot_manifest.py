"""The signed manifest of a snapshot, last: from here on the snapshot exists."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.world import World
from understudy.repository.catalog import Repository
from understudy.steps.codec import step_kind
from understudy.steps.take_snapshot import snapshots_in, taken_snapshot
from understudy.steps.witness import Witness
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import RepositoryName, StepKey
from understudy.vocabulary.phases import Phase


@step_kind("write_snapshot_manifest")
@dataclass(frozen=True, slots=True)
class WriteSnapshotManifest:
    """Looks before whether every part is in the store at its size, those of earlier snapshots included, and whether the
    repository is still this controller's.
    """

    resource: str
    kind: str
    repository: str
    PHASE: ClassVar = Phase.PROTECT

    @property
    def key(self) -> StepKey:
        return snapshot_completed_key(self.resource)

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=1)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, "the snapshot is complete: its signed manifest is in the repository")
        manifest = taken_snapshot(world, self.resource)
        Repository.of(world, RepositoryName(self.repository)).require_epoch(world.controller)
        written = snapshots_in(world, self.repository, self.kind, self.resource).write_manifest(manifest)
        return witness.done(
            label=manifest.label.text,
            repository=self.repository,
            objects=len(manifest.objects()),
            sealed_bytes=manifest.sealed_bytes,
            changed_while_read=manifest.changed_while_read,
            left_out=manifest.left_out,
            manifest_sha256=written.sha256,
        )


def snapshot_completed_key(resource: str) -> StepKey:
    """Of the step with whose success a snapshot is one."""
    return StepKey(f"{resource}/write-snapshot-manifest")
