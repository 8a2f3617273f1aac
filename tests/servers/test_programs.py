"""A program that is forked is as one that was started, and nothing of it stays behind."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import programs
from tests.servers.processes import alive, wait_until

ROOT = Path(__file__).parents[2]
PORTRAIT = "tests.servers.self_portrait"
BARE = {"PATH": os.environ["PATH"]}


def started(*arguments, **options):
    """The same by a real start."""
    command = [sys.executable, "-m", PORTRAIT, *arguments]
    usual = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT}
    return subprocess.Popen(command, **(usual | options))


def forked(*arguments, **options):
    return programs.start(*arguments, module=PORTRAIT, **({"cwd": ROOT} | options))


WAYS = pytest.mark.parametrize("begin", [started, forked])


def said_at_its_end(process):
    with process:
        out, said = process.communicate(timeout=60)
    return process.returncode, out, said


@pytest.mark.parametrize(
    "options",
    [
        {"env": BARE},
        {"env": BARE | {"TZ": "Asia/Kathmandu", "LANG": "C", "TMPDIR": "/var/tmp", "UMLAUT": "ü\udcff"}},
        {"env": BARE | {"LC_ALL": "C.UTF-8"}, "umask": 0o027, "start_new_session": True},
        {"env": BARE, "cwd": str(ROOT / "tests" / ".." / "docs" / ".."), "umask": 0},
    ],
    ids=["bare", "elsewhere", "session", "directory"],
)
def test_a_program_that_is_forked_finds_what_a_fresh_start_finds(options):
    code, found, said = said_at_its_end(forked("portrait", "a b", "", **options))
    assert (code, said) == (0, "")
    code, expected, said = said_at_its_end(started("portrait", "a b", "", **options))
    assert (code, said) == (0, "")
    found, expected = json.loads(found), json.loads(expected)
    if options.get("start_new_session"):
        for each in (found, expected):
            assert each["group and session"][:2] == [True, True]
            del each["group and session"]
    assert found == expected


def test_it_has_the_environment_directory_and_umask_of_who_starts_it_unless_it_is_told_otherwise(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNDERSTUDY_STACK", "stack")
    monkeypatch.setenv("LANG", "C.UTF-8")
    before = os.umask(0o007)
    try:
        found = json.loads(said_at_its_end(forked("portrait", cwd=None))[1])
    finally:
        os.umask(before)
    assert (found["directory"], found["imports from"][0]) == (str(tmp_path), str(tmp_path))
    assert found["environment"] == dict(os.environ)
    assert found["status"]["Umask"] == "0007"


def test_at_a_terminal_it_knows_so_and_its_lines_come_at_once():
    portraits = []
    for begin in (forked, started):
        ours, theirs = pty.openpty()
        with begin("portrait", stdin=theirs, stdout=theirs, env=BARE) as process:
            os.close(theirs)
            with open(ours, "rb", closefd=True) as terminal:  # noqa: PTH123
                line = b""
                while not line.endswith(b"}"):
                    line += terminal.read1()
            assert process.wait(60) == 0
        portraits.append(json.loads(line)["streams"])
    assert portraits[0] == portraits[1]
    assert [isatty for *_, isatty, _, _ in portraits[0]] == [True, True, False]


@WAYS
@pytest.mark.parametrize(
    ("how", "code", "out"),
    [
        ("0", 0, "not flushed\n"), ("130", 130, "not flushed\n"), ("raises", 1, "not flushed\n"),
        ("lingers", 0, "after None\nat exit\n"), ("says why not", 1, ""),
        ("SIGKILL", -9, ""), ("SIGTERM", -15, ""), ("SIGINT", -2, ""), ("SIGPIPE", 0, ""),
    ],
)  # fmt: skip
def test_its_end_is_told_as_the_system_tells_it(begin, how, code, out):
    ended, printed, said = said_at_its_end(begin(how))
    assert (ended, printed) == (code, out), said
    words = {"raises": "ValueError: raises\n", "says why not": "says why not\n", "SIGINT": "KeyboardInterrupt\n"}.get(how, "")
    assert said.endswith(words) and bool(said) == bool(words)


def test_what_cannot_be_printed_at_the_end_is_a_failure():
    for begin in (forked, started):
        with open("/dev/full", "w") as full:  # noqa: PTH123
            code, _, said = said_at_its_end(begin("3", stdout=full, env=BARE))
        assert (code, "No space left on device" in said) == (120, True), said


def test_its_input_is_read_and_who_waits_for_it_waits_no_longer_than_was_said():
    with forked("waits", stdin=subprocess.PIPE) as process:
        assert process.stdout.readline() == "waiting\n"
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        out, _ = process.communicate("a line\n", timeout=60)
    assert (process.returncode, out) == (7, "read 'a line\\n'\nnot flushed\n")
    assert process.poll() == process.wait() == 7


def test_a_run_that_takes_too_long_is_killed():
    silent, ours = os.pipe()
    with pytest.raises(subprocess.TimeoutExpired):
        programs.run("waits", module=PORTRAIT, cwd=ROOT, stdin=silent, timeout=0.5)
    os.close(silent)
    os.close(ours)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_reaches_it_however_early_it_is_sent(number):
    for _ in range(10):
        process = forked("waits", stdin=subprocess.PIPE)
        process.send_signal(number)
        with process:
            assert process.wait(60) == -number


def test_many_at_once_each_tell_their_own_end_and_hold_nothing_of_each_other():
    running = [forked("waits", stdin=subprocess.PIPE) for _ in range(8)]
    for each in running:
        assert each.stdout.readline() == "waiting\n"
    for each in running[::2]:
        each.kill()
        assert each.stdout.read() == "", "its end of the pipe was the only one"
    for each in running:
        code, _, _ = said_at_its_end(each)
        assert code == (-signal.SIGKILL if each in running[::2] else 7)
        assert not alive(each.pid)


def test_no_two_draw_the_same_lots():
    assert len({said_at_its_end(forked("chance"))[1] for _ in range(3)}) == 3


_STARTS_AND_IS_KILLED = f"""
import os, signal, subprocess, sys
from tests.servers import programs
first = programs.start("waits", module={PORTRAIT!r}, stdin=subprocess.PIPE)
programs._running[0].process.kill()
try:
    first.wait()
except AssertionError as lost:
    print(lost, flush=True)
first.stdin.close()
second = programs.start("7", module={PORTRAIT!r})
print(second.wait(), programs._running[0].process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_process_that_forks_is_missed_when_it_is_killed_and_ends_when_its_tests_are():
    killed = subprocess.run([sys.executable, "-c", _STARTS_AND_IS_KILLED], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    lost, answer = killed.stdout.splitlines()
    assert "is not known" in lost
    code, pid = map(int, answer.split())
    assert code == 7
    wait_until(lambda: not alive(pid), "the process that forks to end")
