"""What a command says of its run when Ctrl-C or SIGTERM ends it first, and how that run goes on."""

import os
import re
import shlex
import signal
import socket

import pytest

from tests.cli.commands import assert_refused, understudy
from tests.cli.test_answering import begin, desk, newest, protected, server
from tests.servers import programs
from tests.servers.processes import wait_until
from understudy.app.installation import Installation
from understudy.records.run import RunState, StepState

__all__ = ["desk", "protected", "server"]
INTERRUPTED = 130
SLOWLY = "backup: {max_rate: 5MB/s}"
SLOWER = "backup: {max_rate: 1MB/s}"
"""For a backup that must not end before a second command has followed it."""
TAKING = "orders/take-base-backup"
ENDINGS = pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])


@pytest.fixture
def slow(desk, server):
    """A desk at which a backup takes some seconds."""
    desk.write(server, SLOWLY, url=server.url)
    return desk


def taking(desk):
    """The run whose base backup is under way."""
    records = Installation.open(desk.stack_file, desk.state).past

    def is_taking():
        found = [run for run in records.runs(1) if run.state is RunState.RUNNING]
        return found and any(step.key == TAKING and step.state is StepState.RUNNING for step in records.steps(found[0].run))

    wait_until(is_taking, "the base backup to begin")
    return records.runs(1)[0].run


def interrupted(process, ending):
    """What it said on standard error from then on, in its last line."""
    process.send_signal(ending)
    _, said = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED, said
    assert "Traceback" not in said
    return said.strip().splitlines()[-1]


def named_command(said, verb):
    """The command that the line names, typed as it stands in a shell that knows of no stack."""
    [named] = re.findall(rf"(understudy {verb} .*?)(?:;|\)|$)", said)
    program, *arguments = shlex.split(named)
    assert program == "understudy"
    return programs.run(*arguments, env={"PATH": os.environ["PATH"]}, cwd="/", timeout=120)


@ENDINGS
def test_a_command_that_is_interrupted_says_how_to_go_on_and_going_on_ends_as_it_would_have(slow, ending):
    backing_up = begin(slow, "backup", "orders")
    run = taking(slow)
    said = interrupted(backing_up, ending)
    assert said.startswith(f"run {run} is interrupted in {TAKING}. To go on: understudy resume {run} ")
    resumed = named_command(said, "resume")
    assert resumed.returncode == 0, resumed.stderr
    assert "full backup " in resumed.stdout
    assert f"understudy show {run}" in resumed.stdout
    assert "WAL goes on streaming" in resumed.stdout


def test_what_is_said_of_an_interrupted_run_names_only_options_that_are_needed(slow):
    slow.stack_file.write_text(slow.stack_file.read_text() + f"state: {{directory: {slow.state}}}\n")
    backing_up = programs.start("backup", "orders", env={"PATH": os.environ["PATH"]}, cwd=slow.directory)
    run = taking(slow)
    said = interrupted(backing_up, signal.SIGINT)
    assert said.endswith(f"To go on: understudy resume {run}; to end it: understudy cancel {run}")
    assert understudy(slow, "cancel", run).returncode == 0
    assert newest(slow)["state"] == "cancelled"


@ENDINGS
def test_a_command_that_is_interrupted_beside_serve_says_that_serve_goes_on_and_resume_follows_again(desk, server, ending):
    desk.write(server, SLOWER, url=server.url)
    serving = begin(desk, "serve")
    try:
        wait_until(lambda: (desk.state / "serving").exists(), "serve to be ready")
        backing_up = begin(desk, "backup", "orders")
        run = taking(desk)
        said = interrupted(backing_up, ending)
        assert said.startswith(f"run {run} goes on: understudy serve carries it out")
        followed = named_command(said, "resume")
        assert followed.returncode == 0, followed.stderr
        assert f"done      {TAKING}" in followed.stderr
        assert "full backup " in followed.stdout
        assert newest(desk)["state"] == "succeeded"
        assert newest(desk)["run"] == run
        assert named_command(said, "show").returncode == 0
    finally:
        serving.terminate()
        serving.communicate(timeout=60)


def test_a_command_that_is_interrupted_before_it_has_a_run_ends_without_naming_one(desk, server):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        desk.write(server, url=f"postgresql://anna:secret@127.0.0.1:{silent.getsockname()[1]}/postgres")
        backing_up = begin(desk, "backup", "orders")
        silent.settimeout(60)
        connection, _ = silent.accept()
        with connection:
            backing_up.send_signal(signal.SIGINT)
            _, said = backing_up.communicate(timeout=60)
    assert backing_up.returncode == INTERRUPTED
    assert "Traceback" not in said and "understudy resume" not in said


@pytest.mark.parametrize("served", [False, True], ids=["alone", "served"])
def test_a_run_that_has_ended_or_never_was_is_told_by_whatever_acts_on_runs(protected, served):
    run = newest(protected)["run"]
    serving = begin(protected, "serve") if served else None
    try:
        if serving is not None:
            wait_until(lambda: (protected.state / "serving").exists(), "serve to be ready")
        for verb in ("resume", "cancel", "approve"):
            assert_refused(understudy(protected, verb, run), "run_ended", 5)
            assert_refused(understudy(protected, verb, "20200101-000000-abcdef"), "run_unknown", 2)
    finally:
        if serving is not None:
            serving.terminate()
            serving.communicate(timeout=60)
