"""Files on their way in: written aside, and removed again when the process that wrote them died."""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import suppress
from pathlib import Path

_AHEAD_BYTES = 8 * 1024 * 1024


class IncomingFile:
    """A file of one attempt, locked for as long as it is written: what is unlocked belongs to nobody any more."""

    def __init__(self, directory: Path) -> None:
        self._written_bytes = self._handed_on_bytes = 0
        while True:
            self.path = directory / secrets.token_hex(8)
            self.descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self.descriptor, fcntl.LOCK_EX)
                if os.fstat(self.descriptor).st_nlink:
                    return
            except OSError:  # a file system without locks, for one
                self.discard()
                raise
            os.close(self.descriptor)  # swept away between the two calls

    def write(self, chunk: bytes) -> None:
        write_all(self.descriptor, chunk)
        self._written_bytes += len(chunk)
        if self._written_bytes - self._handed_on_bytes >= _AHEAD_BYTES:
            self._hand_on()

    def _hand_on(self) -> None:
        """Let the disk begin now, so that the flush at the end has little left to wait for, with the next part behind it.

        On Linux dirty pages that are said not to be needed are written out at once, without waiting; and a backup, which nobody
        is about to read, pushes less out of the page cache.
        """
        fresh_bytes = self._written_bytes - self._handed_on_bytes
        with suppress(OSError):  # advice only: a file system that takes none still gets the file
            os.posix_fadvise(self.descriptor, self._handed_on_bytes, fresh_bytes, os.POSIX_FADV_DONTNEED)
        self._handed_on_bytes = self._written_bytes

    def discard(self) -> None:
        """Remove the name under which it came in; the object's own name, if it got one, stays.

        What a failing disk says to that is not told: why it ends here is, and what is left is swept by the next process.
        """
        with suppress(OSError):
            self.path.unlink()
        with suppress(OSError):
            os.close(self.descriptor)


def sweep(directory: Path) -> None:
    """Remove what dead processes left."""
    for entry in list(os.scandir(directory)):
        try:
            descriptor = os.open(entry.path, os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            Path(entry.path).unlink()
        except (BlockingIOError, FileNotFoundError):
            continue
        finally:
            os.close(descriptor)


def write_all(descriptor: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def flush_directory(directory: Path) -> None:
    """What was made, renamed or removed in ``directory`` survives the machine."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
