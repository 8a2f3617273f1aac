"""Bytes that may be too many to lie in memory whole: a segment of WAL may have up to 1 GiB."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Pieces:
    """A number of bytes that is known, read a piece at a time, and anew each time they are asked for."""

    size_bytes: int
    read: Callable[[int, int], Iterable[bytes]]
    """The bytes ``[start, stop)``, in pieces of about ``PIECE_BYTES``; exactly so many, or it raises."""

    @classmethod
    def of(cls, content: bytes) -> Pieces:
        """Of what lies in memory all the same."""
        return cls(len(content), lambda start, stop: cut(content[start:stop]))

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.read(0, self.size_bytes))

    def between(self, start: int, stop: int) -> Pieces:
        """A part of them, as far as it is there."""
        begin, end = min(start, self.size_bytes), min(stop, self.size_bytes)
        return Pieces(max(0, end - begin), lambda first, last: self.read(begin + first, begin + last))

    def sha256(self) -> str:
        """In hexadecimal."""
        digest = hashlib.sha256()
        for piece in self:
            digest.update(piece)
        return digest.hexdigest()


class NotingDigest:
    """Of pieces that are handed on to be read: what they were when they were, which a second reading could not tell."""

    def __init__(self, content: Pieces) -> None:
        self.pieces = Pieces(content.size_bytes, self._read)
        self.sha256: str | None = None
        """In hexadecimal, of the whole as it was last read; None where it was not."""
        self._content = content

    def _read(self, start: int, stop: int) -> Iterator[bytes]:
        digest = hashlib.sha256()
        for piece in self._content.read(start, stop):
            digest.update(piece)
            yield piece
        if (start, stop) == (0, self._content.size_bytes):
            self.sha256 = digest.hexdigest()


def cut(content: bytes) -> Iterator[bytes]:
    """Into pieces of at most ``PIECE_BYTES``."""
    for start in range(0, len(content), PIECE_BYTES):
        yield content[start : start + PIECE_BYTES]


def zeros(count: int) -> Iterator[bytes]:
    """So many, in pieces."""
    piece = bytes(min(count, PIECE_BYTES))
    while count > 0:
        yield piece[:count]
        count -= len(piece)
