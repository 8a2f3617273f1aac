"""What the host refuses, and what somebody damaged: a code and a hint, never a traceback."""

import json
import os
import sqlite3
import subprocess
import sys

import pytest

from tests.app.desk import Desk, KeptDesk, desk
from tests.cli.commands import assert_refused, environment, understudy
from tests.servers.postgres import PostgresServer

__all__ = ["desk"]


@pytest.fixture(scope="module")
def server():
    with PostgresServer() as made:
        yield made


@pytest.fixture(scope="module")
def after_a_backup(server):
    desk = Desk()
    desk.write(server, url=server.url)
    done = understudy(desk, "backup", "orders")
    assert done.returncode == 0, done.stderr
    kept = KeptDesk(desk)
    yield kept
    kept.close()


@pytest.fixture
def backed_up(after_a_backup):
    return after_a_backup.put_back()


@pytest.fixture
def read_only(request):
    """``read_only(path)``: its disk is read-only from now on."""

    def make(path):
        if os.geteuid() != 0:
            pytest.skip("mounting needs root")
        for command in (["mount", "--bind", str(path), str(path)], ["mount", "-o", "remount,bind,ro", str(path)]):
            if subprocess.run(command, capture_output=True, check=False).returncode != 0:
                pytest.skip("a read-only file system needs the privilege to mount one")
            if "remount,bind,ro" not in command:
                request.addfinalizer(lambda: subprocess.run(["umount", "--lazy", str(path)], check=True))

    return make


def test_a_repository_that_is_not_in_the_stack_file_is_named(backed_up):
    done = understudy(backed_up, "restore", "orders", "--to", "copy", "--repository", "nonsense")
    assert_refused(done, "no_such_repository", 2)
    assert_refused(understudy(backed_up, "drill", "database_corruption", "--repository", "nonsense"), "no_such_repository", 2)


@pytest.mark.parametrize("command", [("drill", "database_corruption"), ("recover", "database_corruption", "--yes")], ids=" ".join)
@pytest.mark.parametrize("report", ["nowhere/report.json", "."])
def test_a_report_that_cannot_be_written_is_told_before_anything_begins(backed_up, command, report):
    assert_refused(understudy(backed_up, *command, "--report", report), "file_unwritable", 2)
    assert understudy(backed_up, "runs").stdout.count("\n") == 2


def test_an_export_that_cannot_be_written_is_told_and_one_that_is_says_what_it_holds(backed_up):
    assert_refused(understudy(backed_up, "evidence", "export", "--to", "nowhere/all.json"), "file_unwritable", 2)
    assert_refused(understudy(backed_up, "evidence", "export", "--to", "."), "file_unwritable", 2)
    said = json.loads(understudy(backed_up, "evidence", "export", "--to", "all.json", "--json").stdout)
    exported = json.loads((backed_up.directory / "all.json").read_text())
    assert said == {"file": "all.json", "run": None, "links": len(exported["links"])}
    again = understudy(backed_up, "evidence", "export", "--to", "all.json")
    assert_refused(again, "file_unwritable", 2)
    assert "all.json is there already" in again.stderr
    assert json.loads((backed_up.directory / "all.json").read_text()) == exported


@pytest.mark.parametrize("lost", ["", "state.db-shm"])
def test_status_tells_what_was_recorded_although_the_state_directory_is_read_only(backed_up, read_only, lost):
    (backed_up.state / lost).unlink() if lost else None
    assert (backed_up.state / "state.db-wal").stat().st_size > 0
    read_only(backed_up.state)
    done = understudy(backed_up, "status")
    assert done.returncode == 0, done.stderr
    assert "back within" in done.stdout
    assert ("state_unwritable" in done.stdout) == bool(lost)
    assert "none taken here" not in done.stdout and "unknown: the records" not in done.stdout


@pytest.mark.parametrize("command", [("backup", "orders"), ("serve",)], ids=" ".join)
def test_a_read_only_state_directory_is_told(backed_up, read_only, command):
    read_only(backed_up.state)
    assert_refused(understudy(backed_up, *command), "state_unwritable", 1)


@pytest.mark.parametrize("command", [("backup", "orders"), ("serve",)], ids=" ".join)
def test_a_state_directory_that_cannot_be_made_is_told_and_nothing_is_stored(desk, server, command):
    desk.write(server)
    (desk.directory / "file").write_text("")
    assert_refused(understudy(desk, *command, "--state", desk.directory / "file" / "state"), "state_unwritable", 1)
    assert not (desk.directory / "repository").exists()


def test_status_tells_the_objective_where_nothing_is_recorded_and_makes_nothing(desk, server):
    desk.write(server)
    done = understudy(desk, "status")
    assert done.returncode == 0, done.stderr
    assert "state_empty" in done.stdout and "back within" in done.stdout
    assert not desk.state.exists()


@pytest.mark.parametrize("offset", [0, 4096], ids=["header", "a page"])
def test_a_damaged_state_database_is_told_with_what_to_do_and_status_tells_the_rest(backed_up, offset):
    with sqlite3.connect(backed_up.state / "state.db") as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with (backed_up.state / "state.db").open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * 4096 * 3)
    for command in (("runs",), ("backup", "orders")):
        done = understudy(backed_up, *command)
        assert_refused(done, "state_damaged", 1)
        assert "--take-over" in done.stderr
    done = understudy(backed_up, "status")
    assert done.returncode == 0, done.stderr
    assert "state_damaged" in done.stdout and "back within" in done.stdout
    assert "none taken here" not in done.stdout


def test_a_damaged_engine_is_set_aside_because_the_records_are_the_truth(backed_up):
    with (backed_up.state / "engine.db").open("r+b") as file:
        file.write(b"\xff" * 4096)
    done = understudy(backed_up, "backup", "orders")
    assert done.returncode == 0, done.stderr
    assert "is set aside" in done.stderr
    assert len(list(backed_up.state.glob("damaged-by-*.db"))) == 1
    with sqlite3.connect(backed_up.state / "engine.db") as engine:
        assert engine.execute("PRAGMA quick_check").fetchone() == ("ok",)


def test_an_output_that_is_full_is_told(backed_up):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-m", "understudy.cli.main", "status"],
            env=environment(backed_up), cwd=backed_up.directory, stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE,
            text=True, check=False, timeout=120,
        )  # fmt: skip
    assert_refused(done, "host_refused", 1)
    assert "Exception ignored" not in done.stderr


def test_a_pipe_that_nobody_writes_to_is_no_stack_file(desk):
    os.mkfifo(desk.stack_file)
    assert_refused(understudy(desk, "check"), "stack_file_unreadable", 2)
