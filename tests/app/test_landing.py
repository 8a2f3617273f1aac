"""Recoveries onto this host when the resource's address names another one: where everything goes on, and by whose word."""

import json
import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest

from tests.app.waiting import Mover
from tests.faults.conftest import make_estate
from tests.restore_matrix.estate import RESOURCE, Estate, SilentWatcher, expect_success, proof_of
from tests.servers.postgres import PostgresServer
from tests.servers.processes import kill_servers_in, wait_until
from understudy.adapters.postgres.lock_file import LockFile
from understudy.app.installation import Installation
from understudy.app.looking import status
from understudy.app.preflight import check
from understudy.app.recoveries import Choice, recover
from understudy.judge.preflight import Finding, Grade
from understudy.ports.instance import InstancePlace
from understudy.stack.models import Scenario
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import BackupKind, Person

__all__ = ["make_estate"]
ANNA = Person("anna")


class Lost:
    """A protected server at an address that is lost for good, and a place for what a recovery brings up."""

    def __init__(self, server: PostgresServer, *, landing: bool, **recover: str) -> None:
        self.server = server
        self.directory = server.directory / "recovered"
        self.port = server.port + 1
        self.here = server.url.replace(f":{server.port}/", f":{self.port}/")
        self.sockets = server.new_directory("clients")
        fields = {
            "directory": str(self.directory),
            "port": str(self.port),
            "programs": str(server.programs),
            "socket_directory": str(self.sockets),
            **({"url": f"file:{server.directory}/estate/url-here"} if landing else {}),
            **recover,
        }
        self.estate = Estate.around(server, resource={"recover": fields})
        (self.estate.directory / "url-here").write_text(self.here)
        server.sql("create table kept as select generate_series(1, 7) n")

    def recover(self, watcher: object = None) -> object:
        return recover(
            self.estate.installation,
            Scenario.DATABASE_CORRUPTION,
            (),
            Choice(),
            watcher or SilentWatcher(),
            approved_by=ANNA,
        )

    def finding(self, aspect: str = "recover_place") -> Finding:
        return next(each for each in check(self.estate.stack_file, None).findings if each.aspect == aspect)

    def kill_recovered(self) -> None:
        """As a reboot ends it; no child of ours is left that has died."""
        kill_servers_in(self.directory)
        self.estate.installation.instances[RESOURCE].facts(InstancePlace(str(self.directory), ""))

    def close(self) -> None:
        self.estate.close()
        self.kill_recovered()
        self.server.close()


