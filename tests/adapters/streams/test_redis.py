"""Debian's Redis server, asked with its own programs, and what it handed over tried out."""

import os
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from tests.servers.processes import wait_until
from tests.servers.redis import PASSWORD, RedisServer
from understudy.adapters.streams import leftovers
from understudy.adapters.streams.redis_address import RedisAddress, TlsFiles
from understudy.adapters.streams.redis_collection import RedisCollection, see_server
from understudy.adapters.streams.redis_programs import RedisClient, RedisPrograms
from understudy.adapters.streams.redis_trial import RedisTrial
from understudy.adapters.streams.workplace import Errand
from understudy.vocabulary.errors import GiveUp, TryAgain
from understudy.vocabulary.secret import Secret

pytestmark = pytest.mark.skipif(
    any(shutil.which(program) is None for program in ("redis-server", "redis-cli", "redis-check-rdb")),
    reason="Redis is not installed",
)
PROGRAMS = RedisPrograms(None)
EXPIRING = 7


@pytest.fixture(scope="module")
def server():
    with RedisServer() as made:
        made.fill(100)
        made.fill(20, database=3)
        for number in range(EXPIRING):
            made.ask("set", f"session:{number}", "x", "EX", "100000")
        yield made


@pytest.fixture
def errand(workplace):
    return Errand(workplace, "sessions", timedelta(seconds=60))


@pytest.fixture
def client(errand):
    def made(url, password=None, programs=PROGRAMS, **files):
        secret = None if password is None else Secret(password)
        return RedisClient(programs, RedisAddress.parse(Secret(url), secret, TlsFiles(**files)), errand)

    return made


@pytest.fixture
def handed_over(client, errand):
    """The entry and the file of what a server hands over."""

    def ask(url, *arguments, **files):
        collection = RedisCollection(client(url, *arguments, **files), PROGRAMS, errand)
        (entry,) = collection.entries()
        file = errand.workplace.scratch.parent / "restored.rdb"
        file.write_bytes(b"".join(collection.read(entry)))
        return entry, file

    return ask


@pytest.fixture
def trial(errand):
    return RedisTrial(PROGRAMS, errand)


def refused(code, act, kind=GiveUp):
    with pytest.raises(kind) as raised:
        act()
    assert raised.value.code == code
    assert raised.value.found and raised.value.expected and raised.value.hint
    return raised.value


def flip(file, at):
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


def servers_in(directory):
    return [each for each in Path("/proc").glob("[0-9]*") if works_in(each, directory)]


def works_in(process, directory):
    try:
        return (process / "cwd").readlink() == directory
    except OSError:
        return False


def test_all_databases_come_over_counted_and_a_server_loads_every_key(server, handed_over, trial, workplace):
    entry, file = handed_over(f"unix:{server.socket}")
    assert entry.key == "dump.rdb"
    assert file.read_bytes().startswith(b"REDIS")
    about = entry.attributes["redis"]
    assert about["databases"] == {"db0": 100 + EXPIRING, "db3": 20}
    assert about["keys"] == about["keys_before"] == about["keys_after"] == 120 + EXPIRING
    assert (about["keys_with_expiry"], about["role"]) == (EXPIRING, "master")
    assert list(workplace.scratch.iterdir()) == []

    counted = trial.try_out(file)
    assert counted["keys"] == counted["keys_loaded"] == 120 + EXPIRING
    assert counted["databases"] == 2
    assert list(workplace.scratch.iterdir()) == [], "and nothing is left of the trial"


@pytest.mark.parametrize("at", [-1, -40, 20])
def test_a_flipped_byte_is_found(server, handed_over, trial, at):
    """Negative control: the checksum, a key, and what the file says of itself."""
    _, file = handed_over(f"unix:{server.socket}")
    flip(file, at)
    refused("rdb_damaged", lambda: trial.try_out(file))


@pytest.mark.parametrize("cut", [1, 200])
def test_a_file_that_was_cut_short_or_is_no_such_file_is_found(server, handed_over, trial, cut):
    _, file = handed_over(f"unix:{server.socket}")
    file.write_bytes(file.read_bytes()[:-cut])
    refused("rdb_damaged", lambda: trial.try_out(file))
    file.write_bytes(b"<html>not found</html>" * 10)
    assert "it begins with" in refused("rdb_damaged", lambda: trial.try_out(file)).found


def test_a_server_that_holds_less_than_the_file_says_is_found(server, handed_over, trial, monkeypatch):
    """Negative control of the counting: another file than the one that was counted."""
    _, file = handed_over(f"unix:{server.socket}")
    with RedisServer() as other:
        other.fill(5)
        _, less = handed_over(f"unix:{other.socket}")
        fewer = less.read_bytes()
    _, file = handed_over(f"unix:{server.socket}")
    copy = trial._copy

    def copy_another(content, user):
        copy(content, user)
        (trial._directory / "dump.rdb").write_bytes(fewer)

    monkeypatch.setattr(trial, "_copy", copy_another)
    assert f"holds 5 keys, and the file {120 + EXPIRING}" in refused("trial_failed", lambda: trial.try_out(file)).found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as somebody else")
