"""An upload: whole or not at all, in bounded memory, and not begun anew when a connection breaks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from understudy.adapters.s3.wire import ATTEMPTS, Dress, Wire, pause
from understudy.ports.object_store import Written
from understudy.vocabulary.errors import GiveUp, TryAgain, UnderstudyError

if TYPE_CHECKING:
    from hashlib import _Hash

PART_BYTES = 8 * 1024 * 1024
"""S3 takes 10,000 parts: objects of up to 78 GiB."""
PARTS_IN_FLIGHT = 4


@dataclass(slots=True)
class Upload:
    """One object on its way to one key, which was seen to be free, unless it ``replaces`` what lies there."""

    wire: Wire
    key: str
    dress: Dress = field(default_factory=dict)
    replaces: bool = False
    part_bytes: int = PART_BYTES
    size_bytes: int = 0
    digest: _Hash = field(default_factory=hashlib.sha256)

    def send(self, chunks: Iterable[bytes]) -> Written:
        parts = self._parts(chunks)
        first = next(parts, b"")
        second = next(parts, None)
        if second is None:
            self._settled(lambda: self.wire.put(self.key, first, self.dress, replaces=self.replaces))
        else:
            self._send_parts(_and_then(first, second, parts))
        return Written(self.key, self.size_bytes, self.digest.hexdigest())

    def _parts(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Pieces of exactly ``part_bytes`` but for the last, measured as they pass."""
        pieces: list[memoryview] = []
        waiting = 0
        for chunk in chunks:
            self.digest.update(chunk)
            self.size_bytes += len(chunk)
            rest = memoryview(chunk)
            while waiting + len(rest) >= self.part_bytes:
                room = self.part_bytes - waiting
                pieces.append(rest[:room])
                part = b"".join(pieces)
                rest, pieces, waiting = rest[room:], [], 0
                yield part
            if rest:
                pieces.append(rest)
                waiting += len(rest)
        if pieces:
            yield b"".join(pieces)

    def _send_parts(self, parts: Iterator[bytes]) -> None:
        upload = self.wire.begin_upload(self.key, self.dress)
        in_flight = max(1, min(PARTS_IN_FLIGHT, PARTS_IN_FLIGHT * PART_BYTES // self.part_bytes))
        pool = ThreadPoolExecutor(in_flight, thread_name_prefix="s3 upload")
        try:
            sent: list[Future[str]] = []
            for number, part in enumerate(parts, start=1):
                sent.append(pool.submit(self.wire.put_part, self.key, upload, number, part))
                if number >= in_flight:
                    sent[number - in_flight].result()
            wait(sent, return_when=FIRST_EXCEPTION)
            etags = [each.result() for each in sent]
            self._settled(lambda: self.wire.complete_upload(self.key, upload, etags, replaces=self.replaces))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            with suppress(UnderstudyError):  # the first error is the one to tell
                self.wire.abort_upload(self.key, upload)
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _settled(self, write: Callable[[], None]) -> None:
        """Carry out the one request that makes the object visible.

        When its answer was lost, it may have been carried out: then the object is there, and a repetition is refused, by the
        condition or because the upload is no more. What lies there is read back to tell our object from somebody else's. What
        replaces is simply sent again: the same bytes may have lain there before, dressed otherwise.
        """
        for attempt in range(ATTEMPTS):
            try:
                write()
                return
            except TryAgain:
                pause(attempt)
                if not self.replaces and self._lies_there():
                    return
                if attempt == ATTEMPTS - 1:
                    raise
            except GiveUp:
                if attempt and self._lies_there():
                    return
                raise

    def _lies_there(self) -> bool:
        """Whether the object is there with our very bytes."""
        found = self.wire.head(self.key)
        if found is None or found.size_bytes != self.size_bytes:
            return False
        digest = hashlib.sha256()
        stream = self.wire.get(self.key, 0).stream
        try:
            while piece := self.wire.read_piece(self.key, stream, PART_BYTES):
                digest.update(piece)
        finally:
            stream.close()
        return digest.digest() == self.digest.digest()


def _and_then(first: bytes, second: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield second
    yield from rest
