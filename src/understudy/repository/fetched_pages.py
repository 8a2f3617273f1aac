"""Segments that are fetched to be read in part: the one fetched last lies in a file, because it may have up to 1 GiB."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from understudy.repository.restore_target import target_faults, write_all


class FetchedSegments:
    """For one thread. The file is the caller's, and read and written by nobody else."""

    def __init__(self, descriptor: int, fetch: Callable[[int], Iterable[bytes]]) -> None:
        """``fetch``: the whole of a segment, by its number."""
        self._descriptor = descriptor
        self._fetch = fetch
        self._held: int | None = None

    def read(self, number: int, offset: int, size_bytes: int) -> bytes:
        """So many bytes of a segment, by its number. Raises as ``target_faults`` does, and what ``fetch`` raises."""
        with target_faults():
            if number != self._held:
                self._held = None
                os.lseek(self._descriptor, 0, os.SEEK_SET)
                for piece in self._fetch(number):
                    write_all(self._descriptor, piece)
                self._held = number
            return os.pread(self._descriptor, size_bytes, offset)
