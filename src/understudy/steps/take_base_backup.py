"""Stream a base backup from the server into sealed parts."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from understudy import __version__
from understudy.ports.database import BaseBackupRequest, Database, ServerFacts
from understudy.ports.world import World
from understudy.repository.catalog import Repository
from understudy.repository.layout import MANIFEST_NAME, backup_prefix
from understudy.repository.manifests import BackupManifest, PartEntry, sums_digest
from understudy.repository.packing import INCREMENTAL_PART_BYTES, PackedBackup, pack_base_backup
from understudy.repository.part_uploads import PackingPlace
from understudy.repository.removal import Remover
from understudy.steps.codec import step_kind
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import Cancelled, GiveUp, UnderstudyError
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import BackupLabel, BackupOrigin, RepositoryName, ResourceName, StepKey
from understudy.vocabulary.phases import Phase


@step_kind("take_base_backup")
@dataclass(frozen=True, slots=True)
class TakeBaseBackup:
    """The backup's manifest, unsigned, is the receipt: signing and writing it is a later step, once its WAL is safe.

    Each attempt stores parts under names of its own, so that what a killed attempt left behind is never met again; the one that
    gets through removes it, as does one that fails for good or is cancelled. A killed run that is never resumed leaves its parts,
    and so does one that tried again until its time was up: without a manifest they are no backup, nothing refers to them, and
    retention removes them once they are old.
    """

    resource: str
    repository: str
    label: str
    parent: str | None
    reason: str
    part_bytes: int
    compression_level: int
    max_rate_kilobytes: int | None
    stack_digest: str
    origin: str | None = None
    """A ``BackupOrigin``; None in plans that were made before it was told."""
    PHASE: ClassVar = Phase.PROTECT

    @property
    def key(self) -> StepKey:
        return StepKey(f"{self.resource}/take-base-backup")

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=24)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, f"base backup {self.label} is stored, every file's checksum compared")
        receipt = world.receipts.read(backup_receipt(self.resource))
        if receipt is None:
            manifest = self._take(world)
            world.receipts.write(backup_receipt(self.resource), manifest.to_json())
        else:
            manifest = BackupManifest.from_json(receipt)
        prefix = backup_prefix(manifest.resource, manifest.system_identifier, manifest.label)
        self._remove_parts_but(world, prefix, manifest.entries)
        return witness.done(
            label=self.label,
            kind=manifest.kind.value,
            reason=self.reason,
            start_lsn=str(manifest.start_lsn),
            stop_lsn=str(manifest.stop_lsn),
            timeline=manifest.timeline,
            parts=len(manifest.parts),
            files=sum(part.files for part in manifest.parts),
            plain_bytes=manifest.plain_bytes,
            sealed_bytes=manifest.sealed_bytes,
            duration_seconds=(manifest.stop_time - manifest.start_time).total_seconds(),
        )

    def _take(self, world: World) -> BackupManifest:
        database = world.databases[ResourceName(self.resource)]
        facts = database.facts()
        attempts = world.receipts.read(f"{self.resource}-backup-attempts") or {"count": 0}
        number = int(str(attempts["count"])) + 1
        world.receipts.write(f"{self.resource}-backup-attempts", {"count": number})
        repository = Repository.of(world, RepositoryName(self.repository))
        place = PackingPlace(
            store=world.stores[RepositoryName(self.repository)],
            sealer=world.sealer,
            recipients=world.keys.recipients,
            prefix=backup_prefix(ResourceName(self.resource), facts.system_identifier, BackupLabel(self.label)),
            attempt=f"{world.run.rpartition('-')[2]}{number}",
            level=self.compression_level,
        )
        parent_text = self._parent_text(repository, world, facts)
        request = BaseBackupRequest(
            label=f"understudy {self.label}",
            max_rate_kilobytes=self.max_rate_kilobytes,
            incremental=self.parent is not None,
            parent_manifest=parent_text,
        )
        started = _server_time(database)
        try:
            with database.base_backup(request) as stream:
                packed = pack_base_backup(
                    stream,
                    place,
                    progress=world.progress,
                    cancellation=world.cancellation,
                    part_bytes=min(self.part_bytes, INCREMENTAL_PART_BYTES) if self.parent else self.part_bytes,
                )
        except (Cancelled, GiveUp):
            # Nobody will come back to these parts. What kept us from storing them may keep us from removing them, too.
            with suppress(UnderstudyError):
                self._remove_parts_but(world, place.prefix, ())
            raise
        return self._manifest(world, facts, packed, started, _server_time(database))

    def _remove_parts_but(self, world: World, prefix: str, wanted: Collection[PartEntry]) -> None:
        """What other attempts left in this backup's folder. Nothing is removed where a complete backup lies, nor what the store
        keeps: it goes with the backup."""
        store = world.stores[RepositoryName(self.repository)]
        if store.head(prefix + MANIFEST_NAME) is not None:
            return
        remover, kept = Remover(store), {prefix + entry.name for entry in wanted}
        for key in [found.key for found in store.list(prefix) if found.key not in kept]:
            remover.remove(key)

    def _manifest(
        self, world: World, facts: ServerFacts, packed: PackedBackup, started: datetime, stopped: datetime
    ) -> BackupManifest:
        label = BackupLabel(self.label)
        return BackupManifest(
            label=label,
            resource=ResourceName(self.resource),
            system_identifier=facts.system_identifier,
            server_version_number=facts.version_number,
            timeline=packed.start.timeline,
            start_lsn=packed.start.lsn,
            stop_lsn=packed.stop.lsn,
            start_time=started,
            stop_time=stopped,
            parent=BackupLabel(self.parent) if self.parent else None,
            tablespaces=packed.start.tablespaces,
            segment_bytes=facts.segment_bytes,
            data_checksums=facts.data_checksums,
            parts=packed.parts,
            backup_manifest=packed.server_manifest,
            sums_sha256=sums_digest([*packed.parts, packed.server_manifest]),
            compression=f"zstd-{self.compression_level}",
            stack_digest=self.stack_digest,
            understudy_version=__version__,
            run=world.run,
            origin=None if self.origin is None else BackupOrigin(self.origin),
        )

    def _parent_text(self, repository: Repository, world: World, facts: ServerFacts) -> tuple[bytes, ...]:
        """The parent's server manifest, which the server compares with what it has."""
        if self.parent is None:
            return ()
        if world.keys.identity is None:
            raise GiveUp(
                "incremental_refused",
                found=f"no identity on this host to open the manifest of {self.parent} with",
                expected="the manifest of the backup that this one stands on",
                hint="take full backups here, or name an identity as encryption.identity in the stack file",
            )
        parent = repository.backup(ResourceName(self.resource), facts.system_identifier, BackupLabel(self.parent))
        try:
            return tuple(repository.read_server_manifest(parent))
        except GiveUp as error:
            if error.code != "wrong_key":
                raise
            raise GiveUp(
                "incremental_refused",
                found=f"the identity on this host does not open the manifest of {self.parent}: it is sealed to others",
                expected="the manifest of the backup that this one stands on",
                hint="take a full backup, or keep the earlier key in the file that encryption.identity names, one a line",
            ) from error


def backup_receipt(resource: str) -> str:
    """The name of the receipt that holds the new backup's manifest."""
    return f"{resource}-backup"


def _server_time(database: Database) -> datetime:
    """By the server's own clock: targets in time are compared with commits that it stamped."""
    rows = database.query("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US')")
    return datetime.fromisoformat(f"{rows[0][0]}+00:00")
