"""Where a snapshot is written to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from understudy.ports.object_store import ObjectStore
from understudy.ports.sealer import Sealer
from understudy.repository.compression import DEFAULT_LEVEL
from understudy.repository.part_uploads import PackingPlace
from understudy.repository.sealing import SealedObject
from understudy.repository.snapshots.keys import SnapshotKeys, listing_name
from understudy.repository.snapshots.manifest import SealedPart
from understudy.vocabulary.identifiers import SnapshotLabel


@dataclass(frozen=True, slots=True)
class SnapshotPlace:
    """Where what one attempt stores goes, and to whom it is sealed."""

    store: ObjectStore
    sealer: Sealer
    recipients: Sequence[str]
    keys: SnapshotKeys
    label: SnapshotLabel
    attempt: str
    """Letters and digits, unique to this attempt at this snapshot."""
    level: int = DEFAULT_LEVEL
    """Of zstd."""

    @property
    def packing(self) -> PackingPlace:
        """As what stores parts wants it."""
        return PackingPlace(self.store, self.sealer, self.recipients, self.keys.parts, self.attempt, self.level)

    def stored_parts(self) -> dict[str, int]:
        """The parts of the resource that lie in the store: name and size in bytes."""
        return {each.key.removeprefix(self.keys.parts): each.size_bytes for each in self.store.list(self.keys.parts)}

    def store_listing(self, chunks: Iterable[bytes]) -> SealedPart:
        """Under its plain name, or under one of this attempt where an earlier one left the plain one behind."""
        folder = self.keys.folder(self.label)
        name = listing_name(self.sealer.sealing)
        if self.store.head(folder + name) is not None:
            name = listing_name(self.sealer.sealing, self.attempt)
        return sealed_part(
            name, PackingPlace(self.store, self.sealer, self.recipients, folder, "", self.level).store_sealed(name, chunks)
        )


def sealed_part(name: str, sealed: SealedObject) -> SealedPart:
    return SealedPart(name, sealed.sealed_bytes, sealed.sealed_sha256, sealed.plain_bytes)
