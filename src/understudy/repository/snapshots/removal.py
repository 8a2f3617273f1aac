"""What retention releases of snapshots: manifests first, then the parts that no manifest names any more."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from understudy.ports.object_store import StoredObject
from understudy.repository.removal import Remover
from understudy.repository.snapshots.catalog import Snapshots
from understudy.repository.snapshots.manifest import SnapshotManifest
from understudy.vocabulary.identifiers import SnapshotLabel


@dataclass(frozen=True, slots=True)
class LooseParts:
    """Parts that no usable snapshot refers to."""

    of_snapshots: tuple[StoredObject, ...]
    """Whose snapshot has gone, or is complete and does without them."""
    unfinished: tuple[tuple[SnapshotLabel, StoredObject], ...]
    """Of attempts at snapshots that have no manifest: at work, or killed."""


def remove_snapshot(remover: Remover, snapshots: Snapshots, label: SnapshotLabel) -> bool:
    """The manifest first: without it nothing is a snapshot. False: the store keeps that, so all of it stays. Parts stay."""
    raise NotImplementedError


def loose_parts(remover: Remover, snapshots: Snapshots, remaining: Collection[SnapshotManifest]) -> LooseParts:
    """Of what lies in the folder of parts now. ``remaining``: every snapshot that has a manifest, read after the last removal."""
    raise NotImplementedError
