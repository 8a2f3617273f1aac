"""The same sealed objects into another repository, manifest last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.world import World
from understudy.repository.catalog import Repository
from understudy.repository.copying import copy_backup_objects
from understudy.steps.codec import step_kind
from understudy.steps.left_out import leave_out, left_out
from understudy.steps.witness import Witness
from understudy.steps.write_backup_manifest import taken_backup
from understudy.vocabulary.errors import Cancelled, UnderstudyError
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import RepositoryName, StepKey
from understudy.vocabulary.phases import Phase


@step_kind("copy_backup")
@dataclass(frozen=True, slots=True)
class CopyBackup:
    """Needs no age identity: what is copied was sealed for good, and its digest is compared on the way. Signed only while the
    repository is this controller's, like a backup's first manifest.

    ``may_be_left_out``: as ``AwaitWal``; but a part that is not as it was sealed is never passed over.
    """

    resource: str
    source: str
    repository: str
    may_be_left_out: bool = False
    PHASE: ClassVar = Phase.PROTECT

    @property
    def key(self) -> StepKey:
        return StepKey(f"{self.resource}/copy-backup-to-{self.repository}")

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=24)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, f"the backup is complete in {self.repository}, too")
        skipped = left_out(world, witness, self.resource, self.repository)
        if skipped is not None:
            return skipped
        try:
            return self._copy(world, witness)
        except UnderstudyError as error:
            if not self.may_be_left_out or isinstance(error, Cancelled) or error.code == "part_corrupt":
                raise
            return leave_out(world, witness, self.resource, self.repository, error)

    def _copy(self, world: World, witness: Witness) -> Evidence:
        backup = taken_backup(world, self.resource)
        target = Repository.of(world, RepositoryName(self.repository))
        copied = copy_backup_objects(
            backup,
            world.stores[RepositoryName(self.source)],
            world.stores[RepositoryName(self.repository)],
            progress=world.progress,
            cancellation=world.cancellation,
        )
        target.require_epoch(world.controller)
        written = target.write_backup_manifest(backup)
        return witness.done(
            label=backup.label.text,
            objects_copied=copied.objects,
            bytes_copied=copied.size_bytes,
            objects_there_already=copied.already_there,
            manifest_sha256=written.sha256,
        )
