"""Writing a collection as a snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from understudy.ports.clock import Clock
from understudy.ports.collection import Collection
from understudy.ports.object_store import ObjectStore
from understudy.ports.running import Cancellation, Progress
from understudy.ports.sealer import Sealer
from understudy.repository.compression import DEFAULT_LEVEL
from understudy.repository.snapshots.catalog import OpenedSnapshot
from understudy.repository.snapshots.keys import SnapshotKeys
from understudy.repository.snapshots.manifest import SealedPart, SnapshotManifest
from understudy.vocabulary.identifiers import BackupOrigin, RunId, SnapshotLabel

DEFAULT_PART_BYTES = 64 * 1024 * 1024


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


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenSnapshot:
    """What was stored: no snapshot yet. ``manifest`` makes the document that ``Snapshots.write_manifest`` writes last."""

    start_time: datetime
    stop_time: datetime
    source: str
    listing: SealedPart
    parts: tuple[SealedPart, ...]
    entries: int
    content_bytes: int
    read_bytes: int
    """Of contents that this attempt read."""
    stored_contents: int
    """That no earlier snapshot held."""
    stored_bytes: int
    changed_while_read: int
    left_out: int
    passed_over: int
    changed_names: tuple[str, ...]
    """The first hundred of those that changed while they were read, as text that can be shown; likewise the others."""
    left_out_names: tuple[str, ...]
    passed_over_names: tuple[str, ...]
    """Each with the reason."""

    def manifest(
        self,
        place: SnapshotPlace,
        *,
        run: RunId,
        origin: BackupOrigin,
        stack_digest: str,
        understudy_version: str,
    ) -> SnapshotManifest:
        raise NotImplementedError


def write_snapshot(
    collection: Collection,
    place: SnapshotPlace,
    index: Path,
    previous: OpenedSnapshot | None,
    *,
    clock: Clock,
    progress: Progress,
    cancellation: Cancellation,
    part_bytes: int = DEFAULT_PART_BYTES,
) -> WrittenSnapshot:
    """Store what no earlier snapshot holds, and the listing.

    Args:
        index: A scratch file in the run's own directory; another attempt of the same run goes on from what it holds.
        previous: The last usable snapshot; None: everything is read and stored anew.

    Raises:
        GiveUp, TryAgain: what the collection, the sealer and the store raise; of ``previous`` what ``OpenedSnapshot.listing`` does.
            Parts that were stored stay: call this again with the same ``index``, or ``Snapshots.remove_leftovers``.
        Cancelled: asked for.
    """
    raise NotImplementedError
