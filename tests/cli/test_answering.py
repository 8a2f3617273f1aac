"""What a recovery asks, and what becomes of it when the answer is no."""

import json
import os
import pty
import subprocess
import sys

import pytest

from tests.app.desk import desk
from tests.cli.commands import assert_refused, understudy
from tests.servers.postgres import PostgresServer
from tests.servers.processes import wait_until
from understudy.app.installation import Installation
from understudy.records.run import RunState

__all__ = ["desk"]
INTERRUPTED = 130


@pytest.fixture(scope="module")
def server():
    with PostgresServer() as made:
        yield made


@pytest.fixture
def protected(desk, server):
    desk.write(server, url=server.url)
    assert understudy(desk, "backup", "orders").returncode == 0
    return desk


def environment(desk):
    place = {"UNDERSTUDY_STATE": str(desk.state), "UNDERSTUDY_STACK": str(desk.stack_file), "HOME": "/nonexistent"}
    return {"PATH": os.environ["PATH"], **place}


def begin(desk, *arguments, stdin=subprocess.DEVNULL):
    command = [sys.executable, "-m", "understudy.cli.main", *arguments]
    return subprocess.Popen(
        command, env=environment(desk), cwd=desk.directory, stdin=stdin, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def newest(desk):
    return json.loads(understudy(desk, "runs", "--newest", "1", "--json").stdout)["runs"][0]


@pytest.mark.parametrize("served", [False, True], ids=["alone", "served"])
def test_no_cancels_the_run_says_so_and_leaves_the_way_free(protected, served):
    serving = begin(protected, "serve") if served else None
    try:
        if serving is not None:
            wait_until(lambda: (protected.state / "serving").exists(), "serve to be ready")
        ours, theirs = pty.openpty()
        os.write(ours, b"n\n")
        recovering = begin(protected, "recover", "database_corruption", stdin=theirs)
        os.close(theirs)
        out, said = recovering.communicate(timeout=120)
        os.close(ours)
        run = newest(protected)
        assert f"not agreed to: {run['run']} is cancelled" in said
        assert "cancelled in" in out
        assert (run["state"], recovering.returncode) == ("cancelled", INTERRUPTED)
        assert not (protected.directory / "recovered").exists()
        assert understudy(protected, "backup", "orders").returncode == 0
    finally:
        if serving is not None:
            serving.terminate()
            serving.communicate(timeout=60)


def test_a_run_that_waits_for_a_person_names_what_that_person_can_do(protected):
    waiting = begin(protected, "recover", "database_corruption")
    installation = Installation.open(protected.stack_file, protected.state)
    try:
        wait_until(lambda: installation.records.runs(1)[0].state is RunState.AWAITING_APPROVAL, "the run to ask")
        run = newest(protected)["run"]
        assert understudy(protected, "cancel", run).returncode == 0
    finally:
        _, said = waiting.communicate(timeout=60)
    assert f"understudy approve {run}" in said and f"understudy cancel {run}" in said
    assert waiting.returncode == INTERRUPTED


def test_approving_a_run_that_has_ended_is_refused(protected):
    run = newest(protected)["run"]
    assert_refused(understudy(protected, "approve", run), "run_ended", 5)
