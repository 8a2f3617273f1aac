"""One reading of a large content: it is stored while it is read, and what it is, is known at its end."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from enum import Enum, auto

from understudy.ports.collection import Collection, Entry
from understudy.repository.part_uploads import PackingPlace
from understudy.repository.sealing import SealedObject, close
from understudy.repository.snapshots.content_reading import TRIES, is_changed, is_gone
from understudy.repository.snapshots.listing import has_content
from understudy.repository.tar_stream import BLOCK_BYTES, END_OF_ARCHIVE, file_header
from understudy.vocabulary.errors import Cancelled, TryAgain, UnderstudyError

ONLY_MEMBER = 1


class LargeEnd(Enum):
    KNOWN = auto()
    """The content is stored already; this time it was not."""
    GONE = auto()
    CHANGED = auto()


class _KnownAlready(Exception):
    """Raised through the store, so that nothing appears there; never leaves this module."""


class LargeReading:
    """Begun by one thread, carried out by another."""

    def __init__(
        self,
        collection: Collection,
        entry: Entry,
        tries: int,
        is_known: Callable[[str], bool],
        passed: Callable[[int], None],
        stopping: threading.Event,
    ) -> None:
        """``tries``: that came before. ``passed``: told how many bytes were read."""
        self.entry = entry
        """As it is read: at a further try as it is when that begins."""
        self.tries = tries
        self.sha256 = ""
        """At the end."""
        self.changed = False
        """It became another meanwhile, and as much came as it had held; that is kept, because there is no further try."""
        self._collection = collection
        self._is_known = is_known
        self._passed = passed
        self._stopping = stopping

    def store(self, place: PackingPlace, name: str) -> SealedObject | LargeEnd:
        """Store it as a part of that name. Raises what the collection, the sealer and the store raise."""
        try:
            self._look_again()
            return place.store_sealed(name, self._archive())
        except _KnownAlready:
            return LargeEnd.KNOWN
        except UnderstudyError as error:
            if is_gone(error):
                return LargeEnd.GONE
            if is_changed(error):
                return LargeEnd.CHANGED
            raise

    def _look_again(self) -> None:
        """It waited for its turn, and what is written to all the time changed meanwhile."""
        now = self._collection.look(self.entry.key) if self.tries else None
        if now is not None and has_content(now):
            self.entry = now

    def _archive(self) -> Iterator[bytes]:
        yield file_header(str(ONLY_MEMBER), self.entry.size_bytes)
        digest = hashlib.sha256()
        for piece in self._whole():
            digest.update(piece)
            yield piece
        self.sha256 = digest.hexdigest()
        if self._is_known(self.sha256):
            raise _KnownAlready
        yield bytes(-self.entry.size_bytes % BLOCK_BYTES) + END_OF_ARCHIVE

    def _whole(self) -> Iterator[bytes]:
        """Exactly as many bytes as the entry says, or ``entry_changed``. At the last try the first so many will do."""
        size_bytes = 0
        is_last = self.tries + 1 == TRIES
        content = self._collection.read(self.entry)
        try:
            for piece in content:
                if self._stopping.is_set():
                    raise Cancelled("the snapshot that this content belongs to was abandoned")
                size_bytes += len(piece)
                self._passed(len(piece))
                surplus_bytes = size_bytes - self.entry.size_bytes
                if surplus_bytes > 0:
                    if is_last:
                        self.changed = True
                        yield piece[: len(piece) - surplus_bytes]
                    break
                yield piece
        except UnderstudyError as error:
            if not is_changed(error) or not is_last or size_bytes != self.entry.size_bytes:
                raise
            self.changed = True
        finally:
            close(content)
        if size_bytes != self.entry.size_bytes and not self.changed:
            raise TryAgain(
                "entry_changed",
                found=f"{size_bytes} bytes or more of {self.entry.key!r}",
                expected=f"{self.entry.size_bytes} bytes",
                hint="it is read again",
            )
