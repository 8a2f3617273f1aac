"""Contents that are small enough to be held, read by several threads ahead of the one that stores them: a bucket answers slowly.

What changes while it is read is looked at and read again, behind others, a few times. What never rests is kept as it came: of a
file that grows, as much as it held when it was looked at, which for one that is only appended to is how it was then.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError
from dataclasses import dataclass, replace
from enum import Enum, auto
from types import TracebackType

from understudy.ports.collection import Collection, Entry
from understudy.repository.sealing import close
from understudy.repository.snapshots.listing import has_content
from understudy.vocabulary.errors import Cancelled, GiveUp, TryAgain, UnderstudyError

LARGE_BYTES = 16 * 1024 * 1024
"""What is larger is not held, and has a part of its own."""
TRIES = 5
_READERS = 16
_AHEAD_BYTES = 16 * 1024 * 1024
_AHEAD_CONTENTS = 256
_LOOK_EVERY_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Content:
    """One content as it came. ``changed``: whole, but it became another while it was read, each time."""

    data: bytes
    sha256: str
    changed: bool = False


class End(Enum):
    """What becomes of an entry without a content in hand."""

    GONE = auto()
    """Nothing lies there any more."""
    WITHOUT_CONTENT = auto()
    """It is a directory or a link by now, or empty."""
    LARGE = auto()
    """It is larger than what is held."""
    NEVER_WHOLE = auto()
    """It changed whenever it was read, and never as much came as it had held."""


@dataclass(frozen=True, slots=True)
class ReadEntry:
    entry: Entry
    """As it was when it was read."""
    found: Content | End
    tries: int = 0
    """That were used up. After the first one the entry may be another than was listed."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    entry: Entry
    tries: int = 0
    whole: tuple[Entry, Content] | None = None
    """What came whole the last time, and cannot be trusted to be of one moment."""

    @property
    def held_bytes(self) -> int:
        return self.entry.size_bytes + (len(self.whole[1].data) if self.whole else 0)


@dataclass(frozen=True, slots=True)
class _Changed:
    entry: Entry
    so_far: Content | None
    """As many bytes as the entry holds, or None."""


@dataclass(frozen=True, slots=True)
class _Whole:
    entry: Entry
    content: Content


class ReadAhead:
    """Used in a ``with``: leaving it ends what is being read."""

    def __init__(self, collection: Collection, between: Callable[[], None], passed: Callable[[int], None]) -> None:
        """
        Args:
            between: Called several times a second while the caller waits; raises to end it.
            passed: Told how many bytes were read, from several threads.
        """
        self._collection = collection
        self._between = between
        self._passed = passed
        self._stopping = threading.Event()
        self._threads = ThreadPoolExecutor(_READERS, thread_name_prefix="read")
        self._running: deque[tuple[_Wanted, Future[_Whole | _Changed | None]]] = deque()
        self._running_bytes = 0
        self._again: deque[_Wanted] = deque()
        self._again_bytes = 0

    def __enter__(self) -> ReadAhead:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stopping.set()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def outcomes(self, entries: Iterable[Entry]) -> Iterator[ReadEntry]:
        """One for each entry, about in their order. Raises what the collection raises, but for what changed or went away."""
        following = map(_Wanted, entries)
        waiting: _Wanted | None = None
        while True:
            waiting = waiting or self._next(following)
            while waiting is not None and self._has_room(waiting):
                if waiting.entry.size_bytes > LARGE_BYTES:
                    yield ReadEntry(waiting.entry, End.LARGE, waiting.tries)
                else:
                    self._running.append((waiting, self._threads.submit(self._read, waiting)))
                    self._running_bytes += waiting.held_bytes
                waiting = self._next(following)
            if not self._running:
                if waiting is None and not self._again:
                    return
                continue
            wanted, future = self._running.popleft()
            self._running_bytes -= wanted.held_bytes
            if (outcome := self._ended(wanted, self._result(future))) is not None:
                yield outcome

    def _next(self, following: Iterator[_Wanted]) -> _Wanted | None:
        """What is read again comes behind all others, unless that would hold too much."""
        if self._again_bytes <= _AHEAD_BYTES // 2 and len(self._again) < _AHEAD_CONTENTS:
            found = next(following, None)
            if found is not None or not self._again:
                return found
        again = self._again.popleft()
        self._again_bytes -= again.held_bytes
        return again

    def _has_room(self, wanted: _Wanted) -> bool:
        if wanted.entry.size_bytes > LARGE_BYTES or not self._running:
            return True
        return len(self._running) < _AHEAD_CONTENTS and self._running_bytes + wanted.held_bytes <= _AHEAD_BYTES

    def _result(self, future: Future[_Whole | _Changed | None]) -> _Whole | _Changed | None:
        while True:
            self._between()
            try:
                return future.result(timeout=_LOOK_EVERY_SECONDS)
            except TimeoutError:
                if future.done():
                    raise

    def _ended(self, wanted: _Wanted, result: _Whole | _Changed | None) -> ReadEntry | None:
        """None: it is read again."""
        if result is None:
            return ReadEntry(wanted.entry, End.GONE)
        if isinstance(result, _Whole):
            return ReadEntry(result.entry, result.content, wanted.tries)
        whole = (result.entry, result.so_far) if result.so_far is not None else wanted.whole
        if wanted.tries + 1 == TRIES:
            if whole is None:
                return ReadEntry(wanted.entry, End.NEVER_WHOLE)
            return ReadEntry(whole[0], replace(whole[1], changed=True), wanted.tries)
        now = self._collection.look(wanted.entry.key)
        if now is None:
            return ReadEntry(wanted.entry, End.GONE)
        if not has_content(now):
            return ReadEntry(now, End.WITHOUT_CONTENT)
        again = _Wanted(now, wanted.tries + 1, whole)
        self._again.append(again)
        self._again_bytes += again.held_bytes
        return None

    def _read(self, wanted: _Wanted) -> _Whole | _Changed | None:
        """None: it is gone."""
        pieces: list[bytes] = []
        size_bytes = 0
        try:
            entry = self._just_now(wanted)
            content = self._collection.read(entry)
            try:
                for piece in content:
                    if self._stopping.is_set():
                        raise Cancelled("the snapshot that this content belongs to was abandoned")
                    size_bytes += len(piece)
                    self._passed(len(piece))
                    pieces.append(piece)
                    if size_bytes > entry.size_bytes:
                        break
            finally:
                close(content)
        except UnderstudyError as error:
            if is_gone(error):
                return None
            if not is_changed(error):
                raise
            return _Changed(entry, _content(pieces, entry) if size_bytes >= entry.size_bytes else None)
        if size_bytes == entry.size_bytes:
            return _Whole(entry, _content(pieces, entry))
        return _Changed(entry, _content(pieces, entry) if size_bytes > entry.size_bytes else None)

    def _just_now(self, wanted: _Wanted) -> Entry:
        """It waited behind others since it was looked at for a further try: what is written to all the time changed meanwhile."""
        now = self._collection.look(wanted.entry.key) if wanted.tries else None
        return now if now is not None and has_content(now) and now.size_bytes <= LARGE_BYTES else wanted.entry


def is_gone(error: UnderstudyError) -> bool:
    return isinstance(error, GiveUp) and error.code == "entry_gone"


def is_changed(error: UnderstudyError) -> bool:
    return isinstance(error, TryAgain) and error.code == "entry_changed"


def _content(pieces: list[bytes], entry: Entry) -> Content:
    """The first so many bytes as the entry holds."""
    data = b"".join(pieces)[: entry.size_bytes]
    return Content(data, hashlib.sha256(data).hexdigest())
