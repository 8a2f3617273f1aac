"""The server restarts, is promoted, or loses its slot in the middle of a base backup, as whole runs. PostgreSQL 18."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.faults.midway import Mender, break_midway
from tests.restore_matrix.estate import RESOURCE, Estate, expect_success, failed_step, proof_of
from tests.servers.postgres import PostgresServer
from tests.servers.processes import wait_until
from tests.told import told_whole
from understudy.app.backups import back_up
from understudy.app.recoveries import Choice
from understudy.vocabulary.identifiers import BackupKind

SMALL_PARTS = {"backup": {"part_size": "1MiB"}}
"""So that much is still to come from the server when the second part is on its way."""
LITTLE_WAL = {"max_wal_size": "4MB", "min_wal_size": "2MB", "checkpoint_timeout": "1h"}

Protect = Callable[[PostgresServer], Estate]


@pytest.fixture
def protect(postgres_servers: object) -> Iterator[Protect]:
    """Estates around servers, their receivers ended with the test: before the servers, in whose directories their spools lie."""
    with ExitStack() as undo:

        def make(server: PostgresServer) -> Estate:
            estate = Estate.around(server, resource=SMALL_PARTS)
            undo.callback(estate.close)
            return estate

        yield make


def served(postgres_servers, **settings: str) -> PostgresServer:
    server = postgres_servers(segment_megabytes=1, settings=settings)
    server.sql("create table t as select i, md5(i::text) as filler from generate_series(1, 50000) i")
    return server


def test_a_server_that_restarts_midway_is_told_and_the_backup_begins_again(protect, postgres_servers):
    server = served(postgres_servers)
    estate = protect(server)
    break_midway(estate.installation, lambda: server.restart("immediate"))
    mender = Mender()
    view = expect_success(back_up(estate.installation, RESOURCE, BackupKind.FULL, mender))
    assert (mender.step, told_whole(mender.said)) == ("take-base-backup", "database_unreachable")
    assert [step.attempts for step in view.steps if step.key.endswith("take-base-backup")] == [2]
    assert len(estate.backups()) == 1
    server.sql("insert into t values (0, 'after the restart')")
    estate.ship()
    copy = estate.restored(Choice())
    assert copy.sql("select count(*) from t") == [(50001,)]


def test_a_standby_that_is_promoted_midway_is_told_and_backed_up_on_its_new_timeline(protect, postgres_servers):
    primary = served(postgres_servers)
    standby = primary.make_standby()
    estate = protect(standby)
    break_midway(estate.installation, standby.promote)
    mender = Mender()
    view = expect_success(back_up(estate.installation, RESOURCE, BackupKind.FULL, mender))
    assert (mender.step, told_whole(mender.said)) == ("take-base-backup", "backup_interrupted")
    assert proof_of(view, "take-base-backup")["timeline"] == 2
    standby.sql("insert into t values (0, 'after the promotion')")
    estate.ship()
    copy = estate.restored(Choice())
    assert copy.sql("select count(*) from t") == [(50001,)]


def drop_slot(estate: Estate) -> None:
    """Somebody kills the receiver and drops its slot before anybody is back."""
    pid = estate.installation.receivers[RESOURCE].facts().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    server = estate.server
    wait_until(lambda: server.sql("select active from pg_replication_slots") == [(False,)], "the slot to be free")
    server.sql("select pg_drop_replication_slot(slot_name) from pg_replication_slots")


def test_a_slot_dropped_midway_is_made_again_while_its_wal_is_there(protect, postgres_servers):
    server = served(postgres_servers, wal_keep_size="64MB")
    estate = protect(server)
    break_midway(estate.installation, lambda: drop_slot(estate))
    estate.back_up_well(BackupKind.FULL)
    assert server.sql("select active from pg_replication_slots") == [(True,)]
    server.sql("insert into t values (0, 'after the backup')")
    estate.ship()
    copy = estate.restored(Choice())
    assert copy.sql("select count(*) from t") == [(50001,)]


def test_a_slot_dropped_midway_whose_wal_is_gone_ends_the_backup_and_the_next_one_begins_anew(protect, postgres_servers):
    server = served(postgres_servers, **LITTLE_WAL)
    estate = protect(server)

    def lose_wal() -> None:
        drop_slot(estate)
        for _ in range(4):
            for _ in range(3):
                server.sql("select pg_logical_emit_message(false, 'x', repeat('x', 300000)); select pg_switch_wal()")
            server.sql("checkpoint")

    break_midway(estate.installation, lose_wal)
    view = back_up(estate.installation, RESOURCE, BackupKind.FULL, Mender())
    assert failed_step(view) == ("await-wal-in-near", "wal_removed")
    assert told_whole(view.failure("wal_removed")) == "wal_removed"
    assert estate.backups() == ()
    estate.back_up_well(BackupKind.FULL)
    server.sql("insert into t values (0, 'behind the gap')")
    estate.ship()
    copy = estate.restored(Choice())
    assert copy.sql("select count(*) from t") == [(50001,)]
