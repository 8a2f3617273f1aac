"""The same sealed objects into another repository, manifest last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.world import World
from understudy.repository.catalog import Repository
from understudy.repository.copying import copy_backup_objects
from understudy.repository.manifests import BackupManifest
from understudy.steps.codec import step_kind
from understudy.steps.left_out import leave_out, left_out
from understudy.steps.witness import Witness
from understudy.steps.write_backup_manifest import taken_backup
from understudy.vocabulary.errors import Cancelled, GiveUp, UnderstudyError
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import RepositoryName, ResourceName, StepKey
from understudy.vocabulary.phases import Phase

PARENT_MISSING = "parent_missing"


@step_kind("copy_backup")
@dataclass(frozen=True, slots=True)
class CopyBackup:
    """Needs no identity: what is copied was sealed for good, and its digest is compared on the way. Signed only while the
    repository is this controller's, like a backup's first manifest; and only where all that it stands on is there, too.

    ``may_be_left_out``: as ``AwaitWal``; but a part that is not as it was sealed is never passed over.
    """

    resource: str
    source: str
    repository: str
    may_be_left_out: bool = False
    PHASE: ClassVar = Phase.PROTECT

    @property
    def key(self) -> StepKey:
        return copy_completed_key(self.resource, self.repository)

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
        self._require_parents(backup, target)
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
            repository=self.repository,
            objects_copied=copied.objects,
            bytes_copied=copied.size_bytes,
            objects_there_already=copied.already_there,
            manifest_sha256=written.sha256,
        )

    def _require_parents(self, backup: BackupManifest, target: Repository) -> None:
        """Raises GiveUp ``parent_missing``: nothing could be restored there from the copy."""
        parent = backup.parent
        if parent is not None and not target.is_complete(ResourceName(self.resource), backup.system_identifier, parent):
            raise GiveUp(
                PARENT_MISSING,
                found=f"{backup.label} stands on {parent}, which is not complete in {self.repository}",
                expected=f"all that {backup.label} stands on in {self.repository}, too",
                hint=f"a full backup stands on no other: understudy backup {self.resource} --full",
            )


def copy_completed_key(resource: str, repository: str) -> StepKey:
    """Of the step with whose success the repository holds a copy of the backup."""
    return StepKey(f"{resource}/copy-backup-to-{repository}")
