"""Servers that hold something worth backing up: pgbench's tables and random bytes, a quarter of which does not compress."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.servers.flavours import Flavour
from tests.servers.isolated_host import IsolatedHost
from tests.servers.postgres import PostgresServer

from bench.ground import Ground

RANDOM_MIB_PER_SCALE = 5
SETTINGS = {
    "shared_buffers": "256MB",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "30min",
    "autovacuum": "off",
    "fsync": "on",
    "wal_keep_size": "0",
}


def bytes_of(scale: int) -> int:
    """About what a database of this scale takes on disk, in bytes, its WAL left out."""
    return scale * (15 + RANDOM_MIB_PER_SCALE) * 2**20 + 40 * 2**20


@contextmanager
def database(
    ground: Ground,
    flavour: Flavour,
    scale: int,
    settings: Mapping[str, str] | None = None,
    host: IsolatedHost | None = None,
) -> Iterator[PostgresServer]:
    """A started server whose data lies on the ground, filled, vacuumed and checkpointed."""
    server = PostgresServer(flavour, settings=SETTINGS | dict(settings or {}), fresh=True, host=host)
    try:
        move_to(server, ground.new_directory("server") / "data")
        server.start()
        fill(server, scale)
        yield server
    finally:
        server.close()
        shutil.rmtree(server.data.parent, ignore_errors=True)


def move_to(server: PostgresServer, data: Path) -> None:
    if server.data.exists():
        subprocess.run(["mv", str(server.data), str(data)], check=True)  # unlike shutil, mv keeps owners between file systems
    server.data = data


def fill(server: PostgresServer, scale: int) -> None:
    server.program("pgbench", "-i", "-q", "-n", "-s", str(scale), "postgres")
    server.sql("create table random_bytes (id int, content bytea); alter table random_bytes alter content set storage external")
    with server.connect(autocommit=True) as connection:
        for number in range(scale * RANDOM_MIB_PER_SCALE):
            connection.execute("insert into random_bytes values (%s, %b)", (number, os.urandom(2**20)))
    server.sql("vacuum analyze")
    server.sql("checkpoint")


def change_pages(server: PostgresServer, number: int) -> None:
    """Touch one row on about every 41st page of pgbench_accounts, other pages each time: 2.4 %."""
    server.sql(f"update pgbench_accounts set abalance = abalance + 1 where aid % 2500 = {int(number) * 61}")  # noqa: S608
    server.sql("checkpoint")


def serve_restored(source: PostgresServer, data: Path) -> PostgresServer:
    """A server like ``source`` on a restored directory; not started. It archives nothing."""
    restored = source.sibling()
    restored.data = data
    restored.settings |= {"archive_mode": "off"}
    return restored


def first_write(server: PostgresServer) -> None:
    """Start it, wait for the end of recovery, commit a row."""
    server.start()
    while server.sql("select pg_is_in_recovery()")[0][0]:
        threading.Event().wait(0.02)
    server.sql("create table bench_first_write as select 1 as one")
