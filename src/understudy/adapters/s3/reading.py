"""Reading an object to its announced end, however often the connection breaks on the way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from understudy.adapters.s3.faults import unreachable
from understudy.adapters.s3.wire import ATTEMPTS, Answer, Wire, pause
from understudy.vocabulary.errors import GiveUp, TryAgain

_PIECE_BYTES = 1024 * 1024


def read_resuming(wire: Wire, key: str, offset: int, expected: tuple[int, str] | None = None) -> Iterator[bytes]:
    """As ``ObjectStore.read``. Breaks are counted from the last byte that arrived: progress earns new attempts.

    Args:
        expected: Size and ETag of the object that is meant; None: whichever is there.
    """
    reader = _Reader(wire, key, offset, expected)
    while not reader.at_end:
        try:
            yield from reader.read_on()
            reader.require_end()
        except TryAgain:
            if reader.breaks == ATTEMPTS - 1:
                raise
            pause(reader.breaks)
            reader.breaks += 1


class _Reader:
    def __init__(self, wire: Wire, key: str, offset: int, expected: tuple[int, str] | None) -> None:
        self._wire = wire
        self._key = key
        self._position = offset
        self._total: int | None = None
        self._etag = ""
        self._expected = expected
        self.breaks = 0

    @property
    def at_end(self) -> bool:
        return self._total is not None and self._position >= self._total

    def require_end(self) -> None:
        """A connection that closed early can look like the end."""
        if not self.at_end:
            raise unreachable(f"reading {self._key}: the connection ended at byte {self._position} of {self._total}", self._key)

    def read_on(self) -> Iterator[bytes]:
        """What one connection gives, from the position on."""
        if self._position and self._total is None and self._begins_at_end():
            return
        answer = self._wire.get(self._key, self._position, self._expected[1] if self._expected else "")
        with closing(answer.stream):
            self._require_same(answer)
            surplus = self._position - answer.start
            while piece := self._wire.read_piece(self._key, answer.stream, _PIECE_BYTES):
                if surplus:
                    piece, surplus = piece[surplus:], max(0, surplus - len(piece))
                if piece:
                    self.breaks = 0
                    self._position += len(piece)
                    yield piece

    def _begins_at_end(self) -> bool:
        """Whether the offset that was asked for is the object's end: S3 has no range for that."""
        found = self._wire.head(self._key)
        if found is None:
            return False
        if found.size_bytes < self._position:
            raise self._changed(f"{found.size_bytes} bytes", f"more than {self._position}")
        if found.size_bytes == self._position:
            self._total = found.size_bytes
            return True
        return False

    def _require_same(self, answer: Answer) -> None:
        """A resumed read goes on in the object that it began in."""
        if self._total is None:
            self._total, self._etag = self._expected or (answer.total, answer.etag)
        if (answer.total, answer.etag) != (self._total, self._etag) or answer.start > self._position:
            raise self._changed(f"{answer.total} bytes, ETag {answer.etag}", f"{self._total} bytes, ETag {self._etag}")

    def _changed(self, found: str, expected: str) -> GiveUp:
        return GiveUp(
            "object_changed",
            found=f"{self._key}: {found}",
            expected=expected,
            hint="somebody replaced the object while it was read; objects of a repository never change: find out who",
        )
