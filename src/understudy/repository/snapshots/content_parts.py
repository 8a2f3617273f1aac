"""Contents into parts: small ones share a part, a large one has its own and is stored while it is read."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType

from understudy.ports.collection import Collection, Entry, FirstHundred
from understudy.ports.running import Cancellation
from understudy.repository.at_once import parts_packed, processors
from understudy.repository.manifests import PartEntry
from understudy.repository.part_uploads import PartUploads
from understudy.repository.removal import Remover
from understudy.repository.sealing import SealedObject
from understudy.repository.snapshots.content_reading import TRIES, Content, End, ReadEntry
from understudy.repository.snapshots.keys import part_name
from understudy.repository.snapshots.large_content import ONLY_MEMBER, LargeEnd, LargeReading
from understudy.repository.snapshots.listing import has_content
from understudy.repository.snapshots.manifest import SealedPart
from understudy.repository.snapshots.place import SnapshotPlace, sealed_part
from understudy.repository.snapshots.writing_index import WritingIndex
from understudy.repository.tar_stream import BLOCK_BYTES, file_header
from understudy.vocabulary.errors import TryAgain

_LOOK_EVERY_SECONDS = 0.2
_PIECE_BYTES = 1024 * 1024


@dataclass(slots=True)
class NamedKeys:
    """How many, and the first hundred of them as text that can be shown."""

    count: int = 0
    first: FirstHundred = field(default_factory=FirstHundred)

    def add(self, key: str) -> None:
        self.count += 1
        self.first.add(key)


class ContentParts:
    """Used in a ``with``, by one thread. Leaving it by an error abandons what is under way, and keeps what is stored."""

    def __init__(
        self,
        collection: Collection,
        place: SnapshotPlace,
        index: WritingIndex,
        cancellation: Cancellation,
        passed: Callable[[int], None],
        waiting: Callable[[], None],
        part_bytes: int,
    ) -> None:
        """
        Args:
            passed: Told how many bytes of large contents were read, from several threads.
            waiting: Called now and then from the thread that uses this.
        """
        self._collection = collection
        self._place = place
        self._index = index
        self._passed = passed
        self._waiting = waiting
        self._stopping = threading.Event()
        self._numbers = itertools.count(1)
        at_once = parts_packed(processors())
        self._uploads = PartUploads(
            place.packing,
            part_bytes,
            None,
            _Unheard(),
            cancellation,
            at_once,
            named=lambda *_: self._next_name(),
            stored=self._part_stored,
        )
        self._large_at_once = max(1, at_once - 1)
        """So that small contents always have a thread to go on with."""
        self._large: deque[tuple[LargeReading, str, Future[SealedObject | LargeEnd]]] = deque()
        self.changed = NamedKeys()
        """Kept as they came, although they changed each time."""
        self.left_out = NamedKeys()
        self._filling = ""
        self._filling_number = 0

    def __enter__(self) -> ContentParts:
        self._uploads.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stopping.set()
        self._uploads.__exit__(kind, error, trace)

    def look(self) -> None:
        """Raises what storing raised, or that the end was asked for; takes in what is stored."""
        self._waiting()
        self._uploads.look()

    def take(self, outcome: ReadEntry) -> None:
        """Store what came of an entry, unless it is known, and note it in the index."""
        entry, found = outcome.entry, outcome.found
        if isinstance(found, Content):
            if not self._index.holds_content(found.sha256):
                self._append(found)
            self._has_read(entry, found.sha256, outcome.tries, found.changed)
        elif found is End.LARGE:
            while len(self._large) >= self._large_at_once:
                self._end_large()
            self._begin_large(entry, outcome.tries)
        elif found is End.WITHOUT_CONTENT:
            self._index.put(entry)
        else:
            self._index.leave_out(entry.key)
            if found is End.NEVER_WHOLE:
                self.left_out.add(entry.key)

    def finish(self) -> None:
        """End the last part, and wait until all of them are stored."""
        while self._large:
            self._end_large()
        self._uploads.finish()

    def _has_read(self, entry: Entry, sha256: str, tries: int, changed: bool) -> None:
        if tries:
            self._index.has_read_another(entry, sha256, changed)
        else:
            self._index.has_read(entry.key, sha256)
        if changed:
            self.changed.add(entry.key)

    def _append(self, content: Content) -> None:
        size_bytes = len(content.data)
        padding = bytes(-size_bytes % BLOCK_BYTES)
        part = self._uploads.part_for(None, BLOCK_BYTES + size_bytes + len(padding))
        if part.name != self._filling:
            self._filling, self._filling_number = part.name, self._index.begin_part(part.name)
        part.files += 1
        self._uploads.send(file_header(str(part.files), size_bytes))
        for at in range(0, size_bytes, _PIECE_BYTES):
            self._uploads.send(content.data[at : at + _PIECE_BYTES])
        self._uploads.send(padding)
        self._index.add_content(content.sha256, self._filling_number, part.files)

    def _part_stored(self, part: PartEntry) -> None:
        self._index.part_stored(SealedPart(part.name, part.sealed_bytes, part.sealed_sha256, part.plain_bytes))

    def _next_name(self) -> str:
        return part_name(self._place.label, self._place.attempt, next(self._numbers), self._place.sealer.sealing)

    def _begin_large(self, entry: Entry, tries: int) -> None:
        reading = LargeReading(self._collection, entry, tries, self._index.holds_content, self._passed, self._stopping)
        name = self._next_name()
        self._large.append((reading, name, self._uploads.beside(lambda: reading.store(self._place.packing, name))))

    def _end_large(self) -> None:
        """Wait for the oldest one, and see what became of it."""
        reading, name, future = self._large.popleft()
        ended = self._result(future)
        entry = reading.entry
        if ended is LargeEnd.GONE:
            self.take(ReadEntry(entry, End.GONE))
        elif ended is LargeEnd.CHANGED:
            self._read_again(reading)
        else:
            if isinstance(ended, SealedObject):
                self._keep_large(reading.sha256, sealed_part(name, ended))
            self._has_read(entry, reading.sha256, reading.tries, reading.changed)

    def _read_again(self, reading: LargeReading) -> None:
        entry, tries = reading.entry, reading.tries + 1
        now = self._collection.look(entry.key)
        if now is None:
            self.take(ReadEntry(entry, End.GONE))
        elif not has_content(now):
            self.take(ReadEntry(now, End.WITHOUT_CONTENT))
        elif tries == TRIES:
            self.take(ReadEntry(entry, End.NEVER_WHOLE))
        else:
            self.take(ReadEntry(now, End.LARGE, tries))

    def _keep_large(self, sha256: str, part: SealedPart) -> None:
        if self._index.holds_content(sha256):
            # Two that are alike were stored at once; where the store keeps the second, it goes with what nothing refers to.
            Remover(self._place.store).remove(self._place.keys.part(part.name))
            return
        self._index.add_content(sha256, self._index.begin_part(part.name), ONLY_MEMBER)
        self._index.part_stored(part)

    def _result(self, stored: Future[SealedObject | LargeEnd]) -> SealedObject | LargeEnd:
        while True:
            self.look()
            try:
                return stored.result(timeout=_LOOK_EVERY_SECONDS)
            except TimeoutError:
                if stored.done():
                    raise


class _Unheard:
    """The progress of archives: what is told is how much was read."""

    def report(self, activity: str, done: int, total: int | None = None, unit: str = "bytes") -> None:
        """Nobody listens."""

    def held_up(self, reason: TryAgain | None) -> None:
        """Nobody listens."""
