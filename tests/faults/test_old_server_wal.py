"""What a killed server had written and nobody had received, taken out of its data directory by the recovery."""

from __future__ import annotations

import shutil

import psycopg
import pytest

from tests.faults.estate import NEAR, RESOURCE
from tests.faults.test_reprotection import write_to_the_recovered
from tests.faults.test_spooled import received
from tests.restore_matrix.estate import files_in
from tests.servers.flavours import Flavour
from tests.servers.processes import wait_until
from tests.steps.protected import world_of
from understudy.adapters.places import LocalPlaces
from understudy.steps.ship_remaining_wal import ShipRemainingWal
from understudy.vocabulary.identifiers import RunId
from understudy.vocabulary.wal import Lsn, Timeline, WalSegment

SHIP = f"{RESOURCE}/ship-remaining-wal"


def unreceived(estate):
    """A backup and the spool hold row 1; rows 2 and 3 were committed while nothing received, and the server is killed.

    Returns where row 2 was safe, and where row 3 was.
    """
    estate.server.sql("create table kept (n int); insert into kept values (1)")
    estate.command("backup", "orders")
    received(estate)
    estate.installation.receivers[RESOURCE].stop()
    estate.server.sql("insert into kept values (2)")
    between = estate.flushed()
    estate.write(2)
    estate.server.sql("insert into kept values (3)")
    end = estate.flushed()
    estate.server.kill_everything()
    return between, end


def recovered(estate, *arguments):
    """The rows, the evidence of the step that ships, and what a person reads."""
    done = estate.command("recover", "database_corruption", "--yes", *arguments)
    [run] = estate.installation.records.runs(1)
    step = next(step for step in estate.installation.records.steps(run.run) if step.key == SHIP)
    with psycopg.connect(estate.server.url, autocommit=True) as connection:
        rows = connection.execute("select n from kept order by n").fetchall()
    return [row for (row,) in rows], step.evidence, done.stdout + done.stderr


@pytest.mark.parametrize(("flavour", "to"), [(Flavour.WHEEL_18, "latest"), (Flavour.DEBIAN_15, "lsn")], ids=["18", "15"])
def test_what_a_killed_server_wrote_while_nothing_received_comes_back_and_its_directory_stays_as_it_was(make_estate, flavour, to):
    estate = make_estate(server={"flavour": flavour})
    _, end = unreceived(estate)
    before = {path.relative_to(estate.server.data): found for path, found in files_in(estate.server.data).items()}
    rows, evidence, said = recovered(estate, *(["--lsn", str(end)] if to == "lsn" else []))
    assert rows == [1, 2, 3]
    [left] = evidence.proof["old_server"]
    assert left["taken_bytes"] >= 2 * 2**20 and left["segments"] >= 3 and left["fault"] == ""
    told = f"of WAL that nobody had received, up to {left['reaches']}"
    assert f"{told}, came from the old server's {estate.server.data}/pg_wal" in said, "as it happens"
    assert f"{told}, out of {estate.server.data}" in said, "at the end"
    [aside] = estate.server.data.parent.glob("data.before-*")
    assert {path.relative_to(aside): found for path, found in files_in(aside).items()} == before


def test_a_damaged_pg_wal_gives_what_lies_before_the_damage_and_it_is_told(make_estate):
    estate = make_estate(server={"settings": {"autovacuum": "off"}})
    between, _ = unreceived(estate)
    damaged = WalSegment.holding(Timeline(1), between, 2**20)
    path = estate.server.data / "pg_wal" / damaged.name
    content = bytearray(path.read_bytes())
    content[between.bytes_since(damaged.start) + 30000] ^= 1  # within the message that fills it up
    path.write_bytes(content)
    rows, evidence, said = recovered(estate)
    assert rows == [1, 2]
    [left] = evidence.proof["old_server"]
    assert between <= Lsn.parse(left["reaches"]) < damaged.end
    assert f"{path} is damaged behind {left['reaches']}" in left["fault"]
    assert f"is not taken: {left['fault']}" in said