@pytest.fixture
def lost():
    made: list[Lost] = []

    def make(**options: object) -> Lost:
        made.append(Lost(PostgresServer(fresh=True).start(), **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def count(url: str) -> int:
    with psycopg.connect(url) as connection:
        return connection.execute("select count(*) from kept").fetchone()[0]


def serving_port(installation: Installation) -> int:
    [(port,)] = installation.databases[RESOURCE].query("select inet_server_port()")
    return int(port)


def test_everything_goes_on_by_the_address_of_the_recovered_server_until_the_url_names_another(lost):
    place = lost(landing=True)
    estate, old = place.estate, place.server.port
    estate.back_up_well(BackupKind.FULL)
    assert status(estate.installation).resources[0].landed is None
    place.server.kill_everything()
    view = expect_success(place.recover())
    assert proof_of(view, "check-address")["address"] == f"127.0.0.1:{place.port}"
    assert proof_of(view, "check-address")["url_address"] == f"127.0.0.1:{old}"
    assert count(place.here) == 7
    assert place.finding("configuration").grade is Grade.OK, "what it was started with is in its backups, or ours"

    # by every process, those that live and those that begin
    assert serving_port(estate.installation) == place.port
    estate.reopen()
    assert serving_port(estate.installation) == place.port
    estate.back_up_well(BackupKind.INCREMENTAL)
    landed = status(estate.installation).resources[0].landed
    assert (landed.run, landed.address) == (view.run.run, f"127.0.0.1:{place.port}")
    assert f"127.0.0.1:{place.port} since {view.run.run}; make url lead there" in estate.command("status").stdout

    # a second disaster: both addresses are looked at
    with psycopg.connect(place.here, autocommit=True) as connection:
        connection.execute("insert into kept values (8)")
    estate.ship()
    place.kill_recovered()
    view = expect_success(place.recover())
    fenced = proof_of(view, "fence-old-server")
    assert (fenced["at_the_address"], fenced["at_the_url"], fenced["overridden_by"]) == ("nobody", "nobody", None)
    assert count(place.here) == 8

    # the url is led here: it counts again
    (estate.directory / "url").write_text(place.here)
    assert status(estate.installation).resources[0].landed is None
    (estate.directory / "url-here").write_text("postgresql://nobody@127.0.0.1:1/postgres")
    assert serving_port(estate.installation) == place.port


def test_an_old_server_that_answers_at_the_url_refuses_the_second_recovery_too(lost):
    place = lost(landing=True)
    place.estate.back_up_well(BackupKind.FULL)
    place.server.kill_everything()
    expect_success(place.recover())
    place.kill_recovered()
    place.server.start()
    runs = len(place.estate.installation.records.runs())
    with pytest.raises(Refusal, match="old_server_not_fenced"):
        place.recover()
    assert len(place.estate.installation.records.runs()) == runs, "nobody was asked"
    assert place.server.sql("select count(*) from kept") == [(7,)]


def test_the_recovered_server_is_started_again_after_a_reboot_by_the_line_that_is_shown(lost):
    place = lost(landing=True)
    place.estate.back_up_well(BackupKind.FULL)
    place.server.kill_everything()
    view = expect_success(place.recover())
    line = proof_of(view, "open-to-clients")["start_again"]
    assert "ready to accept connections" in Path(f"{place.directory}.log").read_text()
    with psycopg.connect(host=str(place.sockets), port=place.port, user="postgres", dbname="postgres") as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (7,)
    place.estate.installation.receivers[RESOURCE].stop()
    place.kill_recovered()
    shutil.rmtree(f"{place.directory}.run")
    before = Path(f"{place.directory}.log").read_text()
    subprocess.run(["/bin/sh", "-c", line], check=True, cwd="/", env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, timeout=60)
    assert count(place.here) == 7
    assert LockFile.read(str(place.directory)).socket_directory == str(place.sockets)
    assert Path(f"{place.directory}.log").read_text().startswith(before)


def test_without_such_an_address_the_run_asks_beforehand_and_waits_for_a_person_to_move_the_url(lost):
    place = lost(landing=False)
    place.estate.back_up_well(BackupKind.FULL)
    place.server.kill_everything()
    mover = Mover(lambda: (place.estate.directory / "url").write_text(place.here))
    view = expect_success(place.recover(mover))
    assert mover.told.code == "database_unreachable"
    assert f"127.0.0.1:{place.server.port}, the resource's url, leads to the recovered server" in mover.told.expected
    question = view.steps[0].approval_question
    assert f"127.0.0.1:{place.server.port}, the resource's url, does not lead to port {place.port} of this host" in question
    assert "15 minutes" in question
    assert "url_address" not in proof_of(view, "check-address")
    assert serving_port(place.estate.installation) == place.port
    assert status(place.estate.installation).resources[0].landed is None


def test_a_place_for_the_socket_or_the_log_that_is_none_is_refused_before_anything_is_touched(lost):
    place = lost(landing=True)
    place.estate.back_up_well(BackupKind.FULL)
    assert place.finding().grade is Grade.OK
    shutil.rmtree(place.sockets)
    with pytest.raises(Refusal, match="socket_directory_unusable"):
        place.recover()
    assert f"{place.sockets}; or another one as resources.orders.recover.socket_directory" in place.finding().change
    place.sockets = place.server.new_directory("clients")
    Path(f"{place.directory}.log").symlink_to("/etc/hostname")
    with pytest.raises(Refusal, match="log_unusable"):
        place.recover()
    assert place.finding().grade is Grade.FAILURE
    assert place.server.sql("select count(*) from kept") == [(7,)]


def test_serve_goes_on_with_the_recovered_server(make_estate):
    """Its threads hold on to what they were handed before the disaster."""
    estate = make_estate(heartbeat={"every": "1s"})
    server, port = estate.server, estate.server.port + 1
    here = server.url.replace(f":{server.port}/", f":{port}/")
    estate.secret("url-here", here)
    stack = json.loads(estate.stack_file.read_text())
    stack["resources"]["orders"]["recover"] |= {
        "directory": str(server.directory / "recovered"),
        "port": str(port),
        "url": f"file:{estate.directory}/url-here",
    }
    estate.stack_file.write_text(json.dumps(stack))
    estate.installation = Installation.open(estate.stack_file)
    estate.serve()
    estate.command("backup", "orders")
    estate.wait_until_held(estate.write())
    server.kill_everything()
    try:
        estate.command("recover", "database_corruption", "--yes")
        with psycopg.connect(here, autocommit=True) as connection:
            before = connection.execute("select max(written) from understudy_heartbeat").fetchone()
            newest = "select max(written) from understudy_heartbeat"
            wait_until(lambda: connection.execute(newest).fetchone() > before, "a heartbeat on the recovered server")
            connection.execute("select pg_logical_emit_message(false, 'x', repeat('x', 300000))")
        seen = estate.wait_for(
            lambda found: not found.server_fault and found.exposure is not None and found.exposure.known,
            "the exposure to be known",
        )
        assert seen.landed.address == f"127.0.0.1:{port}"
    finally:
        estate.kill()
        kill_servers_in(server.directory / "recovered")
