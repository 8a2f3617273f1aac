"""What a recovery asks, and what becomes of it when the answer is no."""

import contextlib
import json
import os
import pty
import pwd
import socket

import pytest

from tests.app.desk import desk
from tests.cli.commands import assert_refused, environment, leading_to, understudy
from tests.servers import programs
from tests.servers.postgres import PostgresServer
from tests.servers.processes import wait_until
from understudy.app.installation import Installation
from understudy.records.run import RunState

__all__ = ["desk"]
INTERRUPTED, REFUSED = 130, 5
RECOVER = ("recover", "database_corruption", "--override-fence", "anna")
"""The old server goes on, for the tests' backups."""


@pytest.fixture(scope="module")
def server():
    with PostgresServer() as made:
        yield made


@pytest.fixture
def protected(desk, server):
    desk.write(server, url=server.url)
    assert understudy(desk, "backup", "orders").returncode == 0
    return desk


def begin(desk, *arguments, **streams):
    return programs.start(*arguments, env=environment(desk), cwd=desk.directory, **streams)


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
        recovering = begin(protected, *RECOVER, stdin=theirs)
        os.close(theirs)
        out, said = recovering.communicate(timeout=120)
        os.close(ours)
        run = newest(protected)
        assert f"not agreed to: {run['run']} is cancelled" in said
        shown = f"understudy show {run['run']} {leading_to(protected)}"
        assert out == f"recovery database_corruption: not approved; nothing was touched ({shown})\n"
        assert "By anna's word it does not matter that the old server still answers" in said
        assert (run["state"], recovering.returncode) == ("cancelled", INTERRUPTED)
        assert not (protected.directory / "recovered").exists()
        assert understudy(protected, "backup", "orders").returncode == 0
    finally:
        if serving is not None:
            serving.terminate()
            serving.communicate(timeout=60)


def test_a_run_that_waits_for_a_person_names_what_that_person_can_do(protected):
    waiting = begin(protected, *RECOVER)
    installation = Installation.open(protected.stack_file, protected.state)
    try:
        wait_until(lambda: installation.records.runs(1)[0].state is RunState.AWAITING_APPROVAL, "the run to ask")
        said = ""
        while "understudy cancel" not in said:  # at once, not when it ends
            said += waiting.stderr.readline()
        assert "standard input is no terminal" in said and "waiting: " in said
        run = newest(protected)["run"]
        agreed = json.loads(understudy(protected, "approve", run, "--json").stdout)
        cancelled = json.loads(understudy(protected, "cancel", run, "--json").stdout)
    finally:
        said += waiting.communicate(timeout=60)[1]
    place = leading_to(protected)
    assert f"understudy approve {run} {place}\n" in said and f"understudy cancel {run} {place}\n" in said
    assert waiting.returncode == INTERRUPTED
    assert (agreed["run"], agreed["by"], list(agreed["agreed_to"])) == (
        run,
        pwd.getpwuid(os.geteuid()).pw_name,
        ["orders/fence-old-server"],
    )
    assert (cancelled["run"]["run"], cancelled["run"]["state"]) == (run, "cancelled")


def test_approving_a_run_that_has_ended_is_refused(protected):
    run = newest(protected)["run"]
    refused = understudy(protected, "approve", run)
    assert_refused(refused, "run_ended", 5)
    assert f"understudy show {run} {leading_to(protected)}; " in refused.stderr
    assert f"understudy runs {leading_to(protected)}\n" in refused.stderr


def test_looking_that_takes_long_is_said_on_a_terminal(protected):
    """Whoever takes the connection says nothing until the line was read, as a host behind a firewall would."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        (protected.directory / "url").write_text(f"postgresql://anna@127.0.0.1:{mute.getsockname()[1]}/postgres")
        ours, theirs = pty.openpty()
        looking = begin(protected, "recover", "database_corruption", stderr=theirs)
        os.close(theirs)
        said = b""
        while b"looking whether the old server of orders still answers" not in said:
            said += os.read(ours, 4096)
    said += read_to_the_end(ours)
    looking.communicate(timeout=120)
    assert b"could not be asked who it is" in b" ".join(said.split()), "folded between words"
    assert looking.returncode == REFUSED


def read_to_the_end(terminal):
    read = b""
    with contextlib.suppress(OSError):  # the other side has closed it
        while more := os.read(terminal, 4096):
            read += more
    os.close(terminal)
    return read
