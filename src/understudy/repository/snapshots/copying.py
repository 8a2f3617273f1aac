"""A snapshot's objects from one store into another, each compared with its digest as it passes."""

from __future__ import annotations

from understudy.ports.object_store import ObjectStore
from understudy.ports.running import Cancellation, Progress
from understudy.repository.copying import Copied, copy_sealed
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

    An object that an interrupted copy left is compared, not copied again.

    Args:
        newest_there: The newest usable snapshot in the target: what it shares with this one is taken as it is, where its size
            fits. Reading all of it again for each copy would cost as much as the whole of it; ``understudy verify`` does.

    Raises:
        GiveUp: ``part_corrupt`` (in the source, or of another content in the target); and as the stores do.
    """
    shared = {part.name: part.sealed_sha256 for part in newest_there.parts} if newest_there else {}
    sizes = {each.key: each.size_bytes for each in target.list(snapshot.keys.parts)} if shared else {}
    objects = size_bytes = done_bytes = already = 0
    for key, part in snapshot.objects():
        cancellation.raise_if_requested()
        is_shared = shared.get(part.name) == part.sealed_sha256 and sizes.get(key) == part.sealed_bytes
        if is_shared or not copy_sealed(source, target, key, part.sealed_sha256):
            already += 1
        else:
            objects += 1
            size_bytes += part.sealed_bytes
        done_bytes += part.sealed_bytes
        progress.report(f"copying {snapshot.label}", done_bytes, snapshot.sealed_bytes)
    return Copied(objects, size_bytes, already)
