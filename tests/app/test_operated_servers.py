"""A Redis server and what a command keeps, lost and brought back in their places by one recovery."""

import json
import os
import re
import shutil
import signal
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from tests.app.shelf import SilentWatcher, proof_of
from tests.app.shelves import Shelves
from tests.room import new_path
from tests.servers.postgres import free_port
from tests.servers.processes import wait_until
from understudy.adapters.streams.redis_programs import RedisClient
from understudy.app.backups import back_up
from understudy.app.measuring import measure
from understudy.app.preflight import check
from understudy.app.run_view import views_by_resource
from understudy.judge.preflight import Grade
from understudy.stack.models import Scenario
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import ResourceName

pytestmark = pytest.mark.skipif(
    any(shutil.which(program) is None for program in ("redis-server", "redis-cli", "redis-check-rdb")),
    reason="Redis is not installed",
)
SESSIONS, NOTES = ResourceName("sessions"), ResourceName("notes")


class Operated:
    """Redis as a service manager would run it: started and ended by commands alone. Beside it notes that a command keeps."""

    def __init__(self):
        directory = new_path("shelf")
        directory.mkdir()
        self.shelf = Shelves(directory)
        self.port = free_port()
        self.data = directory / "redis"
        self.data.mkdir()
        self.notes = directory / "notes.txt"
        self.notes.write_text("remember")
        self.shelf.docs.mkdir()
        self.keep()

    def start_command(self, *options):
        place = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.data), "--pidfile", f"{self.data}.pid"]
        logged = ["--logfile", f"{self.data}.log", "--daemonize", "yes", "--save", ""]
        return ["redis-server", *place, *logged, "--repl-diskless-sync-delay", "0", *options]

    def keep(self, *options, stop=True, recovers=True, program="redis-server"):
        recover = {"directory": str(self.data), "start": [program, *self.start_command(*options)[1:]]}
        if stop:
            recover["stop"] = ["redis-cli", "-p", str(self.port), "shutdown", "nosave"]
        sessions = {"kind": "redis", "url": f"redis://127.0.0.1:{self.port}"} | ({"recover": recover} if recovers else {})
        notes = {"kind": "command", "dump": ["cat", str(self.notes)], "load": ["tee", str(self.notes)], "depends_on": [SESSIONS]}
        lines = [f"sessions: {json.dumps(sessions)}", f"notes: {json.dumps(notes)}"]
        super(Shelves, self.shelf).write(resources=lines, repositories=("near",))

    def start(self):
        subprocess.run(self.start_command(), check=True, stdout=subprocess.DEVNULL)
        wait_until(lambda: self.ask("PING") == "PONG", "Redis to answer")

    def ask(self, *words):
        command = ["redis-cli", "-p", str(self.port), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    def fill(self, count):
        self.ask("EVAL", "for i = 1, ARGV[1] do redis.call('set', 'key:' .. i, i) end", "0", str(count))

    def back_up(self):
        for name in (SESSIONS, NOTES):
            assert back_up(self.shelf.installation, name, None, SilentWatcher()).succeeded

    def lose(self):
        self.end()
        shutil.rmtree(self.data)
        self.notes.unlink()

    def end(self):
        self.ask("SHUTDOWN", "NOSAVE")
        wait_until(lambda: self.ask("PING") != "PONG", "Redis to be gone")

    def recover(self, *names, **wish):
        return self.shelf.recover(*(names or (SESSIONS, NOTES)), **wish)


@pytest.fixture
def operated():
    made = Operated()
    made.start()
    made.fill(50)
    made.back_up()
    yield made
    made.end()
    made.shelf.close()


def error_of(view, step):
    return next(each.error for each in view.steps if each.key == step)


def test_both_come_back_in_their_places_and_the_server_is_counted(operated):
    operated.lose()
    view = operated.recover()
    assert view.succeeded, [(step.key, step.error) for step in view.steps if step.error]
    assert operated.ask("DBSIZE") == "50"
    assert operated.notes.read_text() == "remember"
    assert proof_of(view, "start-server")["keys"] == 50
    assert proof_of(view, "stop-server")["stopped_here"] is False
    measured = measure(operated.shelf.installation, view)
    assert measured.met
    views = views_by_resource(view)
    assert (
        views[NOTES].steps[0].started >= next(step for step in views[SESSIONS].steps if step.key.endswith("start-server")).ended
    )
    assert not list((operated.shelf.state / "loads").iterdir())


def test_a_server_that_still_runs_is_ended_first_and_what_it_held_is_set_aside(operated):
    operated.fill(70)
    (operated.data / "appendonlydir").mkdir()
    view = operated.recover(SESSIONS, scenario=Scenario.DATA_LOSS)
    assert view.succeeded, [(step.key, step.error) for step in view.steps if step.error]
    assert proof_of(view, "stop-server")["stopped_here"] is True
    assert operated.ask("DBSIZE") == "50"
    [aside] = proof_of(view, "provision-target")["set_aside"]
    assert (Path(aside) / "appendonlydir").exists()
    question = view.steps[0].approval_question
    assert "shutdown nosave" in question and "set aside" in question and "--daemonize yes" in question


class Unwatched:
    def report(self, *told, **about):
        pass

    def held_up(self, reason):
        pass

    def raise_if_requested(self):
        pass


def test_a_server_that_does_not_answer_is_no_server_that_is_gone(operated, monkeypatch):
    monkeypatch.setitem(RedisClient.program.__kwdefaults__, "time_limit", timedelta(seconds=0.5))
    [pid] = re.findall(r"process_id:(\d+)", operated.ask("INFO", "server"))
    os.kill(int(pid), signal.SIGSTOP)
    try:
        server = operated.shelf.installation.world_for("look", Unwatched(), Unwatched()).operated[SESSIONS]
        assert server.answers()
    finally:
        os.kill(int(pid), signal.SIGCONT)
    operated.end()
    assert not server.answers()
    operated.start()


def test_what_ends_and_starts_it_is_looked_for_before_anybody_is_asked(operated):
    operated.keep(program="no-such-redis")
    with pytest.raises(Refusal) as refused:
        operated.recover()
    assert (refused.value.code, operated.ask("DBSIZE")) == ("program_missing", "50")
    found = [each for each in check(operated.shelf.stack_file, operated.shelf.state).findings if each.aspect == "recovery"]
    assert [each.grade for each in found] == [Grade.FAILURE]


def test_without_a_command_that_ends_it_a_living_server_is_left_alone(operated):
    operated.keep(stop=False)
    view = operated.recover()
    assert error_of(view, "sessions/stop-server").code == "stop_undeclared"
    assert operated.ask("DBSIZE") == "50"
    assert operated.data.exists()
    assert operated.notes.read_text() == "remember", "which waits for it"


def test_a_server_that_begins_empty_beside_what_came_back_is_no_success(operated):
    operated.keep("--appendonly", "yes")
    operated.lose()
    view = operated.recover()
    assert not view.succeeded
    error = error_of(view, "sessions/start-server")
    assert (error.code, error.found.rpartition(" holds ")[2]) == ("keys_missing", "0 keys")
    assert "appendonly" in error.hint and "it was ended again" in error.hint
    assert operated.ask("PING") != "PONG", "nobody shall take the empty one for the one that was lost"
    assert not operated.notes.exists(), "what depends on it is left out"


def test_a_start_that_fails_says_what_the_command_said(operated):
    operated.keep("--no-such-option", "1")
    operated.lose()
    error = error_of(operated.recover(), "sessions/start-server")
    assert error.code == "start_failed"
    assert "Bad directive" in error.found
    assert (operated.data / "dump.rdb").exists(), "what came back is in its place"


def test_what_cannot_be_put_in_its_place_is_refused_with_the_line_that_is_missing(operated):
    operated.keep(recovers=False)
    with pytest.raises(Refusal) as refused:
        operated.recover(SESSIONS)
    assert (refused.value.code, refused.value.expected) == ("restored_by_hand", "resources.sessions.recover")
