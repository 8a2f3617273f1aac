"""What there is to be read back of a resource that is kept in snapshots: its parts, each once, and the listings."""

from __future__ import annotations

from dataclasses import dataclass

from understudy.ports.object_store import ObjectStore
from understudy.repository.layout import SUMS_NAME
from understudy.repository.snapshots.catalog import Snapshots
from understudy.repository.snapshots.keys import SNAPSHOT_MANIFEST_NAME
from understudy.repository.snapshots.manifest import SealedPart, SnapshotManifest
from understudy.repository.stored_units import StoredUnits, damage, sealed_unit, sums_unit
from understudy.vocabulary.identifiers import SnapshotLabel

PARTS_FOLDER = "parts"


def part_unit(part: SealedPart) -> str:
    return f"{PARTS_FOLDER}/{part.name}"


def folder_unit(label: SnapshotLabel, name: str) -> str:
    """Of the listing, and of ``SHA256SUMS``."""
    return f"{label}/{name}"


def snapshot_of_unit(unit: str) -> str | None:
    """The snapshot that the object belongs to; None of a part, which several may share."""
    label = unit.partition("/")[0]
    return None if label == PARTS_FOLDER else label


@dataclass(frozen=True, slots=True)
class SnapshotUnits:
    """Of one resource in one repository. Listing it reads every manifest."""

    store: ObjectStore
    snapshots: Snapshots

    def listed(self) -> StoredUnits:
        """
        Raises:
            TryAgain, GiveUp: what the store raises.
        """
        there = self.snapshots.found()
        found = StoredUnits()
        for bad in there.unusable:
            folder = bad.key.split("/")[-2]
            found.faults[f"{folder}/{SNAPSHOT_MANIFEST_NAME}"] = damage(bad.error, (folder,))
        using: dict[SealedPart, list[SnapshotManifest]] = {}
        for snapshot in there.usable:
            manifest, label = snapshot.keys.manifest(snapshot.label), snapshot.label
            (listing_key, listing), *_ = snapshot.objects()
            found.units[folder_unit(label, listing.name)] = sealed_unit(
                self.store, listing_key, listing.sealed_bytes, listing.sealed_sha256, (label.text,), (manifest,)
            )
            sums = sums_unit(self.store, snapshot.keys.sums(label), snapshot.sums_text(), manifest)
            found.units[folder_unit(label, SUMS_NAME)] = sums
            for part in snapshot.parts:
                using.setdefault(part, []).append(snapshot)
        for part, users in using.items():
            keys = users[0].keys
            found.units[part_unit(part)] = sealed_unit(
                self.store,
                keys.part(part.name),
                part.sealed_bytes,
                part.sealed_sha256,
                tuple(each.label.text for each in users),
                tuple(keys.manifest(each.label) for each in users),
            )
        return found
