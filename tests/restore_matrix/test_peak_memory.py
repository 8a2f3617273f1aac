"""A whole backup and a whole restore stay within 400 MB of memory, whatever the size. PostgreSQL 18."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from bench.processes import MemoryWatch

from tests.servers.flavours import give_to_owner
from tests.servers.processes import wait_until

MIB = 2**20
LIMIT_BYTES = 400 * MIB
FILE_BYTES = 320 * MIB
"""A part is at least as large as its largest file, so one that is held in memory shows, as does the whole of the two."""


def write_noise(path: Path) -> None:
    """Zstandard does not look back as far as this repeats. It is sent as any file of the data directory is."""
    block = os.urandom(32 * MIB)
    with path.open("wb") as file:
        for _ in range(FILE_BYTES // len(block)):
            file.write(block)
    give_to_owner(path)


def assert_bounded(watch: MemoryWatch) -> None:
    assert 20 * MIB < watch.peak_bytes < LIMIT_BYTES, f"{watch.peak_bytes / MIB:.0f} MiB"


def test_a_backup_and_a_restore_of_640_mb_that_do_not_compress_stay_within_400_mb(make_estate):
    estate = make_estate()
    for number in range(2):
        write_noise(estate.server.data / f"noise-{number}")
    with MemoryWatch() as watch:
        estate.command("backup", "orders", "--full")
    assert_bounded(watch)
    (backup,) = estate.backups()
    assert backup.sealed_bytes > 2 * FILE_BYTES
    copy = estate.server.sibling()
    with MemoryWatch() as watch:
        estate.command("restore", "orders", "--to", str(copy.data))
    assert_bounded(watch)
    assert (copy.data / "noise-1").stat().st_size == FILE_BYTES


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
