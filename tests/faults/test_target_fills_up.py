"""The disk that a restore goes to fills up on the way, as whole runs. PostgreSQL 18."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.midway import break_midway, is_segment
from tests.restore_matrix.estate import Estate, expect_success, failed_step
from tests.servers.postgres import PostgresServer
from tests.servers.tiny_disk import filled, small_disk
from tests.told import told_whole
from understudy.app.recoveries import Choice


@pytest.fixture(scope="module")
def estate() -> Iterator[Estate]:
    """A backup, and behind it 6 MB of WAL that let a table in a tablespace grow from nothing."""
    with PostgresServer(segment_megabytes=1) as server:
        server.sql(f"create tablespace fast location '{server.new_directory('fast')}'")
        server.sql("create table t (i int, filler text) tablespace fast")
        estate = Estate.around(server, resource={"backup": {"part_size": "4MiB"}})
        estate.back_up_well()
        server.sql("insert into t select i, repeat(md5(i::text), 8) from generate_series(1, 20000) i")
        estate.ship()
        yield estate
        estate.close()


@pytest.fixture
def disk(estate: Estate) -> Iterator[Path]:
    with small_disk(estate.server.directory / "disk", 128) as place:
        yield place


def assert_comes_back(estate: Estate, choice: Choice, copy: PostgresServer) -> None:
    estate.reopen()
    expect_success(estate.restore(choice, copy.data))
    copy.start()
    try:
        assert copy.sql("select count(*), sum(i) from t") == estate.server.sql("select count(*), sum(i) from t")
    finally:
        copy.kill_everything()


def test_a_disk_that_fills_up_while_a_backup_is_unpacked_is_named_nothing_stays_and_with_room_it_succeeds(estate, disk):
    copy = estate.server.sibling()
    copy.data = disk / "copy"
    choice = Choice(tablespaces={"fast": str(copy.directory / "fast")})
    with ExitStack() as undo:
        break_midway(estate.installation, lambda: undo.enter_context(filled(disk)))
        view = estate.restore(choice, copy.data)
        assert failed_step(view) == ("restore-base-backup", "target_full")
        said = view.failure("target_full")
        assert told_whole(said) == "target_full"
        assert str(copy.data) in said.found
        assert [path.name for path in disk.iterdir()] == ["filling"]
        assert not (copy.directory / "fast").exists()
    assert_comes_back(estate, choice, copy)


def test_a_disk_that_fills_up_while_wal_is_replayed_is_told_nothing_stays_and_with_room_it_succeeds(estate, disk):
    copy = estate.server.sibling()
    choice = Choice(tablespaces={"fast": str(disk / "fast")})
    with ExitStack() as undo:
        break_midway(estate.installation, lambda: undo.enter_context(filled(disk)), counts=is_segment)
        view = estate.restore(choice, copy.data)
        assert failed_step(view) == ("replay-wal", "disk_full")
        said = view.failure("disk_full")
        assert told_whole(said) == "disk_full"
        assert "pg_tblspc" in said.found
        assert [path.name for path in disk.iterdir()] == ["filling"]
        assert not copy.data.exists()
    assert_comes_back(estate, choice, copy)
