"""The signed manifest, last: from here on the backup exists."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.world import World
from understudy.repository.catalog import Repository
from understudy.repository.manifests import BackupManifest
from understudy.steps.codec import step_kind
from understudy.steps.take_base_backup import backup_receipt
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import RepositoryName, StepKey
from understudy.vocabulary.phases import Phase


@step_kind("write_backup_manifest")
@dataclass(frozen=True, slots=True)
class WriteBackupManifest:
    """Looks whether every part is in the store at its size before it signs that they are, and whether the repository is still
    this controller's: who took it over while the backup was taken counts on being the only one to sign.
    """

    resource: str
    repository: str
    PHASE: ClassVar = Phase.PROTECT

    @property
    def key(self) -> StepKey:
        return backup_completed_key(self.resource)

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=1)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, "the backup is complete: its signed manifest is in the repository")
        manifest = taken_backup(world, self.resource)
        repository = Repository.of(world, RepositoryName(self.repository))
        repository.require_epoch(world.controller)
        written = repository.write_backup_manifest(manifest)
        return witness.done(
            label=manifest.label.text,
            repository=self.repository,
            objects=len(manifest.entries),
            sealed_bytes=manifest.sealed_bytes,
            manifest_sha256=written.sha256,
        )


def backup_completed_key(resource: str) -> StepKey:
    """Of the step with whose success a backup is one."""
    return StepKey(f"{resource}/write-backup-manifest")


def taken_backup(world: World, resource: str) -> BackupManifest:
    """The manifest that ``TakeBaseBackup`` left as its receipt.

    Raises:
        GiveUp: ``receipt_missing``.
    """
    receipt = world.receipts.read(backup_receipt(resource))
    if receipt is None:
        raise GiveUp(
            "receipt_missing",
            found=f"run {world.run} holds no receipt of a base backup of {resource}",
            expected="the receipt that taking it left in the state directory",
            hint="somebody removed files of this run; start a new backup",
        )
    return BackupManifest.from_json(receipt)
