"""What a killed server had written and nobody had received, taken out of its data directory by the recovery."""

from __future__ import annotations

import psycopg
import pytest

from tests.faults.estate import RESOURCE
from tests.faults.test_spooled import received
from tests.restore_matrix.estate import files_in
from tests.servers.flavours import Flavour

SHIP = f"{RESOURCE}/ship-remaining-wal"


def unreceived(estate):
    """A backup and the repository hold row 1; rows 2 and 3 were committed while nothing received, and the server is killed."""
    estate.server.sql("create table kept (n int); insert into kept values (1)")
    estate.command("backup", "orders")
    received(estate)
    estate.installation.receivers[RESOURCE].stop()
    estate.server.sql("insert into kept values (2)")
    estate.write(2)
    estate.server.sql("insert into kept values (3)")
    estate.server.kill_everything()


def recovered(estate, *arguments):
    """The rows, what the step that ships says, and what a person reads."""
    done = estate.command("recover", "database_corruption", "--yes", *arguments)
    [run] = estate.installation.records.runs(1)
    step = next(step for step in estate.installation.records.steps(run.run) if step.key == SHIP)
    with psycopg.connect(estate.server.url, autocommit=True) as connection:
        rows = connection.execute("select n from kept order by n").fetchall()
    return [row for (row,) in rows], step.evidence, done.stdout + done.stderr


@pytest.mark.parametrize("flavour", [Flavour.WHEEL_18, Flavour.DEBIAN_15], ids=["18", "15"])
def test_what_a_killed_server_wrote_while_nothing_received_comes_back_and_its_directory_stays_as_it_was(make_estate, flavour):
    estate = make_estate(server={"flavour": flavour})
    unreceived(estate)
    before = {path.relative_to(estate.server.data): found for path, found in files_in(estate.server.data).items()}
    rows, evidence, said = recovered(estate)
    assert rows == [1, 2, 3]
    [left] = evidence.proof["old_server"]
    assert left["taken_bytes"] >= 2 * 2**20 and left["segments"] >= 3 and left["fault"] == ""
    assert f"up to {left['reaches']}, came from the old server's {estate.server.data}/pg_wal" in said
    [aside] = estate.server.data.parent.glob("data.before-*")
    assert {path.relative_to(aside): found for path, found in files_in(aside).items()} == before
