"""Manifests of snapshots that nobody took."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from understudy.repository.snapshots.keys import listing_name, part_name
from understudy.repository.snapshots.manifest import SealedPart, SnapshotManifest
from understudy.vocabulary.identifiers import BackupOrigin, ResourceName, RunId, SnapshotLabel
from understudy.vocabulary.sealing import Sealing

_BEGUN = datetime(2026, 11, 23, 3, tzinfo=UTC)


def stored_part(number: int = 1, label: str = "20261123-030000S") -> SealedPart:
    return SealedPart(part_name(SnapshotLabel(label), "7f3a1", number, Sealing.AGE), 1000 + number, f"{number:064x}", 5000)


def sample_snapshot(begun: datetime = _BEGUN, **changes) -> SnapshotManifest:
    values = {
        "label": SnapshotLabel.of(begun),
        "kind": "files",
        "resource": ResourceName("documents"),
        "source": "/srv/documents",
        "start_time": begun,
        "stop_time": begun + timedelta(minutes=1),
        "listing": SealedPart(listing_name(Sealing.AGE), 300, "f" * 64, 900),
        "parts": (stored_part(1), stored_part(2)),
        "entries": 12,
        "content_bytes": 9000,
        "stored_bytes": 2303,
        "changed_while_read": 0,
        "left_out": 0,
        "passed_over": 0,
        "compression": "zstd-3",
        "stack_digest": "0" * 64,
        "understudy_version": "0.1.0",
        "run": RunId("20261123-030000-7f3a"),
        "origin": BackupOrigin.AUTOMATIC,
    }
    return SnapshotManifest(**(values | changes))
