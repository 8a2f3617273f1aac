"""The next backup of a chain, opened while the one before it is still being written and the disks are waited for.

An incremental backup is small: starting a process to open its manifest, another one to open its first part, and waiting for the
first bytes take about as long as applying it does. None of that touches the target, so it needs no order.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from types import TracebackType
from typing import cast

from understudy.repository.handoff import Handoff, ReceiverGone
from understudy.repository.manifests import BackupManifest
from understudy.repository.unpacking import PartAhead, SealedBackup

_AHEAD_BYTES = 16 * 1024 * 1024
"""Plain bytes of the first part that may wait in memory."""

Opened = tuple[BackupManifest, SealedBackup]


class ChainReader:
    """Opens the backups of a chain in their order, at most one of them ahead. Left, it ends what was begun for nothing."""

    def __init__(self, open_backup: Callable[[str], Opened], ahead_bytes: int = _AHEAD_BYTES) -> None:
        """``open_backup``: reads both manifests. What it raises, and what reading ahead raises, comes up when it is that backup's
        turn."""
        self._open = open_backup
        self._ahead_bytes = ahead_bytes
        self._next: _BackupAhead | None = None
        self._taken: _BackupAhead | None = None

    def begin(self, label: str) -> None:
        """Open it now, because it is the next to be taken."""
        self._next = _BackupAhead(label, self._open, self._ahead_bytes)

    def take(self, label: str) -> Opened:
        """The one before must have been read by now. Raises what opening this one raised."""
        self._end(self._taken)
        self._taken, self._next = self._next, None
        return self._open(label) if self._taken is None else self._taken.opened.result()

    def __enter__(self) -> ChainReader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end(self._taken)
        self._end(self._next)

    def _end(self, begun: _BackupAhead | None) -> None:
        if begun is not None:
            begun.end()


class _BackupAhead:
    """One backup, opened and begun to be read in a thread of its own."""

    def __init__(self, label: str, open_backup: Callable[[str], Opened], ahead_bytes: int) -> None:
        self._label = label
        self._open = open_backup
        self._first_part = Handoff(ahead_bytes)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="next-backup")
        self.opened = self._thread.submit(self._opened)
        self._thread.submit(self._read_first_part)

    def end(self) -> None:
        self._first_part.abandon()
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _opened(self) -> Opened:
        manifest, backup = self._open(self._label)
        ahead = PartAhead(backup.parts[0].name, self._first_part) if backup.parts else None
        return manifest, replace(backup, ahead=ahead)

    def _read_first_part(self) -> None:
        try:
            _, backup = self.opened.result()
            if backup.ahead is None:
                return
            pieces = replace(backup, ahead=None).read_part(backup.parts[0])
            with closing(cast(Generator[bytes], pieces)):
                for piece in pieces:
                    self._first_part.send(piece)
            self._first_part.close()
        except ReceiverGone:
            return
        except BaseException as error:
            self._first_part.fail(error)
            raise
