"""Writing a file so that it has holes again where it had them."""

from __future__ import annotations

import os
from collections.abc import Iterator

from understudy.repository.restore_target import begin_writing_out, write_all

_BLOCK_BYTES = 4096
_ZEROS = bytes(_BLOCK_BYTES)
_LARGE_BYTES = 1024 * 1024


class SparseFile:
    """One file from its first byte to its last. With ``holes`` a block of zeros is left out; it is read as zeros all the same."""

    def __init__(self, handle: int, *, holes: bool) -> None:
        self._handle = handle
        self._holes = holes
        self._position = 0

    def write(self, piece: bytes) -> None:
        if not self._holes:
            write_all(self._handle, piece)
        else:
            for start, end in self._filled(piece):
                os.lseek(self._handle, self._position + start, os.SEEK_SET)
                write_all(self._handle, piece[start:end])
        self._position += len(piece)

    def _filled(self, piece: bytes) -> Iterator[tuple[int, int]]:
        """The runs of blocks, counted from the beginning of the file, that hold something else than zeros."""
        start = at = 0
        while at < len(piece):
            end = min(len(piece), at + _BLOCK_BYTES - (self._position + at) % _BLOCK_BYTES)
            if piece[at:end] == _ZEROS[: end - at]:
                if start < at:
                    yield start, at
                start = end
            at = end
        if start < at:
            yield start, at

    def end(self) -> None:
        if self._holes:
            os.ftruncate(self._handle, self._position)
        if self._position >= _LARGE_BYTES:
            begin_writing_out(self._handle)
