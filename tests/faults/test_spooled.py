"""What a restore and a drill bring back of the WAL that only this host's spool holds; and whose repository is left alone."""

from __future__ import annotations

import json

import pytest

from tests.faults.estate import NEAR, RESOURCE
from tests.faults.test_superseded import SUPERSEDED, successor_of
from tests.servers.processes import alive, wait_until
from tests.steps.protected import NobodyLooks
from understudy.records.run import StepState
from understudy.steps.ship_spooled_wal import ShipSpooledWal
from understudy.vocabulary.evidence import Outcome
from understudy.vocabulary.identifiers import RunId

SHIP = f"{RESOURCE}/ship-spooled-wal"


def received(estate):
    """Wait until the receiver has written all that the server has."""
    asked = (
        "select bool_or(write_lsn >= pg_current_wal_flush_lsn()) from pg_stat_replication where application_name like 'underst%'"
    )
    wait_until(lambda: estate.server.sql(asked) == [(True,)], "the receiver to have everything")


@pytest.fixture
def spooling(make_estate):
    """A backup holds row 1; rows 2 and 3 were committed since, and lie in complete segments and an unfinished one."""
    estate = make_estate(server={"settings": {"autovacuum": "off"}})  # nobody else commits
    estate.server.sql("create table kept (n int); insert into kept values (1)")
    estate.command("backup", "orders")
    estate.server.sql("insert into kept values (2)")
    estate.write(2)
    estate.server.sql("insert into kept values (3)")
    received(estate)
    return estate


def restored_rows(estate, *arguments):
    copy = estate.server.sibling()
    done = estate.command("restore", "orders", "--to", str(copy.data), *arguments)
    copy.start()
    return [row for (row,) in copy.sql("select n from kept order by n")], done.stderr


def ship_step(estate):
    [run] = estate.installation.records.runs(1)
    return next(step for step in estate.installation.records.steps(run.run) if step.key == SHIP)


def test_a_restore_to_the_latest_commit_brings_back_what_lay_only_in_the_spool(spooling):
    held = spooling.archive().contents()
    receiver = spooling.receiver_pid
    rows, said = restored_rows(spooling)
    assert rows == [1, 2, 3]
    assert "lay on this host only" in said
    proof = ship_step(spooling).evidence.proof
    assert proof["only_here_bytes"] >= 2 * 2**20
    assert len(spooling.archive().contents().segments) >= len(held.segments) + 2
    assert spooling.receiver_pid == receiver and alive(receiver), "the stream goes on"


def test_a_drill_measures_what_a_recovery_of_this_moment_would_bring_back(spooling):
    done = spooling.command("drill", "database_corruption", "--json")
    told = json.loads(done.stdout)
    proofs = {step["key"]: (step["evidence"] or {}).get("proof") for step in told["steps"]}
    assert proofs[SHIP]["only_here_bytes"] >= 2 * 2**20
    assert "ship" in told["measured"]["measurement"]["phases"]
    assert spooling.command("drill", "database_corruption").stdout.count("ship the last WAL") == 1


def test_a_position_that_only_the_spool_holds_can_be_asked_for(spooling):
    reached = spooling.flushed()
    spooling.server.sql("insert into kept values (4)")
    received(spooling)
    rows, _ = restored_rows(spooling, "--lsn", str(reached))
    assert rows == [1, 2, 3]


def test_a_timeline_that_only_the_spool_knows_is_followed(make_estate):
    estate = make_estate(server={"settings": {"wal_keep_size": "64MB"}})
    primary, standby = estate.server, estate.server.make_standby()
    primary.sql("create table kept (n int); insert into kept values (1)")
    estate.command("backup", "orders")
    primary.sql("insert into kept values (2)")
    received(estate)
    reached = estate.flushed()
    wait_until(lambda: standby.sql("select pg_last_wal_replay_lsn()") >= [(str(reached),)], "the standby to have everything")
    primary.kill_everything()
    standby.promote()
    estate.move_to(standby)
    estate.installation.receivers[RESOURCE].ensure_running()
    standby.sql("insert into kept values (3)")
    received(estate)
    assert estate.archive().contents().timelines() == (1,)
    assert restored_rows(estate)[0] == [1, 2, 3]


