"""A bounded pipe from the thread that reads a server to the one that stores what was read."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator


class ReceiverGone(Exception):
    """Nobody will take what is sent any more: the receiver ended. Its own error says why; this one never leaves the room."""


class Handoff:
    """Pieces in order, bounded in bytes. One thread sends, one iterates; either may end first without leaving the other stuck."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._changed = threading.Condition()
        self._pieces: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._closed = False
        self._error: BaseException | None = None
        self._abandoned = False

    def send(self, piece: bytes) -> None:
        """Wait until there is room, then hand over.

        Raises:
            ReceiverGone: ``abandon`` was called.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._abandoned or self._waiting_bytes < self._limit_bytes)
            if self._abandoned:
                raise ReceiverGone
            self._pieces.append(piece)
            self._waiting_bytes += len(piece)
            self._changed.notify_all()

    def close(self) -> None:
        """Nothing more follows; what waits is still delivered."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """The receiver sees ``error`` at once; what waits is dropped, so that nobody takes it for the whole."""
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def abandon(self) -> None:
        """The receiver will take nothing more: wake the sender, free what waits."""
        with self._changed:
            self._abandoned = True
            self._pieces.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[bytes]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pieces or self._closed or self._error or self._abandoned)
                if self._error is not None:
                    raise self._error
                if self._abandoned:
                    raise ReceiverGone
                if not self._pieces:
                    return
                piece = self._pieces.popleft()
                self._waiting_bytes -= len(piece)
                self._changed.notify_all()
            yield piece
