"""A TCP proxy that breaks connections on demand: after so many bytes, at once, or not at all."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from enum import Enum, auto

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Direction(Enum):
    TO_SERVER = auto()
    TO_CLIENT = auto()


class FaultyProxy:
    """Context manager in front of ``127.0.0.1:<port>``. Passes everything until told otherwise."""

    def __init__(self, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._changed = threading.Lock()
        self._cut: tuple[Direction, int] | None = None
        self._cuts_left = 0
        self._refusing = False
        self._open: set[socket.socket] = set()
        self.cuts = 0
        """How many connections were cut so far."""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> FaultyProxy:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join()
        self._drop_all()

    def cut_after(self, size_bytes: int, direction: Direction, times: int) -> None:
        """Reset the next ``times`` connections that carry more than ``size_bytes`` in that direction, at that byte."""
        with self._changed:
            self._cut, self._cuts_left = (direction, size_bytes), times

    def refuse(self) -> None:
        """Reset what is open and every new connection."""
        self._refusing = True
        self._drop_all()

    def pass_all(self) -> None:
        with self._changed:
            self._cuts_left = 0
        self._refusing = False

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._refusing:
                _reset(client)
                continue
            try:
                server = socket.create_connection(self._target)
            except OSError:
                _reset(client)
                continue
            with self._changed:
                self._open |= {client, server}
            for source, sink, direction in (
                (client, server, Direction.TO_SERVER),
                (server, client, Direction.TO_CLIENT),
            ):
                threading.Thread(target=self._pump, args=(source, sink, direction), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, direction: Direction) -> None:
        carried = 0
        try:
            while data := source.recv(64 * 1024):
                allowed = self._allowed(direction, carried, len(data))
                sink.sendall(data[:allowed])
                if allowed < len(data):
                    break
                carried += len(data)
        except OSError:
            pass
        self._drop(source)
        self._drop(sink)

    def _allowed(self, direction: Direction, carried: int, wanted: int) -> int:
        """How many of the next bytes may pass; fewer than wanted: the connection is cut behind them."""
        with self._changed:
            if self._cut is None or self._cuts_left == 0 or self._cut[0] is not direction:
                return wanted
            room = max(0, self._cut[1] - carried)
            if wanted <= room:
                return wanted
            self._cuts_left -= 1
            self.cuts += 1
            return room

    def _drop(self, connection: socket.socket) -> None:
        with self._changed:
            known = connection in self._open
            self._open.discard(connection)
        if known:
            _reset(connection)

    def _drop_all(self) -> None:
        with self._changed:
            connections = set(self._open)
        for connection in connections:
            self._drop(connection)


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RD)  # wakes the other thread that reads from it
    connection.close()
