"""A real recovery of a database that made tablespaces after the backup: the WAL alone holds them. PostgreSQL 15 and 18."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from tests.restore_matrix.estate import end_recovered_server, files_in
from tests.servers.flavours import Flavour, give_to_owner
from tests.servers.processes import wait_until

ROWS = [(500, 125250)]


class Disaster:
    """The server is dead. After the only backup it made ``late`` and ``apart``, each with a table, and one that it dropped."""

    def __init__(self, estate):
        self.estate, server = estate, estate.server
        estate.back_up_well()
        self.late, self.apart, dropped = (server.new_directory(name) for name in ("late", "apart", "dropped"))
        for name, place in {"late": self.late, "dropped": dropped, "apart": self.apart}.items():
            server.sql(f"create tablespace {name} location '{place}'")
            server.sql(f"create table in_{name} tablespace {name} as select generate_series(1, 500) n")
        server.sql("drop table in_dropped")
        server.sql("drop tablespace dropped")
        estate.ship()
        server.kill_everything()
        self.left = contents_of(self.late)

    def end(self):
        end_recovered_server(self.estate.server)

    def assert_that_all_is_back_and_the_old_files_lie_aside(self, told):
        server = self.estate.server
        for name in ("late", "apart"):
            assert server.sql(f"select count(*), sum(n) from in_{name}") == ROWS  # noqa: S608
        aside, now = sorted(self.late.iterdir(), key=lambda each: "before" not in each.name)
        assert contents_of(aside) == self.left
        assert contents_of(now).keys() != set()
        assert f"set aside:     {aside}" in told
        replayed = self.proof()
        assert str(aside) in replayed["set_aside"]
        assert {link.name for link in (server.data / "pg_tblspc").iterdir()} == {
            oid for (oid,) in server.sql("select oid::text from pg_tablespace where spcname in ('late', 'apart')")
        }

    def proof(self):
        newest = json.loads(self.estate.command("runs", "--json").stdout)["runs"][0]["run"]
        shown = json.loads(self.estate.command("show", newest, "--json").stdout)
        return next(step["evidence"]["proof"] for step in shown["steps"] if step["key"].endswith("/replay-wal"))


def contents_of(place):
    """What lies below a directory of a tablespace, or of one that was renamed: each file, and what a change would change."""
    return {path.relative_to(place).parts[-2:]: what for path, what in files_in(place).items()}


@pytest.fixture
def disaster(make_estate, request):
    made = Disaster(make_estate(request.param, settings={"autovacuum": "off"}))
    yield made
    made.end()


@pytest.mark.parametrize("disaster", [Flavour.DEBIAN_15], indirect=True)
def test_the_files_that_an_old_server_left_in_a_tablespace_are_set_aside_and_the_tablespace_comes_back(disaster):
    done = disaster.estate.command("recover", "database_corruption", "--yes")
    disaster.assert_that_all_is_back_and_the_old_files_lie_aside(done.stdout)


@pytest.mark.parametrize("disaster", [Flavour.WHEEL_18], indirect=True)
def test_killed_while_it_waits_for_the_directory_of_a_tablespace_a_recovery_ends_the_same(disaster):
    estate = disaster.estate
    shutil.rmtree(estate.server.data)
    shutil.rmtree(disaster.apart)
    command = [sys.executable, "-m", "understudy.cli.main", "recover", "data_loss", "--yes"]
    with (estate.directory / "told").open("w") as told:
        recovering = subprocess.Popen(
            command, env={**os.environ, "UNDERSTUDY_STACK": str(estate.stack_file)}, stdin=subprocess.DEVNULL,
            stdout=told, stderr=told, text=True,
        )  # fmt: skip
    wait_until(
        lambda: "tablespace_missing" in (estate.directory / "told").read_text() or recovering.poll() is not None, "it to wait"
    )
    said = (estate.directory / "told").read_text()
    assert recovering.poll() is None, said
    assert str(disaster.apart) in said
    recovering.send_signal(signal.SIGKILL)
    recovering.wait()
    disaster.apart.mkdir(mode=0o700)
    give_to_owner(disaster.apart)
    run = json.loads(estate.command("runs", "--json").stdout)["runs"][0]["run"]
    done = estate.command("resume", run)
    disaster.assert_that_all_is_back_and_the_old_files_lie_aside(done.stdout)
