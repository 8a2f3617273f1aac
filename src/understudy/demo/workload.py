"""Writers, each on a connection of its own: commit, note the acknowledgement, commit again; where it is told so, two more that
put documents into a directory and images into a bucket. A process of its own.

``python -m understudy.demo.workload LEDGER-DIRECTORY WRITERS [--documents DIRECTORY --images ENDPOINT BUCKET]``; ends when all of
it is gone, or on SIGTERM. Connection string and keys come by environment, because a command line can be read by everybody on the
machine.
"""

from __future__ import annotations

import argparse
import os
import signal
import threading
from pathlib import Path

import psycopg
from botocore.exceptions import BotoCoreError, ClientError

from understudy.adapters.clock.system import SystemClock
from understudy.demo.ledger import TABLE, acknowledgement, read_acknowledgements
from understudy.demo.servers import images_at
from understudy.demo.shelves import DOCUMENTS_LEDGER, IMAGES_LEDGER, Documents, Shelf, fill
from understudy.demo.stack_file import IMAGES_ACCESS_VARIABLE, IMAGES_SECRET_VARIABLE, URL_VARIABLE
from understudy.vocabulary.secret import Secret

_PAUSE_SECONDS = 0.05
"""Between two of a shelf."""


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


def fill_until_cut_off(shelf: Shelf, ledger: Path, stop: threading.Event) -> None:
    first = max(read_acknowledgements(ledger), default=0) + 1
    try:
        while not stop.wait(_PAUSE_SECONDS):
            fill(shelf, ledger, first, 1)
            first += 1
    except (OSError, BotoCoreError, ClientError):
        return


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("ledger", type=Path)
    parser.add_argument("writers", type=int)
    parser.add_argument("--documents", type=Path)
    parser.add_argument("--images", nargs=2)
    told = parser.parse_args()
    conninfo, stop = os.environ[URL_VARIABLE], threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    threads = [
        threading.Thread(target=write_until_cut_off, args=(conninfo, told.ledger, number, stop))
        for number in range(1, told.writers + 1)
    ]
    if told.documents is not None:
        endpoint, bucket = told.images
        images = images_at(endpoint, bucket, os.environ[IMAGES_ACCESS_VARIABLE], Secret(os.environ[IMAGES_SECRET_VARIABLE]))
        shelves: list[tuple[Shelf, str]] = [(Documents(told.documents), DOCUMENTS_LEDGER), (images, IMAGES_LEDGER)]
        threads += [
            threading.Thread(target=fill_until_cut_off, args=(shelf, told.ledger / name, stop)) for shelf, name in shelves
        ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
