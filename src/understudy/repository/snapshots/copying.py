"""A snapshot's objects from one store into another, each compared with its digest as it passes."""

from __future__ import annotations

from understudy.ports.object_store import ObjectStore
from understudy.ports.running import Cancellation, Progress
from understudy.repository.copying import Copied
from understudy.repository.snapshots.manifest import SnapshotManifest


def copy_snapshot_objects(
    snapshot: SnapshotManifest,
    source: ObjectStore,
    target: ObjectStore,
    *,
    newest_there: SnapshotManifest | None,
    progress: Progress,
    cancellation: Cancellation,
) -> Copied:
    """Everything of the snapshot but its signed manifest, which is for the caller to write last.

    Args:
        newest_there: The newest usable snapshot in the target: its parts are taken as they are, where their sizes fit.
    """
    raise NotImplementedError
