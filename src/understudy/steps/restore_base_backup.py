"""The backup chain into the claimed directory: the full one unpacked, each incremental applied in place while it streams."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import ClassVar, cast

from understudy.ports.world import World
from understudy.repository.catalog import Repository
from understudy.repository.chain_reading import ChainReader
from understudy.repository.manifests import BackupManifest
from understudy.repository.restore_target import RestoreTarget
from understudy.repository.server_manifest import ServerManifest
from understudy.repository.unpacking import SealedBackup, unpack_backup
from understudy.steps.codec import step_kind
from understudy.steps.placed import PlacedStep
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import BackupLabel, RepositoryName, ResourceName, SystemIdentifier
from understudy.vocabulary.json import Json
from understudy.vocabulary.phases import Phase

RESTORES_BASE_BACKUP = "restore_base_backup"
"""The kind of step, as it is written in plans: by what it restored, retention knows what was proven."""
BACKUP_AT_FAULT = "backup"
"""In the proof of a restore that failed: the label of the backup in which it did."""


@dataclass(frozen=True, slots=True)
class _Restored:
    label: str
    files: int
    plain_bytes: int


@step_kind(RESTORES_BASE_BACKUP)
@dataclass(frozen=True, slots=True)
class RestoreBaseBackup(PlacedStep):
    """Every part's digest, every file's CRC32C and the manifests' signatures are checked on the way.

    ``labels`` are the chain, full first; ``tablespaces`` maps oids (as text) to claimed directories. A part that a killed attempt
    finished is not fetched again.
    """

    repository: str
    system_identifier: str
    labels: tuple[str, ...]
    tablespaces: Mapping[str, str]
    workers: int
    warm_copy_unused: str = ""
    """Why a real recovery restores although a warm copy is kept; empty where none is."""
    VERB = "restore-base-backup"
    PHASE: ClassVar = Phase.RESTORE

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=24)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, f"restored {' + '.join(self.labels)}")
        done = world.receipts.read(self.receipt)
        hint = f"the warm copy is not used: {self.warm_copy_unused}" if self.warm_copy_unused else ""
        if done is not None:
            return witness.done(done, hint=hint)
        if world.keys.identity is None:
            raise GiveUp(
                "identity_missing",
                found="no identity on this host",
                expected="the identity of one of the repository's recipients",
                hint="name it as encryption.identity in the stack file; it is in the recovery kit",
            )
        if world.places.facts(self.place.directory).claimed_by != world.run:
            raise GiveUp(
                "target_not_claimed",
                found=f"{self.place.directory} bears no marker of run {world.run}",
                expected="the marker that provisioning left there",
                hint="somebody changed the directory meanwhile; start a new run with an empty one",
            )
        result = self._restore(world)
        world.receipts.write(self.receipt, result)
        return witness.done(result, hint=hint)

    @property
    def receipt(self) -> str:
        return f"{self.resource}-restored"

    def _restore(self, world: World) -> dict[str, Json]:
        repository = Repository.of(world, RepositoryName(self.repository))
        target = RestoreTarget(
            Path(self.place.directory),
            {int(oid): Path(directory) for oid, directory in self.tablespaces.items()},
            self.instances(world).owner,
        )
        parent: ServerManifest | None = None
        restored: list[_Restored] = []
        sealed_bytes = 0
        with ChainReader(lambda label: self._opened(repository, label)) as chain:
            for label, following in zip_longest(self.labels, self.labels[1:]):
                try:
                    backup, sealed = chain.take(label)
                    last_begun = partial(chain.begin, following) if following else None
                    restored.append(self._unpack_once(world, label, sealed, target, parent, last_begun))
                except GiveUp as error:
                    error.add_proof(**{BACKUP_AT_FAULT: label})
                    raise
                sealed_bytes += backup.sealed_bytes
                parent = sealed.manifest
            opened_by = repository.opened_by(backup)
        return {
            "labels": list(self.labels),
            "repository": self.repository,
            "opened_by": opened_by,
            "files": restored[-1].files,
            "unpacked_bytes": sum(each.plain_bytes for each in restored),
            "sealed_bytes": sealed_bytes,
        }

    def _opened(self, repository: Repository, label: str) -> tuple[BackupManifest, SealedBackup]:
        backup = repository.backup(ResourceName(self.resource), SystemIdentifier(self.system_identifier), BackupLabel(label))
        return backup, repository.sealed(backup)

    def _unpack_once(
        self,
        world: World,
        label: str,
        sealed: SealedBackup,
        target: RestoreTarget,
        parent: ServerManifest | None,
        last_begun: Callable[[], None] | None,
    ) -> _Restored:
        """One backup of the chain. Once it is in, it is never applied again: what follows it has changed the files since."""
        finished = world.receipts.read(f"{self.receipt}-{label}")
        if finished is not None:
            return _Restored(label, cast(int, finished["files"]), cast(int, finished["plain_bytes"]))
        # Each part remembered costs a flush of the whole file system: worth it for a full backup, whose parts took long to
        # fetch. An incremental is small, and applying it again from its start is the same as once.
        parts = f"{self.receipt}-{label}-parts" if parent is None else None
        unpacked = unpack_backup(
            sealed,
            target,
            progress=world.progress,
            cancellation=world.cancellation,
            parent=parent,
            done_parts=_parts_done(world, parts) if parts else None,
            part_done=_remember_part(world, parts) if parts else None,
            last_begun=last_begun,
            workers=self.workers,
        )
        world.receipts.write(f"{self.receipt}-{label}", {"files": unpacked.files, "plain_bytes": unpacked.plain_bytes})
        return _Restored(label, unpacked.files, unpacked.plain_bytes)


def _parts_done(world: World, receipt: str) -> Mapping[str, Sequence[str]]:
    """What an earlier attempt of this run finished: part names, and the directories that each held."""
    parts = (world.receipts.read(receipt) or {}).get("parts", {})
    return cast(Mapping[str, Sequence[str]], parts)


def _remember_part(world: World, receipt: str) -> Callable[[str, Sequence[str]], None]:
    done = dict(_parts_done(world, receipt))

    def remember(name: str, directories: Sequence[str]) -> None:
        done[name] = list(directories)
        world.receipts.write(receipt, {"parts": done})

    return remember
