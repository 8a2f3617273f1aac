"""What a backup leaves running is said, and what is said ends it."""

import os
import re
import signal

import psycopg

from tests.faults.conftest import make_estate
from tests.servers.processes import alive, wait_until

__all__ = ["make_estate"]


def test_a_backup_without_serve_says_what_goes_on_and_how_to_end_it(make_estate):
    estate = make_estate()
    said = estate.command("backup", "orders").stdout
    receiver = estate.receiver_pid
    assert f"process {receiver}," in said
    kill, drop = re.search(r"kill (\d+)", said), re.search(r"(SELECT pg_drop_replication_slot\('\w+'\));", said)
    os.kill(int(kill[1]), signal.SIGTERM)
    wait_until(lambda: not alive(receiver), "the receiver to end")
    with psycopg.connect(estate.server.url, autocommit=True) as connection:
        wait_until(
            lambda: not connection.execute("select 1 from pg_replication_slots where active").fetchall(), "the slot to be free"
        )
        connection.execute(drop[1])
        assert connection.execute("select count(*) from pg_replication_slots").fetchone() == (0,)


def test_a_backup_that_serve_looks_after_says_nothing_of_ending_it(make_estate):
    estate = make_estate()
    estate.serve()
    assert "pg_drop_replication_slot" not in estate.command("backup", "orders").stdout


def test_the_log_of_serve_tells_times_with_an_offset_and_nothing_of_its_library(make_estate):
    estate = make_estate()
    estate.serve()
    estate.command("backup", "orders")
    run = estate.installation.records.runs(1)[0].run
    wait_until(lambda: f"run {run} has succeeded" in estate.log_text(), "the log to tell the run's ending")
    log = estate.log_text()
    assert re.search(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00 INFO picked up run", log, re.MULTILINE)
    assert "DBOS" not in log and "for development" not in log
