"""Steps that run the operator's commands, cut off and resumed, with real processes."""

import json
import os
import subprocess
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.app.shelf import Shelf
from tests.room import new_path
from tests.steps.protected import world_of
from understudy.steps.check_operated import CheckOperated
from understudy.steps.start_service import StartService
from understudy.vocabulary.errors import GiveUp


@pytest.fixture(scope="module")
def shelf():
    directory = new_path("shelf")
    directory.mkdir()
    made = Shelf(directory)
    yield made
    made.close()


@pytest.fixture
def serving(shelf):
    """The world of a run whose service ``web`` has this start."""

    def made(start, run, **more):
        told = {name: {"run": ["sh", "-c", words], "directory": str(shelf.directory)} for name, words in more.items()}
        start = {"run": ["sh", "-c", start], "directory": str(shelf.directory), "time_limit": "20s"}
        shelf.write(services=[f"web: {json.dumps({'start': start, 'check': {'run': ['true']}, **told})}"])
        (shelf.directory / "said").unlink(missing_ok=True)
        return world_of(shelf.installation, run)

    return made


def start(*, repeatable=False):
    return StartService("web/start", repeatable)


def begun_and_cut_off(world):
    """As a process leaves it that was killed while the command was at work."""
    world.receipts.write("web-start-begun", {"at": world.clock.now().isoformat()})


def count(shelf):
    said = shelf.directory / "said"
    return len(said.read_text().split()) if said.exists() else 0


def test_a_command_that_was_cut_off_is_begun_anew_only_where_that_was_declared_to_do_no_harm(shelf, serving):
    world = serving("echo ran >> said", "cut-off")
    begun_and_cut_off(world)
    left = subprocess.Popen(["sleep", "100"], env={**os.environ, "UNDERSTUDY_STREAM": "cut-off/web/start"})
    try:
        with pytest.raises(GiveUp) as raised:
            start().run(world)
        assert raised.value.code == "command_interrupted"
        assert f"still at work: {left.pid}" in raised.value.found and "echo ran" in raised.value.found
        assert "repeatable: true" in raised.value.expected
        assert count(shelf) == 0
        assert left.poll() is None, "a person looks first"
        assert start(repeatable=True).run(world).proof["exit_code"] == 0
        assert count(shelf) == 1
        assert left.wait(10) < 0, "and what was left of the first one is ended before"
    finally:
        left.kill()
        left.wait()


def test_what_has_ended_is_not_started_again_whatever_it_came_to(shelf, serving):
    world = serving("echo ran >> said; echo it does not like it; exit 4", "failing")
    for _ in range(2):
        with pytest.raises(GiveUp) as raised:
            start().run(world)
        assert raised.value.code == "command_failed"
        assert "ended with 4; it said: it does not like it" in raised.value.found
        assert raised.value.proof == {"exit_code": "4", "output": "it does not like it\n"}
    assert count(shelf) == 1
    world = serving("echo ran >> said", "succeeding")
    first, again = (start().run(world) for _ in range(2))
    assert (first.proof, count(shelf)) == (again.proof, 1)


def test_what_cannot_be_started_has_not_been_begun(shelf, serving):
    world = serving("true", "gone")
    away = shelf.directory / "away"
    shelf.write(services=[f"web: {{start: {{run: [sh], directory: {away}}}, check: {{run: ['true']}}}}"])
    world = world_of(shelf.installation, "gone")
    with pytest.raises(GiveUp) as raised:
        start().run(world)
    assert raised.value.code == "directory_missing"
    assert world.receipts.read("web-start-begun") is None
    away.mkdir()
    assert start().run(world).proof["exit_code"] == 0, "so that nobody has to look"


def test_a_command_whose_time_is_up_is_told_as_such(serving):
    world = serving("echo waiting; sleep 100", "slow")
    command = world.commands["web/start"]
    command._declared = replace(command._declared, time_limit=timedelta(milliseconds=300))
    with pytest.raises(GiveUp) as raised:
        start().run(world)
    assert raised.value.code == "command_timed_out"
    assert "more than 0.3 s" in raised.value.found and "it said: waiting" in raised.value.found
    assert raised.value.proof["exit_code"] == "none"


def test_what_a_killed_try_of_a_check_left_is_ended_before_the_next(serving):
    world = serving("true", "checking")
    left = subprocess.Popen(["sleep", "100"], env={**os.environ, "UNDERSTUDY_STREAM": "checking/web/check"})
    assert CheckOperated("web/check").run(world).proof["exit_code"] == 0
    assert left.wait(10) < 0
