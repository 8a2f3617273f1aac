"""Each command once by a start of its own, as users start it: elsewhere it is forked from a process that has everything imported
(``tests/servers/programs.py``), where nobody would miss an import.
"""

import signal
import subprocess
import sys

import click
import pytest

from tests.app.desk import desk
from tests.app.kits import kit_text
from tests.cli.commands import environment
from tests.servers.postgres import PostgresServer
from tests.servers.processes import wait_until
from understudy.cli.exit_codes import ExitCode
from understudy.cli.reference import commands

__all__ = ["desk"]
SIGNER = "A" * 43 + "="
NO_RUN = "20200101-000000-abcdef"
COMMANDS = [
    ("init", ExitCode.DONE, "--url", "file:{directory}/url", "--repository", "file:///nowhere/near", "--output", "made.yaml"),
    ("adopt", ExitCode.FAILED, "nowhere", "--kit", "{directory}/kit"),
    ("check", ExitCode.DONE),
    ("status", ExitCode.DONE),
    ("backup", ExitCode.DONE, "orders"),
    ("backups", ExitCode.PREREQUISITE),
    ("verify", ExitCode.PREREQUISITE),
    ("expire", ExitCode.PREREQUISITE, "--yes"),
    ("restore", ExitCode.PREREQUISITE, "orders", "--to", "copy"),
    ("drill", ExitCode.PREREQUISITE, "database_corruption"),
    ("recover", ExitCode.PREREQUISITE, "database_corruption", "--yes"),
    ("drills", ExitCode.DONE),
    ("forecast", ExitCode.DONE),
    ("quarantine list", ExitCode.FAILED),
    ("quarantine lift", ExitCode.USAGE, "nothing"),
    ("diff", ExitCode.USAGE, "nothing"),
    ("warm-copy seed", ExitCode.USAGE, "nothing"),
    ("warm-copy show", ExitCode.REFUSED),
    ("runs", ExitCode.DONE),
    ("show", ExitCode.USAGE, NO_RUN),
    ("approve", ExitCode.USAGE, NO_RUN),
    ("cancel", ExitCode.USAGE, NO_RUN),
    ("resume", ExitCode.USAGE, NO_RUN),
    ("evidence verify", ExitCode.PREREQUISITE),
    ("evidence export", ExitCode.DONE, "--to", "all.json"),
    ("evidence report", ExitCode.USAGE, NO_RUN),
    ("evidence incident", ExitCode.USAGE, NO_RUN),
    ("findings add", ExitCode.USAGE, "wanting", "--owner", "nobody", "--due", "2026-12-31"),
    ("findings list", ExitCode.DONE),
    ("findings close", ExitCode.USAGE, "finding-0001", "--reason", "none"),
    ("readiness", ExitCode.USAGE),
    ("document plan", ExitCode.DONE),
]
ELSEWHERE = {"serve": "below", "demo": "tests/demo"}


@pytest.fixture(scope="module")
def server():
    with PostgresServer() as made:
        yield made


def start(desk, *arguments):
    command = [sys.executable, "-m", "understudy.cli.main", *arguments]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment(desk), cwd=desk.directory, **streams)


@pytest.mark.parametrize(("command", "code", "arguments"), [(*each[:2], each[2:]) for each in COMMANDS], ids=lambda each: each)
def test_a_command_that_is_started_by_itself_finds_all_that_it_imports(desk, server, command, code, arguments):
    desk.write(server, url=server.url)
    desk.secret_file("kit", kit_text(desk.identity, desk.recipient, SIGNER, "file:///nowhere/near"))
    with start(desk, *command.split(), *(each.format(directory=desk.directory) for each in arguments)) as process:
        out, said = process.communicate(timeout=120)
    assert process.returncode == code, out + said
    assert "Traceback" not in said


def test_serve_that_is_started_by_itself_serves_until_it_is_stopped(desk, server):
    desk.write(server, url=server.url)
    with start(desk, "serve") as serving:
        wait_until(lambda: (desk.state / "serving").exists() or serving.poll() is not None, "serve to be ready")
        serving.send_signal(signal.SIGTERM)
        _, said = serving.communicate(timeout=60)
    assert serving.returncode == ExitCode.DONE, said


def test_every_command_is_started_by_itself():
    there = {path.partition(" ")[2] for path, command in commands() if not isinstance(command, click.Group)}
    assert there == {name for name, *_ in COMMANDS} | ELSEWHERE.keys()
