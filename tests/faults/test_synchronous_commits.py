"""What a receiver that is gone does to commits that wait for it."""

import os
import re
import signal
import threading

import psycopg
import pytest

from tests.servers.processes import alive, wait_until
from understudy.vocabulary.errors import UnderstudyError

WAITING = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'"


@pytest.fixture
def synchronous(make_estate):
    estate = make_estate(wal={"ship_every": "1s", "synchronous": "true"})
    estate.serve()
    estate.wait_until_held(estate.write())
    estate.server.sql("alter system set synchronous_standby_names = '*'")
    estate.server.sql("select pg_reload_conf()")
    wait_until(
        lambda: estate.server.sql("select sync_state from pg_stat_replication") == [("sync",)], "the receiver to be synchronous"
    )
    return estate


def insert(url, done):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table waited (n int)")
    done.set()


def test_commits_wait_while_no_receiver_runs_and_go_on_when_it_is_back(synchronous):
    estate = synchronous
    estate.terminate()
    receiver = estate.receiver_pid
    os.kill(receiver, signal.SIGKILL)
    wait_until(lambda: not alive(receiver), "the receiver to be gone")
    done = threading.Event()
    writer = threading.Thread(target=insert, args=(estate.server.url, done))
    writer.start()
    wait_until(lambda: estate.server.sql(WAITING) == [(1,)], "the commit to wait")
    assert not done.is_set()
    estate.serve()
    assert done.wait(60), estate.log_text()
    writer.join()
    assert estate.server.sql(WAITING) == [(0,)]


def test_where_commits_are_meant_to_wait_and_do_not_a_backup_says_so_with_the_line_to_change(make_estate):
    """So does a recovery, which ends with one: it brings back the configuration of the backup, not what was changed since."""
    estate = make_estate(wal={"ship_every": "1s", "synchronous": "true"})
    told = estate.command("backup", "orders", "--json").stdout
    line = re.search(r"ALTER SYSTEM SET synchronous_standby_names = '[^']+'", told)
    assert line is not None, told
    estate.server.sql(line.group())
    estate.server.sql("select pg_reload_conf()")
    wait_until(
        lambda: estate.server.sql("select sync_state from pg_stat_replication") == [("sync",)], "the receiver to be synchronous"
    )
    assert "wait for nobody" not in estate.command("backup", "orders", "--json").stdout


def test_a_heartbeat_never_waits_for_the_receiver_and_serve_ends_meanwhile(make_estate):
    estate = make_estate(wal={"ship_every": "1s", "synchronous": "true"}, heartbeat={"every": "1s"})
    estate.server.sql("alter system set synchronous_standby_names = 'somebody_else'")
    estate.server.sql("select pg_reload_conf()")
    estate.serve()
    beats = "select max(written)::text from understudy_heartbeat"
    wait_until(lambda: estate.server.sql("select to_regclass('understudy_heartbeat') is not null") == [(True,)], "a heartbeat")
    first = estate.server.sql(beats)
    wait_until(lambda: estate.server.sql(beats) != first, "another heartbeat")
    assert estate.terminate() == 0


def test_remote_apply_is_refused_because_a_receiver_applies_nothing(synchronous):
    estate = synchronous
    estate.terminate()
    estate.installation.receivers["orders"].stop()
    estate.server.sql("alter system set synchronous_commit = remote_apply")
    estate.server.sql("select pg_reload_conf()")
    wait_until(lambda: estate.server.sql("show synchronous_commit") == [("remote_apply",)], "the setting to be in force")
    with pytest.raises(UnderstudyError) as refused:
        estate.installation.receivers["orders"].ensure_running()
    assert refused.value.code == "remote_apply_never_ends"
    estate.serve()
    shown = estate.wait_for(lambda seen: seen.receiving_fault is not None, "the refusal")
    assert shown.receiving_fault.code == "remote_apply_never_ends"
    assert "SET synchronous_commit = on" in shown.receiving_fault.hint