def test_what_the_server_wrote_while_the_spool_was_full_comes_back_and_serve_goes_on_without_a_hole(make_estate):
    estate = make_estate(wal={"ship_every": "1s", "spool_limit": "64MiB"})
    estate.server.sql("create table kept (n int); insert into kept values (1)")
    estate.serve()
    estate.command("backup", "orders")
    estate.unmount()
    estate.write(64)
    estate.wait_for(lambda seen: seen.receiving_fault is not None and seen.receiving_fault.code == "spool_full", "a full spool")
    wait_until(lambda: estate.receiver_pid is None, "the receiver to be stopped")
    estate.server.sql("insert into kept values (2)")
    estate.write(2)
    estate.server.sql("insert into kept values (3)")
    estate.server.kill_everything()
    estate.mount()
    rows, evidence, _ = recovered(estate)
    assert rows == [1, 2, 3]
    assert evidence.proof["old_server"][0]["taken_bytes"] >= 2**20
    estate.wait_until_held(write_to_the_recovered(estate))
    assert "wal_hole" not in estate.log_text()


def test_a_standby_that_was_promoted_while_nothing_received_comes_back_on_its_new_timeline(make_estate):
    estate = make_estate(server={"settings": {"wal_keep_size": "64MB"}})
    server = estate.server
    server.sql("create table kept (n int); insert into kept values (1)")
    estate.command("backup", "orders")
    received(estate)
    estate.installation.receivers[RESOURCE].stop()
    server.sql("insert into kept values (2)")
    estate.write()
    server.stop()
    (server.data / "standby.signal").touch()
    server.start()
    server.promote()
    server.sql("insert into kept values (3)")
    server.kill_everything()
    rows, evidence, _ = recovered(estate)
    assert rows == [1, 2, 3]
    assert evidence.proof["old_server"][0]["segments"] >= 2
    assert Timeline(2) in estate.archive().contents().histories


def shipped(estate, run, cluster, *directories):
    step = ShipRemainingWal(RESOURCE, (NEAR,), *cluster, timeline=1, old_directories=tuple(map(str, directories)))
    return step.run(world_of(estate.installation, run))


def test_only_the_same_cluster_is_a_source_and_what_is_shipped_already_is_not_shipped_again(make_estate):
    estate = make_estate()
    server = estate.installation.databases[RESOURCE].facts()
    cluster = server.system_identifier, server.segment_bytes
    unreceived(estate)
    data, other = estate.server.data, make_estate().server

    other.kill_everything()
    evidence = shipped(estate, "foreign", cluster, other.data)
    assert "holds WAL of cluster" in evidence.hint and evidence.proof["old_server"][0]["taken_bytes"] == 0
    held = set(estate.near.rglob("*"))

    first = shipped(estate, "first", cluster, data)
    [left] = first.proof["old_server"]
    assert set(estate.near.rglob("*")) > held
    held = set(estate.near.rglob("*"))
    assert left["taken_bytes"] >= 2 * 2**20 and first.claim == "every received byte of WAL is in every repository"
    assert shipped(estate, "first", cluster, data).proof["old_server"] == [left], "an attempt after a kill tells the same"
    [again] = shipped(estate, "second", cluster, data).proof["old_server"]
    assert (again["taken_bytes"], again["segments"], again["reaches"]) == (0, 0, left["reaches"])
    assert set(estate.near.rglob("*")) == held

    aside = LocalPlaces().set_aside(str(data), RunId("third"))
    LocalPlaces().claim(str(data), RunId("third"))
    assert shipped(estate, "third", cluster, data).proof["old_server"][0]["directory"] == aside
    shutil.rmtree(aside)
    [nothing] = shipped(estate, "third", cluster, data).proof["old_server"]
    assert nothing["fault"] == "no data of the old server are there"
