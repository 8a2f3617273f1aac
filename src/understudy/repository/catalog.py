"""The repository as a whole. There is no index: what it holds is what its signed manifests say, found by listing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from understudy.ports.clock import Clock
from understudy.ports.object_store import ObjectStore, Written
from understudy.ports.sealer import Sealer
from understudy.ports.world import Keys, World
from understudy.repository.description import RepositoryDescription, read_description, write_description
from understudy.repository.epochs import ControllerEpoch, OwnClaim, claim_epoch, current_epoch, require_epoch
from understudy.repository.layout import (
    MANIFEST_NAME,
    RECOVERY_PAGE_KEY,
    SUMS_NAME,
    backup_prefix,
    backups_prefix,
    resource_prefix,
)
from understudy.repository.manifests import BackupManifest, sums_text
from understudy.repository.put_once import put_once
from understudy.repository.quarantine import (
    Quarantine,
    QuarantinesFound,
    Taken,
    believed,
    find_quarantines,
    lift_quarantine,
    set_quarantine,
)
from understudy.repository.recovery_page import recovery_page
from understudy.repository.sealing import opened_by, part_corrupt, read_sealed, require_sealing, sealing_differs
from understudy.repository.server_manifest import parse_server_manifest
from understudy.repository.signing import Signer, malformed, read_document
from understudy.repository.snapshots.catalog import Snapshots
from understudy.repository.snapshots.keys import SnapshotKeys
from understudy.repository.unpacking import SealedBackup
from understudy.repository.wal_archive import WalArchive
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import BackupLabel, RepositoryName, ResourceName, SystemIdentifier, is_backup_label
from understudy.vocabulary.secret import Secret

T = TypeVar("T", bound=Taken)

_OF_THE_STORE = ("store_denied", "store_refused", "bucket_missing")
"""What keeps a manifest from being read, and says nothing of what is there."""


@dataclass(frozen=True, slots=True)
class UnusableBackup:
    """A folder with a manifest that cannot be used, and why: not trusted, damaged, or of a newer format."""

    key: str
    error: GiveUp


@dataclass(frozen=True, slots=True)
class BackupListing:
    usable: tuple[BackupManifest, ...]
    """Ascending by label."""
    unusable: tuple[UnusableBackup, ...]
    unfinished: tuple[tuple[SystemIdentifier, BackupLabel], ...] = ()
    """Folders without a manifest: they are no backups. An attempt is at work there, or was killed; or a removal was."""


class Repository:
    """One store with the keys that go with it."""

    def __init__(self, store: ObjectStore, sealer: Sealer, keys: Keys) -> None:
        """Nothing is read: ``describe`` tells whether a repository is there."""
        self._store = store
        self._sealer = sealer
        self._keys = keys

    @classmethod
    def of(cls, world: World, name: RepositoryName) -> Repository:
        return cls(world.stores[name], world.sealer, world.keys)

    def create(self, repository_id: str, created: datetime) -> RepositoryDescription:
        """Write ``RECOVERY.md`` and ``repository.json``, unless they are there. Twice is the same as once.

        Args:
            repository_id: A random name, so that two repositories are never mistaken for one another.

        Raises:
            Refusal: ``repository_of_another``: the store holds a repository with another id.
            GiveUp: as ``describe`` and the store do.
        """
        if self._store.head(RECOVERY_PAGE_KEY) is None:
            try:
                self._store.put(RECOVERY_PAGE_KEY, [recovery_page(self._sealer.sealing).encode()])
            except GiveUp as error:
                if error.code != "object_exists":  # who else makes it stores the same page
                    raise
        return write_description(self._store, self._keys, repository_id, created, self._sealer.sealing)

    def describe(self) -> RepositoryDescription:
        """What ``repository.json`` says.

        Raises:
            GiveUp: ``repository_missing``; ``signature_untrusted`` and its kin; ``document_malformed``.
            Refusal: ``format_newer``; ``sealing_differs``: it is sealed in the other way than here.
        """
        found = read_description(self._store, self._keys)
        if found.sealing is not self._sealer.sealing:
            raise sealing_differs(f"the repository in {self._store.url}", found.sealing, self._sealer.sealing)
        return found

    def current_epoch(self) -> ControllerEpoch | None:
        """As ``epochs.current_epoch``."""
        return current_epoch(self._store, self._keys)

    def claim_epoch(self, controller: str, now: datetime) -> ControllerEpoch:
        """As ``epochs.claim_epoch``."""
        return claim_epoch(self._store, self._keys, controller, now)

    def require_epoch(self, controller: str) -> ControllerEpoch:
        """As ``epochs.require_epoch``."""
        return require_epoch(self._store, self._keys, controller)

    def own_claim(self, controller: str, clock: Clock) -> OwnClaim:
        """For what writes often. As ``epochs.OwnClaim``."""
        return OwnClaim(self._store, self._keys, controller, clock)

    def clusters(self, resource: ResourceName) -> tuple[SystemIdentifier, ...]:
        """The system identifiers under which anything of the resource lies, ascending."""
        return tuple(SystemIdentifier(name) for name in self._store.folders(resource_prefix(resource)))

    def quarantines(self, resource: ResourceName) -> QuarantinesFound:
        """As ``quarantine.find_quarantines``."""
        return find_quarantines(self._store, self._keys, resource)

    def set_quarantine(self, mark: Quarantine) -> None:
        """As ``quarantine.set_quarantine``."""
        set_quarantine(self._store, self._keys, mark)

    def lift_quarantine(self, resource: ResourceName, name: str, by: str, now: datetime) -> None:
        """As ``quarantine.lift_quarantine``."""
        lift_quarantine(self._store, self._keys, resource, name, by, now)

    def believed(self, resource: ResourceName, taken: Iterable[T]) -> tuple[T, ...]:
        """Those that no quarantine here concerns. Raises as ``quarantines`` does."""
        return believed(self.quarantines(resource).standing, taken)

    def wal(self, resource: ResourceName, system_identifier: SystemIdentifier, segment_bytes: int) -> WalArchive:
        return WalArchive(self._store, self._sealer, self._keys, resource, system_identifier, segment_bytes)

    def snapshots(self, kind: str, resource: ResourceName) -> Snapshots:
        """Those of a resource that is no database. ``kind``: the resource's, ``files`` or ``bucket``."""
        return Snapshots(self._store, self._sealer, self._keys, SnapshotKeys(kind, resource))

    def backups(self, resource: ResourceName, system_identifier: SystemIdentifier | None = None) -> BackupListing:
        """Every backup of the resource, of one cluster or of all."""
        usable: list[BackupManifest] = []
        unusable: list[UnusableBackup] = []
        unfinished: list[tuple[SystemIdentifier, BackupLabel]] = []
        for cluster in self.clusters(resource) if system_identifier is None else (system_identifier,):
            for folder in self._store.folders(backups_prefix(resource, cluster)):
                try:
                    manifest = self._manifest(resource, cluster, folder)
                except GiveUp as error:
                    unusable.append(UnusableBackup(f"{backups_prefix(resource, cluster)}{folder}/{MANIFEST_NAME}", error))
                    continue
                if manifest is not None:
                    usable.append(manifest)
                elif is_backup_label(folder):
                    unfinished.append((cluster, BackupLabel(folder)))
        return BackupListing(tuple(sorted(usable, key=lambda each: each.label)), tuple(unusable), tuple(unfinished))

    def backup(self, resource: ResourceName, system_identifier: SystemIdentifier, label: BackupLabel) -> BackupManifest:
        """One backup's manifest.

        Raises:
            GiveUp: ``backup_missing``; ``signature_untrusted`` and its kin; ``document_malformed``.
            Refusal: ``format_newer``.
        """
        manifest = self._manifest(resource, system_identifier, str(label))
        if manifest is None:
            raise GiveUp(
                "backup_missing",
                found=f"no backup {label} of {resource} (cluster {system_identifier}) in {self._store.url}",
                expected="a folder with a signed manifest",
                hint="list what is there: understudy backups",
            )
        return manifest

    def chain(
        self, resource: ResourceName, system_identifier: SystemIdentifier, label: BackupLabel
    ) -> tuple[BackupManifest, ...]:
        """The backup with all that it stands on, full first.

        Raises:
            GiveUp: ``chain_broken``: one of its parents is missing or unusable; and as ``backup`` does.
        """
        chain = [self.backup(resource, system_identifier, label)]
        seen = {label}
        while (parent := chain[0].parent) is not None:
            try:
                if parent in seen:
                    raise malformed(f"{parent} stands on itself")
                chain.insert(0, self.backup(resource, system_identifier, parent))
            except GiveUp as error:
                raise GiveUp(
                    "chain_broken",
                    found=f"{chain[0].label} stands on {parent}, which is not usable: {error.found}",
                    expected="every backup down to its full one",
                    hint="restore from a backup of another chain, and take a full backup: understudy backup RESOURCE --full",
                ) from error
            seen.add(parent)
        return tuple(chain)

    def is_complete(self, resource: ResourceName, system_identifier: SystemIdentifier, label: BackupLabel) -> bool:
        """Whether the backup and all that it stands on have manifests here that can be believed. Raises as the store does."""
        try:
            self.chain(resource, system_identifier, label)
        except GiveUp as error:
            if error.code in _OF_THE_STORE:
                raise
            return False
        return True

    def write_backup_manifest(self, manifest: BackupManifest) -> Written:
        """``SHA256SUMS``, then the signed ``backup.json``: from here on the backup exists. Twice is the same as once.

        Looks before whether each part is there with its size.

        Raises:
            GiveUp: ``part_corrupt`` (a part is absent or of another size), ``backup_exists`` (another one has this label),
                ``signing_key_missing``.
        """
        prefix = backup_prefix(manifest.resource, manifest.system_identifier, manifest.label)
        for entry in manifest.entries:
            found = self._store.head(prefix + entry.name)
            if found is None or found.size_bytes != entry.sealed_bytes:
                size = "nothing" if found is None else f"{found.size_bytes} bytes"
                raise part_corrupt(prefix + entry.name, f"{size} instead of {entry.sealed_bytes} bytes", entry.sealed_sha256)
        put_once(self._store, prefix + SUMS_NAME, sums_text(manifest.entries), "backup_exists")
        return put_once(
            self._store, prefix + MANIFEST_NAME, Signer.of(self._keys).seal_document(manifest.to_json()), "backup_exists"
        )

    def read_server_manifest(self, backup: BackupManifest) -> Iterator[bytes]:
        """The server's own ``backup_manifest``, opened.

        Raises:
            GiveUp: as ``read_sealed`` does; ``identity_missing``.
        """
        prefix = backup_prefix(backup.resource, backup.system_identifier, backup.label)
        entry = backup.backup_manifest
        return read_sealed(self._store, self._sealer, prefix + entry.name, self._identity(), entry.sealed_sha256)

    def require_sealing_of(self, name: str) -> None:
        """``name``: of an object here. Raises as ``sealing.require_sealing`` does."""
        require_sealing(self._sealer, name)

    def opened_by(self, backup: BackupManifest) -> str:
        """The recipient that the identity here opens the backup as. Raises as ``read_server_manifest`` does."""
        prefix = backup_prefix(backup.resource, backup.system_identifier, backup.label)
        return opened_by(self._store, self._sealer, prefix + backup.backup_manifest.name, self._identity())

    def sealed(self, backup: BackupManifest) -> SealedBackup:
        """The backup with what opens it, for unpacking.

        Raises:
            GiveUp: as ``read_server_manifest`` does; ``manifest_corrupt``.
        """
        return SealedBackup(
            store=self._store,
            sealer=self._sealer,
            identity=self._identity(),
            prefix=backup_prefix(backup.resource, backup.system_identifier, backup.label),
            parts=backup.parts,
            manifest=parse_server_manifest(b"".join(self.read_server_manifest(backup))),
        )

    def _manifest(self, resource: ResourceName, cluster: SystemIdentifier, folder: str) -> BackupManifest | None:
        """None: no manifest in this folder."""
        key = f"{backups_prefix(resource, cluster)}{folder}/{MANIFEST_NAME}"
        try:
            stored = b"".join(self._store.read(key))
        except GiveUp as error:
            if error.code == "object_missing":
                return None
            raise
        manifest = BackupManifest.from_json(read_document(stored, self._keys.trusted_signers))
        if (manifest.resource, manifest.system_identifier, str(manifest.label)) != (resource, cluster, folder):
            raise malformed(f"the manifest of {manifest.label} of {manifest.resource} under {key}", "the one that its key says")
        return manifest

    def _identity(self) -> Secret:
        if self._keys.identity is None:
            raise GiveUp(
                "identity_missing",
                found="no identity here to open the backup with",
                expected="the identity of one of the repository's recipients",
                hint="name it in the stack file under encryption: identity; it is in the recovery kit",
            )
        return self._keys.identity
