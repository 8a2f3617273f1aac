"""What a program wrote, until it is stored: a file without a name, which the kernel removes with whoever holds it open."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from understudy.vocabulary.errors import GiveUp

_PIECE_BYTES = 1024 * 1024


class Spool:
    """Nobody else can open it, and nothing is left of it after a kill. Read it from several threads at once."""

    def __init__(self, directory: Path) -> None:
        """
        Raises:
            GiveUp: ``scratch_unusable``.
        """
        self._directory = directory
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=directory, buffering=0)  # noqa: SIM115 - it goes with this object
        except OSError as error:
            raise self._unusable(error) from error

    @property
    def handle(self) -> int:
        return self._file.fileno()

    @property
    def size_bytes(self) -> int:
        return os.fstat(self.handle).st_size

    def write(self, piece: bytes) -> None:
        """
        Raises:
            GiveUp: ``scratch_unusable``.
        """
        rest = memoryview(piece)
        try:
            while rest:
                rest = rest[os.write(self.handle, rest) :]
        except OSError as error:
            raise self._unusable(error) from error

    def read(self, size_bytes: int, at: int) -> bytes:
        return os.pread(self.handle, size_bytes, at)

    def pieces(self) -> Iterator[bytes]:
        at = 0
        while piece := os.pread(self.handle, _PIECE_BYTES, at):
            at += len(piece)
            yield piece

    def sha256(self) -> str:
        digest = hashlib.sha256()
        for piece in self.pieces():
            digest.update(piece)
        return digest.hexdigest()

    def _unusable(self, error: OSError) -> GiveUp:
        return GiveUp(
            "scratch_unusable",
            found=f"{self._directory}: {error.strerror}",
            expected="room for all that is to be kept, once, until it is stored",
            hint="make room in the state directory, or name another one with state.directory in the stack file; then start again",
        )
