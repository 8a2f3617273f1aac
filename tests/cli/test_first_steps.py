"""What the commands say before there is anything to work with, and when it has gone."""

import json

import pytest

from tests.app.desk import Desk, KeptDesk, desk
from tests.cli.commands import assert_refused, understudy
from tests.servers.postgres import PostgresServer

__all__ = ["desk"]

EVERYTHING_THAT_READS = [
    ("backups",),
    ("verify",),
    ("verify", "orders"),
    ("drill", "database_corruption"),
    ("restore", "orders", "--to", "copy"),
    ("recover", "database_corruption", "--yes"),
]


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


@pytest.mark.parametrize("command", EVERYTHING_THAT_READS, ids=" ".join)
def test_before_the_first_backup_the_hint_is_to_take_one_and_nothing_is_made(desk, server, command):
    desk.write(server)
    done = understudy(desk, *command)
    assert_refused(done, "no_backup" if command[0] in ("backups", "verify") else "repository_missing", 3)
    assert "understudy backup orders" in done.stderr
    assert not (desk.directory / "repository").exists()


@pytest.mark.parametrize("command", EVERYTHING_THAT_READS, ids=" ".join)
def test_a_repository_that_was_used_and_is_gone_is_away_and_never_called_empty(backed_up, command):
    (backed_up.directory / "repository").rename(backed_up.directory / "unmounted")
    for mount_point in (False, True):
        if mount_point:
            (backed_up.directory / "repository").mkdir()
        done = understudy(backed_up, *command)
        assert done.returncode == 1
        assert "store_unreachable" in done.stdout + done.stderr
        assert "no_backup" not in done.stdout + done.stderr


def test_a_further_repository_that_nothing_was_stored_in_yet_is_a_fault_of_verify_and_no_reason_to_list_nothing(backed_up):
    text = backed_up.stack_file.read_text()
    backed_up.stack_file.write_text(text.replace("encryption:", f"  far: {{url: file://{backed_up.directory}/far}}\nencryption:"))
    assert [each["repository"] for each in json.loads(understudy(backed_up, "backups", "--json").stdout)["usable"]] == ["near"]
    done = understudy(backed_up, "verify")
    assert done.returncode == 1
    assert "repository_missing" in done.stdout


def test_no_runs_yet_is_said_in_words(desk, server):
    desk.write(server)
    assert understudy(desk, "runs").stdout == f"no runs yet in {desk.state}\n"
    assert json.loads(understudy(desk, "runs", "--json").stdout) == {"runs": []}
    assert not desk.state.exists(), "looking makes nothing"


@pytest.mark.parametrize("verb", ["show", "approve", "cancel", "resume"])
def test_who_names_a_run_and_another_state_directory_is_told_which_one_and_nothing_is_made_there(desk, server, verb):
    desk.write(server)
    desk.identity_file.unlink()
    refused = understudy(desk, verb, "20261123-030000-1a2b3c")
    assert_refused(refused, "run_unknown", 2)
    assert str(desk.state) in refused.stderr
    assert not desk.state.exists()


def test_a_tablespace_that_no_backup_holds_is_refused(backed_up):
    done = understudy(backed_up, "restore", "orders", "--to", "copy", "--tablespace", "nope=/somewhere")
    assert_refused(done, "no_such_tablespace", 2)
    assert not (backed_up.directory / "copy").exists()


@pytest.mark.parametrize("number", ["-1", "0", "x"])
@pytest.mark.parametrize("option", [("restore", "orders", "--to", "copy", "--timeline"), ("runs", "--newest")], ids=" ".join)
def test_a_number_that_cannot_be_is_a_mistake_of_the_command_line(desk, server, option, number):
    desk.write(server)
    assert understudy(desk, *option, number).returncode == 2


def test_a_mistyped_command_is_answered_with_the_one_that_was_meant(desk):
    done = understudy(desk, "bakcup")
    assert done.returncode == 2
    assert "did you mean backup?" in done.stderr
    assert "did you mean" not in understudy(desk, "xyzzy").stderr
