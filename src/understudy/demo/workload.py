"""Writers, each on a connection of its own: commit, note the acknowledgement, commit again. A process of its own.

``python -m understudy.demo.workload LEDGER-DIRECTORY WRITERS``; ends when every connection broke, or on SIGTERM. The connection
string comes by environment, because a command line can be read by everybody on the machine.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import psycopg

from understudy.adapters.clock.system import SystemClock
from understudy.demo.ledger import TABLE, acknowledgement
from understudy.demo.stack_file import URL_VARIABLE


def write_until_cut_off(conninfo: str, directory: Path, writer: int, stop: threading.Event) -> None:
    clock = SystemClock()
    insert = f"INSERT INTO {TABLE} (writer, entry) VALUES (%s, %s)"  # noqa: S608
    with (directory / f"writer-{writer}.txt").open("a", buffering=1) as ledger:
        try:
            with psycopg.connect(conninfo, autocommit=True) as connection:
                row = connection.execute(f"SELECT coalesce(max(entry), 0) FROM {TABLE} WHERE writer = %s", (writer,)).fetchone()  # noqa: S608
                entry = int(row[0]) if row else 0
                while not stop.is_set():
                    entry += 1
                    connection.execute(insert, (writer, entry))
                    ledger.write(acknowledgement(entry, clock.now()))
        except psycopg.Error:
            return


def main() -> None:
    conninfo, directory, writers = os.environ[URL_VARIABLE], Path(sys.argv[1]), int(sys.argv[2])
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    threads = [
        threading.Thread(target=write_until_cut_off, args=(conninfo, directory, number, stop)) for number in range(1, writers + 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
