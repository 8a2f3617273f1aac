"""A server is set back on its timeline, as by a snapshot of its machine: other work under the names that are stored already."""

import json
import shutil
import subprocess

import psycopg

from tests.faults.estate import NEAR, RESOURCE
from tests.servers.processes import wait_until


def labels(estate):
    return [each.label for each in estate.installation.repository(NEAR).backups(RESOURCE).usable]


def snapshot_of(server):
    """Its data directory as it is now; the server goes on."""
    kept = server.directory / "snapshot"
    server.stop()
    subprocess.run(["cp", "-a", str(server.data), str(kept)], check=True)
    server.start()
    return kept


def set_back(server, snapshot):
    server.kill_everything()
    shutil.rmtree(server.data)
    snapshot.rename(server.data)
    server.start()


def test_a_server_that_was_set_back_is_told_nothing_of_it_is_stored_and_a_recovery_brings_back_what_it_lost(make_estate):
    estate = make_estate()
    estate.server.sql("create table kept (n int); insert into kept values (1)")
    estate.serve()
    estate.command("backup", "orders")
    estate.wait_until_held(estate.write())
    snapshot = snapshot_of(estate.server)
    estate.server.sql("insert into kept values (2)")
    estate.wait_until_held(estate.write(3))
    estate.wait_for(lambda seen: seen.exposure is not None and seen.exposure.known, "a figure")
    set_back(estate.server, snapshot)

    shown = estate.wait_for(
        lambda seen: seen.receiving_fault is not None and seen.receiving_fault.code == "receiver_diverged", "the divergence"
    )
    assert "understudy recover database_corruption" in shown.receiving_fault.hint
    shown = estate.wait_for(lambda seen: not seen.exposure.known, "an exposure that is not known")
    assert shown.exposure.gap == "went_backwards"
    assert "set back" in (said := estate.command("status").stdout)
    assert "understudy backup orders --full" in said

    # A person who moves the spool away all the same lets the stream go on, and nothing of it passes for what is stored.
    estate.terminate()
    estate.installation.receivers[RESOURCE].stop()
    aside = estate.directory / "aside"
    estate.spool.rename(aside)
    before = labels(estate)
    estate.serve()
    estate.server.sql("insert into kept values (-2)")
    other = estate.write(2)
    shown = estate.wait_for(lambda seen: NEAR in seen.shipping_faults, "the conflict")
    assert shown.shipping_faults[NEAR].code == "wal_conflict"
    assert "wal_conflict" in estate.command("backup", "orders", "--full", expect=1).stderr
    assert labels(estate) == before, "a backup that cannot be restored is not signed"
    assert (estate.spool / other.name).exists(), "what is not stored stays"
    assert estate.seen().exposure.gap == "went_backwards"

    # As the hint says.
    estate.server.stop()
    told = json.loads(estate.command("recover", "database_corruption", "--yes", "--json").stdout)
    shipped = next(step for step in told["steps"] if step["key"] == "orders/ship-remaining-wal")
    assert "wal_conflict" in json.dumps(shipped) or "with other bytes" in json.dumps(shipped)
    with psycopg.connect(estate.server.url, autocommit=True) as connection:
        assert connection.execute("select n from kept order by n").fetchall() == [(1,), (2,)]
        connection.execute("select pg_switch_wal()")
    estate.wait_for(lambda seen: seen.exposure.known and not seen.shipping_faults, "everything as usual")
    assert len(labels(estate)) == len(before) + 1


def test_a_segment_that_the_server_writes_anew_is_no_longer_added_to(make_estate):
    """It was set back within the segment that was being written, which the receiver goes on with unasked."""
    estate = make_estate()
    estate.serve()
    estate.command("backup", "orders")
    estate.wait_until_held(estate.write())
    snapshot = snapshot_of(estate.server)
    estate.server.sql("select pg_logical_emit_message(true, 'x', repeat('one history', 2000))")
    reached = estate.flushed()
    wait_until(lambda: estate.archive().contents().reaches(1) + 8 >= reached, "the tail to be stored")
    before = labels(estate)
    set_back(estate.server, snapshot)
    estate.server.sql("select pg_logical_emit_message(true, 'x', repeat('another one', 4000))")
    shown = estate.wait_for(lambda seen: NEAR in seen.shipping_faults, "the conflict")
    assert shown.shipping_faults[NEAR].code == "wal_conflict"
    estate.command("backup", "orders", "--full", expect=1)
    assert labels(estate) == before
