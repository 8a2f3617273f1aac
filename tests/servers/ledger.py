"""Writers that keep, on the client's side, which commits the server acknowledged: the measure of every claim of no loss."""

from __future__ import annotations

import itertools
import os
import threading
from pathlib import Path

import psycopg

from tests.servers.processes import wait_until


class Ledger:
    """N connections that insert one row a commit, and append its id to a file once COMMIT has returned.

    A writer ends when its connection does. ``acknowledged()`` reads the file, so it also answers in another process.
    """

    def __init__(self, conninfo: str, file: Path, connections: int = 8) -> None:
        self._conninfo = conninfo
        self._file = file
        self._connections = connections
        self._numbers = itertools.count(1)
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> Ledger:
        with psycopg.connect(self._conninfo, autocommit=True) as connection:
            connection.execute(
                "create table if not exists understudy_ledger "
                "(id bigint primary key, written timestamptz not null default clock_timestamp(), filler text)"
            )
        self._file.touch()
        descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND)
        self._threads = [threading.Thread(target=self._write, args=(descriptor,)) for _ in range(self._connections)]
        for thread in self._threads:
            thread.start()
        self._closer = threading.Thread(target=self._close_when_all_ended, args=(descriptor,))
        self._closer.start()
        return self

    def stop(self) -> None:
        """Ask the writers to end, and wait for them; also after the server died under them."""
        self._stopping.set()
        self.wait()

    def wait(self) -> None:
        """Wait until every writer has ended by itself: its server is gone."""
        self._closer.join(timeout=60)
        assert not self._closer.is_alive(), "a writer hangs: is a synchronous standby missing?"

    def wait_for(self, count: int) -> None:
        """Until so many commits are acknowledged."""
        wait_until(lambda: len(self.acknowledged()) >= count, f"{count} acknowledged commits")

    def acknowledged(self) -> set[int]:
        complete_lines = self._file.read_text().rpartition("\n")[0]
        return {int(line) for line in complete_lines.splitlines()}

    @staticmethod
    def found(conninfo: str) -> set[int]:
        """The ids that a server holds."""
        with psycopg.connect(conninfo, autocommit=True) as connection:
            return {int(row[0]) for row in connection.execute("select id from understudy_ledger")}

    def _write(self, descriptor: int) -> None:
        try:
            with psycopg.connect(self._conninfo, autocommit=True) as connection:
                while not self._stopping.is_set():
                    number = next(self._numbers)
                    connection.execute("insert into understudy_ledger (id, filler) values (%s, repeat('x', 100))", [number])
                    os.write(descriptor, f"{number}\n".encode())
        except psycopg.OperationalError:
            return

    def _close_when_all_ended(self, descriptor: int) -> None:
        for thread in self._threads:
            thread.join()
        os.close(descriptor)

    def __enter__(self) -> Ledger:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
