"""A whole backup and a whole restore stay within 400 MB of memory, whatever the size. PostgreSQL 18."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from bench.processes import MemoryWatch

from tests.restore_matrix.stores import StoreKind
from tests.servers.flavours import give_to_owner
from tests.servers.processes import wait_until
from tests.servers.processors import understudy_on

STARTED = (sys.executable, "-m", "understudy.cli.main")
"""By itself: what a command that is forked has in common with the process beside the tests would count as its own."""

MIB = 2**20
LIMIT_BYTES = 400 * MIB
FILE_BYTES = 320 * MIB
"""A part is at least as large as its largest file, so one that is held in memory shows, as does the whole of the two."""

CHANGED_BLOCKS = 41_160
"""In one file of one incremental backup, as much as one of the files of noise."""
TABLE_BLOCKS = CHANGED_BLOCKS * 8 // 7
"""Of a file more than nine tenths of which have changed the server sends the whole instead of the blocks."""
_ROW_ON_A_PAGE_OF_ITS_OWN = f"""
create table t with (fillfactor = 10, autovacuum_enabled = off) as
    select i, repeat('x', 900) as filler from generate_series(1, {TABLE_BLOCKS}) i
"""  # noqa: S608


def write_noise(path: Path, size_bytes: int = FILE_BYTES) -> None:
    """Zstandard does not look back as far as this repeats. It is sent as any file of the data directory is."""
    block = os.urandom(32 * MIB)
    with path.open("wb") as file:
        for _ in range(size_bytes // len(block)):
            file.write(block)
    give_to_owner(path)


def assert_bounded(watch: MemoryWatch) -> None:
    assert 20 * MIB < watch.peak_bytes < LIMIT_BYTES, f"{watch.peak_bytes / MIB:.0f} MiB"


def test_a_backup_and_a_restore_of_640_mb_that_do_not_compress_stay_within_400_mb(make_estate):
    estate = make_estate()
    for number in range(2):
        write_noise(estate.server.data / f"noise-{number}")
    with MemoryWatch() as watch:
        estate.command("backup", "orders", "--full", program=STARTED)
    assert_bounded(watch)
    (backup,) = estate.backups()
    assert backup.sealed_bytes > 2 * FILE_BYTES
    copy = estate.server.sibling()
    with MemoryWatch() as watch:
        estate.command("restore", "orders", "--to", str(copy.data), program=STARTED)
    assert_bounded(watch)
    assert (copy.data / "noise-1").stat().st_size == FILE_BYTES


def test_over_s3_and_with_64_processors_a_backup_a_deep_check_and_a_restore_of_320_mb_stay_within_400_mb(make_estate):
    """As many parts as files, so that everything that is done at once there has something to do."""
    estate = make_estate(store=StoreKind.S3, resource={"backup": {"part_size": "32MiB"}})
    for number in range(10):
        write_noise(estate.server.data / f"noise-{number}", 32 * MIB)

    def carry_out(*command: str) -> None:
        with MemoryWatch(leave_out=("postgres", "rclone")) as watch:
            estate.command(*command, program=understudy_on(64))
        assert_bounded(watch)

    carry_out("backup", "orders", "--full")
    for _ in range(6):
        estate.server.sql("select pg_logical_emit_message(false, 'x', repeat('x', 15000000)); select pg_switch_wal()")
    estate.ship()
    carry_out("verify", "--deep")
    copy = estate.server.sibling()
    carry_out("restore", "orders", "--to", str(copy.data))
    assert (copy.data / "noise-9").stat().st_size == 32 * MIB


def test_an_incremental_backup_of_one_large_file_and_the_restore_of_its_chain_stay_within_400_mb(make_estate):
    estate = make_estate(settings={"max_wal_size": "1GB"})
    server = estate.server
    server.sql(_ROW_ON_A_PAGE_OF_ITS_OWN)
    estate.back_up_well()
    server.sql("delete from t where i % 8 > 0")
    with MemoryWatch() as watch:
        estate.command("backup", "orders", "--incremental", program=STARTED)
    assert_bounded(watch)
    _, incremental = estate.backups()
    assert incremental.plain_bytes > CHANGED_BLOCKS * 8192
    copy = server.sibling()
    with MemoryWatch() as watch:
        estate.command("restore", "orders", "--to", str(copy.data), program=STARTED)
    assert_bounded(watch)
    assert copy.start().sql("select count(*), sum(i % 8) from t") == [(TABLE_BLOCKS - CHANGED_BLOCKS, 0)]


def test_the_watch_sees_a_process_further_down_that_takes_too_much():
    program = f"held = b'x' * {500 * MIB}; print(len(held), flush=True); input()"
    with MemoryWatch() as watch:
        process = subprocess.Popen(
            ["sh", "-c", '"$0" -c "$1"; true', sys.executable, program],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        wait_until(lambda: watch.peak_bytes > 500 * MIB, "the watch to look")
        process.communicate("\n")
    with pytest.raises(AssertionError, match="MiB"):
        assert_bounded(watch)
