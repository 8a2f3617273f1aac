"""What retention releases of snapshots: manifests first, then the parts that no manifest names any more."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from understudy.ports.object_store import ObjectStore, StoredObject
from understudy.repository.removal import Remover
from understudy.repository.snapshots.catalog import SnapshotsFound
from understudy.repository.snapshots.keys import SnapshotKeys, label_of_part
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import SnapshotLabel


def remove_snapshot(remover: Remover, place: SnapshotKeys, label: SnapshotLabel) -> bool:
    """The manifest first: without it nothing is a snapshot; then its folder. Parts stay: see ``loose_parts``.

    False: the store keeps the manifest, so all of it stays.
    """
    if not remover.remove(place.manifest(label)):
        return False
    for found in list(remover.store.list(place.folder(label))):
        remover.remove(found.key)
    return True


def loose_parts(
    store: ObjectStore, place: SnapshotKeys, found: SnapshotsFound, removed: Collection[SnapshotLabel], begun_before: datetime
) -> tuple[StoredObject, ...]:
    """The parts that no snapshot refers to, and none will. No snapshot of this resource may be under way: it
    refers to parts of earlier ones.

    Args:
        found: What has a manifest, read after the last one was removed.
        removed: What this run removed.
        begun_before: Parts of snapshots that have no manifest go where they were begun before: a killed run may yet be resumed.

    Raises:
        Refusal: ``retention_unsure``: a manifest cannot be believed, and may name any of them.
    """
    if found.unusable:
        raise Refusal(
            "retention_unsure",
            found=f"{found.unusable[0].key}: {found.unusable[0].error}",
            expected="that every manifest can be read and is trusted: one that cannot might stand on what would go",
            hint="see understudy backups; trust its signer (encryption.signers) or move its folder out of the repository",
        )
    referred = {part.name for snapshot in found.usable for part in snapshot.parts}
    complete = {snapshot.label for snapshot in found.usable}
    return tuple(
        stored
        for stored in store.list(place.parts)
        if (label := label_of_part(name := stored.key.removeprefix(place.parts))) is not None
        and name not in referred
        and (label in complete or label in removed or _is_before(label, begun_before))
    )


def _is_before(label: SnapshotLabel, moment: datetime) -> bool:
    return label.begun is not None and label.begun <= moment
