"""Writing a collection as a snapshot."""

from __future__ import annotations

import threading
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from understudy.ports.clock import Clock
from understudy.ports.collection import Collection, Entry, printable
from understudy.ports.running import Cancellation, Progress
from understudy.repository.snapshots.catalog import OpenedSnapshot
from understudy.repository.snapshots.content_parts import ContentParts, NamedKeys
from understudy.repository.snapshots.content_reading import ReadAhead
from understudy.repository.snapshots.keys import label_of_part
from understudy.repository.snapshots.listing import encode_listing, has_content
from understudy.repository.snapshots.manifest import SealedPart, SnapshotManifest
from understudy.repository.snapshots.place import SnapshotPlace
from understudy.repository.snapshots.writing_index import WritingIndex
from understudy.vocabulary.identifiers import BackupOrigin, RunId

DEFAULT_PART_BYTES = 64 * 1024 * 1024
_ACTIVITY = "snapshot"
_TELL_EVERY_ENTRIES = 1000


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
    stored_bytes: int
    changed_while_read: int
    left_out: int
    passed_over: int
    changed_names: tuple[str, ...]
    """The first hundred of those that changed while they were read, printable, then ``…``; likewise the others."""
    left_out_names: tuple[str, ...]
    passed_over_names: tuple[str, ...]
    """Each with the reason."""
    anew_because: str = ""
    """Why nothing of the last snapshot could be used although there was one; empty where it could."""

    def manifest(
        self,
        place: SnapshotPlace,
        *,
        run: RunId,
        origin: BackupOrigin,
        stack_digest: str,
        understudy_version: str,
    ) -> SnapshotManifest:
        return SnapshotManifest(
            label=place.label,
            kind=place.keys.kind,
            resource=place.keys.resource,
            source=self.source,
            start_time=self.start_time,
            stop_time=self.stop_time,
            listing=self.listing,
            parts=self.parts,
            entries=self.entries,
            content_bytes=self.content_bytes,
            stored_bytes=self.stored_bytes,
            changed_while_read=self.changed_while_read,
            left_out=self.left_out,
            passed_over=self.passed_over,
            compression=f"zstd-{place.level}",
            stack_digest=stack_digest,
            understudy_version=understudy_version,
            run=run,
            origin=origin,
        )


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
    damaged: Container[str] = (),
) -> WrittenSnapshot:
    """Store what no earlier snapshot holds, and the listing.

    Args:
        index: A scratch file in the run's own directory; another attempt of the same run goes on from what it holds.
        previous: The last usable snapshot; None: everything is read and stored anew. Where its listing turns out to be damaged,
            too: see ``anew_because``. What lay in a part that is lost is stored anew.
        damaged: Names of parts that are of no use although they are there at their size: they are as good as lost.

    Raises:
        GiveUp, TryAgain: what the collection, the sealer and the store raise; as ``OpenedSnapshot.listing``, but for damage.
            Parts that were stored stay: call this again with the same ``index``, or ``Snapshots.remove_leftovers``.
        Cancelled: asked for.
    """
    start_time = clock.now()
    with WritingIndex(index, place.label, previous) as known:
        known.begin(previous, {name: size for name, size in place.stored_parts().items() if name not in damaged})
        known.add_entries(_told(collection.entries(known.known_entry), progress, cancellation))
        passed_over = collection.passed_over()
        reading = _SnapshotReading(collection, place, known, progress, cancellation, part_bytes)
        reading.carry_out()
        stop_time = clock.now()
        parts = known.used_parts()
        listing = place.store_listing(encode_listing(known.listed()))
        own = [part for part in parts if label_of_part(part.name) == place.label]
        return WrittenSnapshot(
            start_time=start_time,
            stop_time=max(start_time, stop_time),
            source=printable(collection.url),
            listing=listing,
            parts=parts,
            entries=known.count_entries(),
            content_bytes=known.content_bytes(),
            read_bytes=reading.read_bytes,
            stored_bytes=listing.sealed_bytes + sum(part.sealed_bytes for part in own),
            changed_while_read=reading.changed.count,
            left_out=reading.left_out.count,
            passed_over=len(passed_over),
            changed_names=reading.changed.first.told(),
            left_out_names=reading.left_out.first.told(),
            passed_over_names=passed_over,
            anew_because=known.anew_because(),
        )


class _SnapshotReading:
    """Of everything that is not known yet."""

    def __init__(
        self,
        collection: Collection,
        place: SnapshotPlace,
        index: WritingIndex,
        progress: Progress,
        cancellation: Cancellation,
        part_bytes: int,
    ) -> None:
        self._collection = collection
        self._index = index
        self._progress = progress
        self._counting = threading.Lock()
        self._expected_bytes = index.unread_bytes()
        self.read_bytes = 0
        self._parts = ContentParts(collection, place, index, cancellation, self._count, self._tell, part_bytes)

    @property
    def changed(self) -> NamedKeys:
        return self._parts.changed

    @property
    def left_out(self) -> NamedKeys:
        return self._parts.left_out

    def carry_out(self) -> None:
        with self._parts as parts, ReadAhead(self._collection, parts.look, self._count) as ahead:
            for outcome in ahead.outcomes(self._index.unread()):
                parts.take(outcome)
            for outcome in ahead.outcomes(self._names_without_their_file()):
                parts.take(outcome)
            parts.finish()
        self._tell()

    def _names_without_their_file(self) -> Iterator[Entry]:
        """A further name stays when the first one went away, or became another file: it is a file of its own then."""
        for entry in self._index.lost_links():
            now = self._collection.look(entry.key)
            if now is None:
                self._index.leave_out(entry.key)
            elif now.fingerprint and now.fingerprint == self._index.fingerprint_of_file(entry.link):
                continue  # both names were written to
            else:
                self._index.put(now)
                if has_content(now):
                    yield now

    def _count(self, size_bytes: int) -> None:
        with self._counting:
            self.read_bytes += size_bytes

    def _tell(self) -> None:
        self._progress.report(_ACTIVITY, self.read_bytes, max(self._expected_bytes, self.read_bytes))


def _told(entries: Iterable[Entry], progress: Progress, cancellation: Cancellation) -> Iterator[Entry]:
    for count, entry in enumerate(entries, start=1):
        if count % _TELL_EVERY_ENTRIES == 0:
            cancellation.raise_if_requested()
            progress.report(f"{_ACTIVITY}: names", count, None, "entries")
        yield entry
