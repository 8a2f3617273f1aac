"""The snapshots of one resource in one repository, found by listing: what is there is what its signed manifests say."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from understudy.ports.object_store import ObjectStore, Written
from understudy.ports.sealer import Sealer
from understudy.ports.world import Keys
from understudy.repository.layout import SUMS_NAME
from understudy.repository.put_once import put_once
from understudy.repository.removal import Remover
from understudy.repository.sealing import opened_by, part_corrupt, read_sealed
from understudy.repository.signing import Signer, malformed, read_document
from understudy.repository.snapshots.keys import SNAPSHOT_MANIFEST_NAME, SnapshotKeys
from understudy.repository.snapshots.listing import ListedEntry, decode_listing
from understudy.repository.snapshots.manifest import SealedPart, SnapshotManifest
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import SnapshotLabel, is_snapshot_label
from understudy.vocabulary.secret import Secret


@dataclass(frozen=True, slots=True)
class UnusableSnapshot:
    """A folder with a manifest that cannot be used, and why: not trusted, damaged, or of a newer format."""

    key: str
    error: GiveUp


@dataclass(frozen=True, slots=True)
class SnapshotsFound:
    usable: tuple[SnapshotManifest, ...]
    """Ascending by label."""
    unusable: tuple[UnusableSnapshot, ...]
    unfinished: tuple[SnapshotLabel, ...]
    """Folders without a manifest: they are no snapshots. An attempt is at work there, or was killed; or a removal was. One that
    is at work before its listing is stored has no folder yet: see ``unfinished_parts``.
    """


@dataclass(frozen=True, slots=True)
class OpenedSnapshot:
    """One snapshot as it lies in a store, with what opens it."""

    store: ObjectStore
    sealer: Sealer
    identity: Secret
    manifest: SnapshotManifest

    def opened_by(self) -> str:
        """The recipient that the identity opens it as. Raises as ``read_sealed`` does."""
        ((key, _), *_) = self.manifest.objects()
        return opened_by(self.store, self.sealer, key, self.identity)

    def listing(self) -> Iterator[ListedEntry]:
        """Every entry, ascending by key, without holding them in memory. Use them only once the stream ended well.

        Raises:
            GiveUp: ``part_missing``, ``part_corrupt``, ``document_malformed``, and as ``read_sealed`` does.
        """
        ((key, listing), *_) = self.manifest.objects()
        count = 0
        with closing(self._read(key, listing)) as pieces:
            for listed in decode_listing(pieces):
                count += 1
                yield listed
        if count != self.manifest.entries:
            raise malformed(f"{key} holds {count} entries", f"{self.manifest.entries}, as the manifest says")

    def sparse_bytes(self) -> int:
        """Of the contents that were sparse files, their holes counted: how much less they take, a snapshot does not say.

        Raises as ``listing`` does.
        """
        return sum(each.entry.size_bytes for each in self.listing() if each.entry.attributes.get("sparse") is True)

    def read_part(self, part: SealedPart) -> Iterator[bytes]:
        """The part's archive. Use it only once the stream ended well.

        Raises:
            GiveUp: ``part_missing``, ``part_corrupt``, and as ``read_sealed`` does.
        """
        return self._read(self.manifest.keys.part(part.name), part)

    def _read(self, key: str, part: SealedPart) -> Generator[bytes]:
        try:
            yield from read_sealed(self.store, self.sealer, key, self.identity, part.sealed_sha256)
        except GiveUp as error:
            if error.code != "object_missing":
                raise
            raise part_missing(key, self.store.url) from error


class Snapshots:
    """Of one resource, in one store, with the keys that go with it. Nothing is read before it is asked for."""

    def __init__(self, store: ObjectStore, sealer: Sealer, keys: Keys, place: SnapshotKeys) -> None:
        self._store = store
        self._sealer = sealer
        self._keys = keys
        self.place = place

    def found(self) -> SnapshotsFound:
        """Every snapshot of the resource."""
        usable: list[SnapshotManifest] = []
        unusable: list[UnusableSnapshot] = []
        unfinished: list[SnapshotLabel] = []
        for folder in self._store.folders(self.place.snapshots):
            try:
                manifest = self._manifest(folder)
            except GiveUp as error:
                unusable.append(UnusableSnapshot(f"{self.place.snapshots}{folder}/{SNAPSHOT_MANIFEST_NAME}", error))
                continue
            if manifest is not None:
                usable.append(manifest)
            elif is_snapshot_label(folder):
                unfinished.append(SnapshotLabel(folder))
        return SnapshotsFound(tuple(usable), tuple(unusable), tuple(unfinished))

    def snapshot(self, label: SnapshotLabel) -> SnapshotManifest:
        """
        Raises:
            GiveUp: ``snapshot_missing``; ``signature_untrusted`` and its kin; ``document_malformed``.
            Refusal: ``format_newer``.
        """
        manifest = self._manifest(str(label))
        if manifest is None:
            raise GiveUp(
                "snapshot_missing",
                found=f"no snapshot {label} of {self.place.resource} in {self._store.url}",
                expected="a folder with a signed manifest",
                hint=f"list what is there: understudy backups {self.place.resource}",
            )
        return manifest

    def newest_before(self, moment: datetime) -> SnapshotManifest | None:
        """The newest usable one that was complete at ``moment``; None where there is none. Reads as few as it can."""
        for folder in sorted(self._store.folders(self.place.snapshots), reverse=True):
            try:
                manifest = self._manifest(folder)
            except GiveUp as error:
                if error.code in ("store_denied", "store_refused", "bucket_missing"):
                    raise
                continue
            if manifest is not None and manifest.stop_time <= moment:
                return manifest
        return None

    def write_manifest(self, manifest: SnapshotManifest) -> Written:
        """``SHA256SUMS``, then the signed ``snapshot.json``: from here on the snapshot exists. Twice is the same as once.

        Looks before whether the listing and every part are there with their sizes: a part may be an earlier snapshot's.

        Raises:
            GiveUp: ``part_corrupt`` (one is absent or of another size), ``snapshot_exists`` (another one has this label),
                ``signing_key_missing``.
        """
        self._require_own(manifest)
        sizes = {each.key: each.size_bytes for each in self._store.list(self.place.parts)}
        sizes |= {each.key: each.size_bytes for each in self._store.list(self.place.folder(manifest.label))}
        for key, part in manifest.objects():
            if sizes.get(key) != part.sealed_bytes:
                size = f"{sizes[key]} bytes" if key in sizes else "nothing"
                raise part_corrupt(key, f"{size} instead of {part.sealed_bytes} bytes", part.sealed_sha256)
        put_once(self._store, self.place.folder(manifest.label) + SUMS_NAME, manifest.sums_text(), "snapshot_exists")
        signed = Signer.of(self._keys).seal_document(manifest.to_json())
        return put_once(self._store, self.place.manifest(manifest.label), signed, "snapshot_exists")

    def opened(self, manifest: SnapshotManifest) -> OpenedSnapshot:
        """The snapshot with what opens it.

        Raises:
            GiveUp: ``identity_missing``.
        """
        self._require_own(manifest)
        if self._keys.identity is None:
            raise GiveUp(
                "identity_missing",
                found="no identity here to open the snapshot with",
                expected="the identity of one of the repository's recipients",
                hint="name it in the stack file under encryption: identity; it is in the recovery kit",
            )
        return OpenedSnapshot(self._store, self._sealer, self._keys.identity, manifest)

    def remove_leftovers(self, label: SnapshotLabel, wanted: SnapshotManifest | None) -> None:
        """What attempts at this snapshot stored that ``wanted`` does not refer to (None: all of it). Nothing is removed where a
        complete snapshot of this label lies already, nor what the store keeps: retention comes back to it.
        """
        if self._store.head(self.place.manifest(label)) is not None:
            return
        kept = {key for key, _ in wanted.objects()} if wanted else set()
        remover = Remover(self._store)
        for prefix in (self.place.folder(label), self.place.parts_of(label)):
            for key in [each.key for each in self._store.list(prefix) if each.key not in kept]:
                remover.remove(key)

    def _manifest(self, folder: str) -> SnapshotManifest | None:
        """None: no manifest in this folder."""
        key = f"{self.place.snapshots}{folder}/{SNAPSHOT_MANIFEST_NAME}"
        try:
            stored = b"".join(self._store.read(key))
        except GiveUp as error:
            if error.code == "object_missing":
                return None
            raise
        manifest = SnapshotManifest.from_json(read_document(stored, self._keys.trusted_signers))
        if (manifest.kind, manifest.resource, str(manifest.label)) != (self.place.kind, self.place.resource, folder):
            raise malformed(f"the manifest of {manifest.label} of {manifest.resource} under {key}", "the one that its key says")
        return manifest

    def _require_own(self, manifest: SnapshotManifest) -> None:
        if manifest.keys != self.place:
            raise ValueError(f"a snapshot of {manifest.keys.prefix}, and this is {self.place.prefix}")


def part_missing(key: str, url: str) -> GiveUp:
    return GiveUp(
        "part_missing",
        found=f"{key} is not in {url}",
        expected="every object that the signed manifest names",
        hint="restore from another repository, or from another snapshot (understudy backups RESOURCE); "
        "a new one that uses nothing of it: understudy backup RESOURCE --full",
    )