def test_into_the_repository_of_another_controller_nothing_is_shipped_and_that_is_said(spooling):
    with successor_of(spooling) as other:
        other.command("backup", "orders", "--full", "--take-over")
        spooling.server.sql("insert into kept values (4)")
        spooling.write(2)
        received(spooling)
        before = {found.key for found in spooling.installation.stores[NEAR].list()}
        rows, said = restored_rows(spooling)
        assert rows == [1, 2, 3]
        assert "is not shipped, and what near holds is restored" in said
        assert ship_step(spooling).state is StepState.SKIPPED
        assert SUPERSEDED in ship_step(spooling).evidence.proof["reason"]
        assert spooling.command("drill", "database_corruption", "--json", expect=0)
        new = {found.key for found in spooling.installation.stores[NEAR].list()} - before
        assert not [key for key in new if not key.startswith("evidence/")]
        assert spooling.installation.repository(NEAR).current_epoch().controller == other.installation.records.controller_id()


def test_a_host_without_a_spool_restores_what_is_held(spooling):
    with successor_of(spooling) as other:
        rows, said = restored_rows(other)
        assert rows == [1]
        assert "not shipped" not in said
        assert ship_step(other).evidence.outcome is Outcome.SKIPPED


def test_the_wal_of_another_cluster_is_left_in_the_spool(spooling):
    identity = spooling.spool.parent / "stream.json"
    identity.write_text(json.dumps({**json.loads(identity.read_text()), "system_identifier": "7000000000000000007"}))
    rows, said = restored_rows(spooling)
    assert rows == [1]
    assert "cluster 7000000000000000007" in said


def test_beside_serve_that_ships_itself_both_get_through(spooling):
    spooling.serve()
    receiver = spooling.receiver_pid
    for number in (4, 5):
        spooling.server.sql(f"insert into kept values ({number})")  # noqa: S608
        spooling.write(3)
        received(spooling)
        assert restored_rows(spooling)[0] == list(range(1, number + 1))
    shown = spooling.seen()
    assert (shown.shipping_faults, shown.receiving_fault, shown.receiver_pid) == ({}, None, receiver)


class Mounting(NobodyLooks):
    """Whoever is told that the work waits for the repository brings it back."""

    def __init__(self, estate):
        self._estate = estate
        self.told = []

    def held_up(self, reason):
        self.told.append(None if reason is None else reason.code)
        if reason is not None:
            self._estate.mount()


def test_what_a_restore_waits_for_before_it_ships_is_told_as_long_as_it_waits(spooling):
    server = spooling.installation.databases[RESOURCE].facts()
    step = ShipSpooledWal(RESOURCE, NEAR, server.system_identifier, server.segment_bytes, faults_fail=False)
    progress = Mounting(spooling)
    spooling.unmount()
    evidence = step.run(spooling.installation.world_for(RunId("by-hand"), progress, progress))
    assert evidence.outcome is Outcome.DONE and evidence.proof["only_here_bytes"] >= 2 * 2**20
    assert progress.told == ["store_unreachable", None]


def test_a_fault_in_shipping_fails_the_drill_and_not_the_restore(spooling):
    segments = spooling.installation.receivers[RESOURCE].spool().segments
    held = spooling.archive().contents()
    lost = next(each for each in segments if not held.holds(each))
    (spooling.spool / lost.name).unlink()
    rows, said = restored_rows(spooling)
    assert rows == [1]
    assert "wal_hole" in ship_step(spooling).evidence.proof["reason"] and "is not shipped" in said
    assert "wal_hole" in spooling.command("drill", "database_corruption", expect=1).stderr


def test_a_moment_that_is_not_shipped_yet_says_when_it_will_be(spooling):
    [(moment,)] = spooling.server.sql("select clock_timestamp()")
    copy = spooling.server.sibling()
    done = spooling.command("restore", "orders", "--to", str(copy.data), "--time", moment.isoformat(), expect=1)
    assert "target_not_reached" in done.stderr
    assert "ships every 1 s (wal.ship_every)" in done.stderr and "restore to latest" in done.stderr
