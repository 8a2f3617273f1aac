"""The operator's commands, as real processes."""

import os
import threading
import uuid
from datetime import timedelta

import pytest

from tests.adapters.streams.test_commands import FOREVER, children, refused
from tests.servers.processes import alive, wait_until
from understudy.adapters.streams.operator_program import DeclaredOperation, OperatorProgram
from understudy.ports.commanding import Surroundings
from understudy.vocabulary.errors import Cancelled, GiveUp
from understudy.vocabulary.secret import Secret

PLAIN = Surroundings({})
MASKED = "***"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def command(tmp_path, workplace):
    def made(words, *, known=(), environment=None, **other):
        run = ("sh", "-c", words) if isinstance(words, str) else words
        usual = {"name": "web/start", "run": run, "directory": str(tmp_path), "user": None}
        limits = {"time_limit": MINUTE, "try_limit": MINUTE, "every": timedelta(0)}
        declared = DeclaredOperation(**{**usual, **limits, "environment": lambda: environment or {}, **other})
        return OperatorProgram(declared, workplace, lambda: known)

    return made


def test_both_outputs_are_kept_as_they_came_with_the_exit_code(command):
    end = command("echo one; echo two >&2; exit 3").carry_out(PLAIN, MINUTE)
    assert (end.status, end.output.head, end.output.tail, end.output.cut_bytes) == (3, "one\ntwo\n", "", 0)
    assert end.took > timedelta(0)


def test_every_secret_of_the_stack_is_masked_also_what_a_secret_holds(command):
    url = "postgresql://shop:p%40ss@db/shop"
    known = [Secret(url), Secret("# a comment\nAGE-SECRET-KEY-1ABC\nsecond-line"), Secret("host=db password='with blank'")]
    words = f'echo "$TOKEN {url}"; printf p%%40ss; echo " p@ss with blank AGE-SECRET-KEY-1ABC second-line a comment"'
    end = command(words, known=known, environment={"TOKEN": Secret("tok")}).carry_out(PLAIN, MINUTE)
    assert end.output.head == "*** ***\n*** *** *** *** *** a comment\n"


def test_it_is_given_a_named_environment_and_nothing_else(command, monkeypatch):
    monkeypatch.setenv("UNDERSTUDY_TEST_SECRET", "hunter2")
    end = command(("env",), environment={"TOKEN": Secret("t"), "OVER": Secret("x")}).carry_out(
        Surroundings({"UNDERSTUDY_DRILL": "1", "OVER": "plan"}), MINUTE
    )
    said = dict(line.split("=", 1) for line in end.output.head.splitlines())
    assert said["TOKEN"] == MASKED
    assert said["UNDERSTUDY_DRILL"] == "1"
    assert said["OVER"] == "plan"
    assert "UNDERSTUDY_TEST_SECRET" not in said
    allowed = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "LANG", "LANGUAGE", "UNDERSTUDY_STREAM", "PWD"}
    assert {name for name in said if not name.startswith("LC_")} <= allowed | {"TOKEN", "OVER", "UNDERSTUDY_DRILL"}


def test_at_its_limit_it_is_ended_with_all_that_it_started(command, tmp_path):
    end = command(FOREVER).carry_out(PLAIN, timedelta(seconds=1))
    assert end.status is None
    assert end.output.head == "started\n"
    assert not any(alive(pid) for pid in children(tmp_path))


def test_one_that_is_cancelled_is_ended_with_all_that_it_started(command, tmp_path, workplace):
    def ask_once_it_runs():
        wait_until((tmp_path / "daemon").exists, "it runs")
        workplace.cancellation.asked.set()

    threading.Thread(target=ask_once_it_runs).start()
    with pytest.raises(Cancelled):
        command(FOREVER).carry_out(PLAIN, MINUTE)
    assert not any(alive(pid) for pid in children(tmp_path))


def test_what_it_leaves_running_goes_on_and_is_found_and_ended_by_whoever_asks_for_that(command, tmp_path):
    starting = command("sleep 1000 >/dev/null 2>&1 & echo $! > child")
    assert starting.carry_out(PLAIN, MINUTE).status == 0
    pid = int((tmp_path / "child").read_text())
    assert starting.left_over() == (pid,)
    assert command("true", name="web/check").left_over() == ()
    starting.end_left_over()
    assert starting.left_over() == ()
    assert not alive(pid)


def test_what_cannot_be_started_is_told_before_anything_begins(command, tmp_path):
    (tmp_path / "plain").write_text("no program")
    for other, code in (
        ({"words": ("no-such-program",)}, "program_missing"),
        ({"words": ("./plain",)}, "program_unusable"),
        ({"words": "true", "directory": f"{tmp_path}/nowhere"}, "directory_missing"),
        ({"words": "true", "user": f"nobody-{uuid.uuid4()}"[:30]}, "command_user_missing"),
    ):
        made = command(**other)
        refused(code, made.require_ready)
        refused(code, lambda made=made: made.carry_out(PLAIN, MINUTE))

    def missing():
        raise GiveUp("secret_missing", found="no TOKEN", expected="a value", hint="set it")

    made = command("true")
    broken = OperatorProgram(DeclaredOperation(**{**_fields(made), "environment": missing}), made._workplace, tuple)
    refused("secret_missing", broken.require_ready)
    assert command("true").require_ready().endswith("/sh")


def _fields(made):
    return {name: getattr(made._declared, name) for name in type(made._declared).__dataclass_fields__}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs as another user")
def test_as_root_it_runs_as_its_user_who_is_told_so(command):
    end = command("id -un; echo $USER $HOME", user="nobody", directory="/").carry_out(PLAIN, MINUTE)
    assert end.output.head == "nobody\nnobody /nonexistent\n"