def test_the_server_of_a_trial_is_reached_over_no_port_and_is_not_root(server, handed_over, trial, monkeypatch):
    _, file = handed_over(f"unix:{server.socket}")
    seen = {}
    answer = trial._answer

    def look(process):
        info = answer(process)
        (worker,) = servers_in(trial._directory)
        seen["user"] = worker.stat().st_uid
        seen["command"] = (worker / "cmdline").read_text().replace("\0", " ")
        seen["socket"] = (trial._directory / "redis.sock").stat().st_mode & 0o777
        return info

    monkeypatch.setattr(trial, "_answer", look)
    trial.try_out(file)
    assert seen["user"] != 0
    assert "unixsocket:redis.sock" in seen["command"], "it names its port where it has one"
    assert seen["socket"] == 0o700
    assert not servers_in(trial._directory)


@pytest.mark.parametrize("by", ["the next", "who gives up"])
def test_what_a_killed_trial_left_is_ended_and_removed(server, handed_over, trial, by):
    _, file = handed_over(f"unix:{server.socket}")
    trial._directory.mkdir(parents=True)
    left = subprocess.Popen(["sleep", "1000"], cwd=trial._directory)
    (trial._directory / "dump.rdb").write_text("half")
    if by == "the next":
        trial.try_out(file)
    else:
        trial.discard()
    assert left.wait(10) < 0
    assert not trial._directory.exists()


def test_a_server_that_is_not_there_is_waited_for(tmp_path, client):
    absent = refused("source_unreachable", lambda: see_server(client(f"unix:{tmp_path}/absent")), TryAgain)
    assert "No such file" in absent.found
    assert "ping" in absent.hint
    refused("source_unreachable", lambda: see_server(client("redis://127.0.0.1:1")), TryAgain)


def test_a_password_is_needed_taken_from_either_place_and_never_repeated(client, handed_over):
    with RedisServer(password=PASSWORD) as guarded:
        guarded.fill(3)
        place = f"127.0.0.1:{guarded.port}"
        refused("source_denied", lambda: see_server(client(f"redis://{place}")))
        wrong = refused("source_denied", lambda: see_server(client(f"redis://{place}", "hunter2")))
        assert "hunter2" not in str(wrong)
        refused("source_denied", lambda: see_server(client(f"redis://:hunter2@{place}")))
        for url, password in ((f"redis://{place}", PASSWORD), ("redis://:pass%2Fword%20of%20the%20tests@" + place, None)):
            entry, _ = handed_over(url, password)
            assert entry.attributes["redis"]["keys"] == 3
        shown = client(f"redis://:{PASSWORD.split('/')[0]}@{place}")
        assert shown.shown == f"redis://{place}"
        assert not any("pass" in word for word in shown.program("ping").arguments)


def test_a_user_of_an_access_list_needs_five_commands(client, handed_over):
    with RedisServer() as guarded:
        guarded.fill(3)
        rights = ("+ping", "+info", "+sync", "+psync", "+replconf")
        guarded.ask("ACL", "SETUSER", "backup", "on", ">word", "-@all", *rights)
        guarded.ask("ACL", "SETUSER", "weak", "on", ">word", "-@all", "+ping", "+info")
        place = f"127.0.0.1:{guarded.port}"
        entry, _ = handed_over(f"redis://backup:word@{place}")
        assert entry.attributes["redis"]["keys"] == 3
        assert "ACL SETUSER" in refused("source_denied", lambda: handed_over(f"redis://weak:word@{place}")).hint


def test_a_server_is_reached_over_tls_where_its_certificate_is_trusted(client, handed_over):
    with RedisServer(tls=True) as guarded:
        guarded.fill(3)
        url = f"rediss://127.0.0.1:{guarded.port}"
        entry, _ = handed_over(url, ca=str(guarded.directory / "server.crt"))
        assert entry.attributes["redis"]["keys"] == 3
        assert "tls-*" in refused("source_denied", lambda: see_server(client(url))).hint
        plain = refused("source_unreachable", lambda: see_server(client(url.replace("rediss", "redis"))), TryAgain)
        assert "rediss://" in plain.hint


def test_a_server_that_hands_nothing_to_replicas_is_not_waited_for(client, handed_over):
    with RedisServer("--rename-command", "SYNC", "") as closed:
        closed.fill(3)
        assert "SYNC" in refused("source_unreadable", lambda: handed_over(f"unix:{closed.socket}")).found


def test_a_url_that_is_none_is_told_without_being_repeated(client):
    for url in ("http://:hunter2@host", "redis://", "redis://host:port", "unix:socket"):
        assert "hunter2" not in str(refused("url_malformed", lambda url=url: client(url)))


def test_programs_that_are_missing_are_named_with_what_to_install(client, tmp_path, server, errand, handed_over):
    nowhere = RedisPrograms(str(tmp_path))
    assert "redis-tools" in refused("program_missing", lambda: see_server(client(f"unix:{server.socket}", programs=nowhere))).hint
    _, file = handed_over(f"unix:{server.socket}")
    assert "redis-server" in refused("program_missing", lambda: RedisTrial(nowhere, errand).try_out(file)).hint


def test_a_transfer_whose_time_is_up_is_ended(client, workplace):
    with RedisServer("--repl-diskless-sync-delay", "30") as slow:
        collection = RedisCollection(client(f"unix:{slow.socket}"), PROGRAMS, Errand(workplace, "sessions", timedelta(seconds=1)))
        refused("dump_timed_out", lambda: [*collection.entries()])
    wait_until(lambda: leftovers.marked(workplace.mark("sessions")) == (), "its processes to end")
