"""Reading a stored snapshot back without writing anything. Faults are values: one does not hide the next."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from understudy.ports.object_store import ObjectStore
from understudy.repository.backup_checks import CheckedObjects, Passed
from understudy.repository.snapshots.catalog import OpenedSnapshot
from understudy.repository.snapshots.manifest import SnapshotManifest


def check_snapshot(
    store: ObjectStore,
    manifest: SnapshotManifest,
    passed: Passed,
    *,
    opened: OpenedSnapshot | None = None,
    index: Path | None = None,
    read_already: Collection[str] = (),
) -> CheckedObjects:
    """Every object that the signed manifest names, several at a time, in bounded memory.

    Args:
        opened: With it each part is also opened, and every content in it compared with the listing's SHA-256.
        index: A scratch file; needed with ``opened``.
        read_already: Names of parts that a check of another snapshot of the same resource found whole, in the same way.
    """
    raise NotImplementedError
