"""What a person reads who keeps a Redis server: the commands as they are typed."""

import json
import shutil

import pytest

from tests.app.shelf import Shelf
from tests.cli.commands import assert_refused, understudy
from tests.room import new_path
from tests.servers.redis import PASSWORD, RedisServer

pytestmark = pytest.mark.skipif(
    any(shutil.which(program) is None for program in ("redis-server", "redis-cli", "redis-check-rdb")),
    reason="Redis is not installed",
)


@pytest.fixture(scope="module")
def server():
    with RedisServer(password=PASSWORD) as made:
        made.fill(50)
        yield made


@pytest.fixture
def shelf(server):
    directory = new_path("shelf")
    directory.mkdir()
    made = Shelf(directory)
    made.docs.mkdir()
    made.secret_file("redis-password", PASSWORD)
    keep(made, url=f"redis://127.0.0.1:{server.port}", password=f"file:{directory}/redis-password")
    yield made
    made.close()


def keep(shelf, **settings):
    shelf.write(resources=[f"sessions: {json.dumps({'kind': 'redis', **settings})}"])


def finding(shelf):
    found = json.loads(understudy(shelf, "check", "--json").stdout)["findings"]
    return next(each for each in found if each["subject"] == "resource sessions" and each["aspect"] == "source")


def test_a_redis_server_is_kept_listed_verified_watched_and_comes_back_tried(shelf, server):
    assert "Redis 7" in finding(shelf)["found"] and "master, 50 keys" in finding(shelf)["found"]
    taken = understudy(shelf, "backup", "sessions")
    assert taken.returncode == 0, taken.stderr
    (run,) = shelf.installation.past.runs()
    shown = json.loads(understudy(shelf, "show", run.run, "--json").stdout)
    assert '"keys_before": 50' in json.dumps(shown) and '"keys": 50' in json.dumps(shown), "counted, in the evidence"
    assert "sessions" in understudy(shelf, "backups").stdout
    assert understudy(shelf, "verify", "sessions", "--deep").returncode == 0
    assert "sessions  (redis, standard)" in understudy(shelf, "status").stdout

    restored = understudy(shelf, "restore", "sessions", "--to", shelf.directory / "found")
    assert restored.returncode == 0, restored.stderr
    (file,) = (shelf.directory / "found").iterdir()
    assert (file.name, file.stat().st_mode & 0o777) == ("dump.rdb", 0o600)
    assert "tried: a server loaded 50 keys in 1 databases" in " ".join(restored.stdout.split()), restored.stdout
    with RedisServer("--dir", str(file.parent)) as again:
        assert again.ask("DBSIZE") == "50"
    drilled = understudy(shelf, "drill", "storage_loss", "--resource", "sessions")
    assert "tried: a server loaded 50 keys" in " ".join(drilled.stdout.split()), drilled.stdout
    assert list((shelf.state / "drills").iterdir()) == []
    everything = [path for path in shelf.state.rglob("*") if path.is_file()]
    assert not any(PASSWORD.encode() in path.read_bytes() for path in everything), "and no password is written down"


def test_what_keeps_a_server_from_being_kept_is_told_apart_with_what_to_do(shelf, server, tmp_path):
    place = f"redis://127.0.0.1:{server.port}"
    shelf.secret_file("wrong", "hunter2")
    for settings, code, hint in (
        ({"url": "redis://127.0.0.1:1"}, "source_unreachable", "see whether it runs"),
        ({"url": place, "password": f"file:{shelf.directory}/wrong"}, "source_denied", "correct the password"),
        ({"url": place, "programs": str(tmp_path)}, "program_missing", "apt-get install redis-tools"),
        ({"url": "env:NOWHERE_SET"}, "secret_missing", "export NOWHERE_SET"),
    ):
        keep(shelf, **settings)
        found = finding(shelf)
        assert code in json.dumps(found), found
        assert hint in found["change"], found


def test_a_restore_on_a_host_without_a_redis_server_goes_on_and_says_that_it_was_not_tried(shelf, server, tmp_path):
    assert understudy(shelf, "backup", "sessions").returncode == 0
    keep(shelf, url=f"redis://127.0.0.1:{server.port}", programs=str(tmp_path))
    restored = understudy(shelf, "restore", "sessions", "--to", shelf.directory / "found")
    assert restored.returncode == 0, restored.stderr
    assert (shelf.directory / "found" / "dump.rdb").exists()
    said = " ".join((restored.stdout + restored.stderr).split())
    assert "not tried" in said, said
    assert_refused(understudy(shelf, "restore", "sessions", "--load"), "load_undeclared", 5)
