"""A server that keeps its configuration outside the data directory, as Debian's packages do, recovered with a copy of it."""

import json
import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest

from tests.restore_matrix.estate import RESOURCE, Estate, SilentWatcher, expect_success, proof_of
from tests.servers.flavours import Flavour, give_to_owner
from tests.servers.postgres import PostgresServer
from tests.servers.processes import kill_servers_in
from understudy.app.database_recoveries import plan_in_place
from understudy.app.preflight import check
from understudy.app.recoveries import Choice, recover
from understudy.cli.brought_back import print_brought_back
from understudy.judge.preflight import Grade
from understudy.ports.instance import InstancePlace
from understudy.stack.models import Scenario
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import BackupKind, Person

SCENARIO = Scenario.DATABASE_CORRUPTION


class PackagedServer(PostgresServer):
    """Debian's layout: ``postgresql.conf`` and its kin in a directory of their own, with lines that hold on the old host only."""

    def __init__(self) -> None:
        super().__init__(Flavour.DEBIAN_15, fresh=True)
        self.etc = self.new_directory("etc")
        (self.etc / "conf.d").mkdir()
        (self.etc / "conf.d" / "memory.conf").write_text("work_mem = '7MB'\n")
        for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf"):
            (self.data / name).rename(self.etc / name)
        with (self.etc / "postgresql.conf").open("a") as file:
            file.write(
                f"data_directory = '{self.data}'\nhba_file = '{self.etc}/pg_hba.conf'\nident_file = '{self.etc}/pg_ident.conf'\n"
                f"external_pid_file = '{self.directory}/15-main.pid'\nport = 5439\nlisten_addresses = '*'\n"
                "unix_socket_directories = '/nowhere'\ninclude_dir = 'conf.d'\n"
            )
        for path in (self.etc, *self.etc.rglob("*")):
            give_to_owner(path)
        self.settings |= {"config_file": str(self.etc / "postgresql.conf")}


class Packaged:
    def __init__(self) -> None:
        self.server = PackagedServer()
        self.server.start()
        self.directory, self.port = self.server.directory / "recovered", self.server.port + 1
        self.here = self.server.url.replace(f":{self.server.port}/", f":{self.port}/")
        self.kept = self.server.directory / "kept"
        fields = {
            "directory": str(self.directory),
            "port": str(self.port),
            "programs": str(self.server.programs),
            "socket_directory": str(self.server.socket_directory),
            "url": f"file:{self.server.directory}/estate/url-here",
        }
        self.estate = Estate.around(self.server, resource={"recover": fields})
        (self.estate.directory / "url-here").write_text(self.here)
        self.server.sql("create table kept as select generate_series(1, 7) n")
        self.estate.back_up_well(BackupKind.FULL)

    def name_the_copy(self) -> None:
        stack = json.loads(self.estate.stack_file.read_text())
        stack["resources"]["orders"]["recover"]["configuration"] = str(self.kept)
        self.estate.stack_file.write_text(json.dumps(stack))
        self.estate.reopen()

    def finding(self):
        return next(each for each in check(self.estate.stack_file, None).findings if each.aspect == "configuration")

    def kill_recovered(self) -> None:
        kill_servers_in(self.directory)
        self.estate.installation.instances[RESOURCE].facts(InstancePlace(str(self.directory), ""))

    def close(self) -> None:
        self.estate.close()
        self.kill_recovered()
        self.server.close()


@pytest.fixture
def packaged():
    made = Packaged()
    yield made
    made.close()


def ask(url: str, question: str) -> object:
    with psycopg.connect(url) as connection:
        return connection.execute(question).fetchone()[0]


def test_a_server_with_its_configuration_elsewhere_is_recovered_with_a_copy_of_it_and_refused_without(packaged, capsys):
    estate, kept = packaged.estate, packaged.kept
    finding = packaged.finding()
    assert finding.grade is Grade.FAILURE
    assert str(packaged.server.etc) in finding.found
    assert "below resources.orders.recover: configuration: /etc/understudy/orders" in finding.change
    with pytest.raises(Refusal, match="configuration_missing") as refused:
        plan_in_place(estate.installation, SCENARIO, RESOURCE, Choice(), Person("anna"))
    assert "no postgresql.conf and no pg_hba.conf" in refused.value.found
    assert not packaged.directory.exists()

    packaged.name_the_copy()
    assert packaged.finding().grade is Grade.FAILURE
    with pytest.raises(Refusal, match="configuration_missing"):
        plan_in_place(estate.installation, SCENARIO, RESOURCE, Choice())
    shutil.copytree(packaged.server.etc, kept)
    for path in (kept, *kept.rglob("*")):
        give_to_owner(path)
    assert packaged.finding().grade is Grade.OK

    packaged.server.kill_everything()
    shutil.rmtree(packaged.server.etc)
    view = expect_success(recover(estate.installation, SCENARIO, (), Choice(), SilentWatcher(), approved_by=Person("anna")))
    assert_serves_with_the_copy(packaged)
    print_brought_back(view)
    assert_its_rules_are_said_to_be_a_copy(capsys.readouterr().out, packaged)

    # and again after a reboot, by the line that was shown
    estate.installation.receivers[RESOURCE].stop()
    packaged.kill_recovered()
    shutil.rmtree(f"{packaged.directory}.run")
    line = str(proof_of(view, "open-to-clients")["start_again"])
    subprocess.run(["/bin/sh", "-c", line], check=True, cwd="/", env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, timeout=60)
    assert_serves_with_the_copy(packaged)
    assert ask(packaged.here, "show hba_file") == f"{packaged.kept}/pg_hba.conf"


def assert_its_rules_are_said_to_be_a_copy(said: str, packaged: Packaged) -> None:
    [line] = [each for each in said.splitlines() if each.startswith("access rules:")]
    assert f"{ask(packaged.here, 'show hba_file')} until the server is started again, then {packaged.kept}/pg_hba.conf" in line


def assert_serves_with_the_copy(packaged: Packaged) -> None:
    assert ask(packaged.here, "select count(*) from kept") == 7
    assert ask(packaged.here, "show config_file") == str(packaged.kept / "postgresql.conf")
    assert ask(packaged.here, "show work_mem") == "7MB"
    assert ask(packaged.here, "show listen_addresses") == "localhost"
    assert ask(packaged.here, "show data_directory") == str(packaged.directory)
    rules = "select count(*) from pg_hba_file_rules where type = 'host' and auth_method = 'scram-sha-256' and error is null"
    assert ask(packaged.here, rules) > 0
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        ask(packaged.here.replace("s3cret", "guessed"), "select 1")


def test_a_restore_goes_on_without_and_says_that_no_configuration_came_with_it(packaged):
    directory = packaged.server.directory / "copy"
    said = packaged.estate.command("restore", "orders", "--to", str(directory), "--immediate").stdout
    assert "No configuration came with it" in said
    assert not (Path(directory) / "postgresql.conf").exists()
