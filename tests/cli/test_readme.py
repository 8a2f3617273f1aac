"""The README's way with a database of one's own, typed as it is written, on a real server."""

import os
import pty
import re
import signal
import subprocess
import sys
import tomllib
from configparser import ConfigParser
from datetime import UTC, datetime

import click
import psycopg
import pytest

from tests.servers.flavours import REPLICATION_ROLE, Flavour
from tests.servers.postgres import PostgresServer
from tests.servers.processes import alive, kill_tree, wait_until
from tests.stack.files import file_with, load
from tests.tidy.sources import ROOT
from understudy.adapters.clock.system import SystemClock
from understudy.adapters.postgres.processes import servers_processes
from understudy.adapters.postgres.receiver_process import ReceiverProcess
from understudy.cli.main import cli

PASSWORD = "of-the-README"  # noqa: S105
_SECTION = re.compile(r"^## Your own database$(.*?)^## ", re.M | re.S)


def blocks(language):
    """What stands in the section's blocks of this language, in their order."""
    (section,) = _SECTION.findall((ROOT / "README.md").read_text())
    return re.findall(rf"^```{language}\n(.*?)^```", section, re.M | re.S)


INSTALLING, BEGINNING, USING, ENDING = (block.splitlines() for block in blocks("sh"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """As the README's last ``pip`` line does it, from this checkout: what a user gets, not what lies in ``src``."""
    place = tmp_path_factory.mktemp("installed")
    (line,) = [line for line in INSTALLING if line.endswith(" .")]
    options = line.partition(" install ")[2].split()
    quiet = ("--quiet", "--disable-pip-version-check", "--no-warn-script-location", "--target", str(place))
    subprocess.run([sys.executable, "-m", "pip", "install", *options, *quiet], cwd=ROOT, check=True)
    return place


class Terminal:
    """A shell in an empty directory on the host of Understudy. Only what ``in_place_of`` says is other than in the README."""

    def __init__(self, server, installed):
        self.server = server
        self.home = server.new_directory("host")
        self.home.chmod(0o711)
        self.state = self.home / "state"
        self.in_place_of = {
            "postgresql://understudy:…@db.example/postgres": f"postgresql://{REPLICATION_ROLE}:{PASSWORD}@127.0.0.1:{server.port}/postgres",
            "/opt/understudy": str(installed),
            "/srv/copy": str(self.home / "copy"),
        }
        # directories that root's would be below /var/lib/understudy; and a program that is installed beside a virtualenv
        self._environment = {
            "PATH": f"{server.programs}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "PYTHONPATH": str(installed),
            "UNDERSTUDY_STATE": str(self.state),
        }
        self._exported = []
        self.serving = None

    def export(self, line):
        self._exported.append(self._filled_in(line))

    def type(self, line, answer=None):
        """The line to its end. ``answer`` is typed at the terminal."""
        ours, theirs = pty.openpty()
        if answer is not None:
            os.write(ours, f"{answer}\n".encode())
        done = subprocess.run(["/bin/sh", "-c", self._script(line)], **self._usual(), stdin=theirs, timeout=120, check=False)
        os.close(ours)
        os.close(theirs)
        assert done.returncode == 0, f"$ {line}\n{done.stdout}"
        return done.stdout

    def begin(self, line):
        command = ["/bin/sh", "-c", self._script(f"exec {line}")]
        self.serving = subprocess.Popen(command, **self._usual(), stdin=subprocess.DEVNULL)
        wait_until(lambda: (self.state / "serving").exists() or self.serving.poll() is not None, "serve to be ready")

    def end_serving(self):
        self.serving.send_signal(signal.SIGTERM)
        said, _ = self.serving.communicate(timeout=60)
        return self.serving.returncode, said

    def close(self):
        if self.serving is not None and self.serving.poll() is None:
            self.serving.kill()
            self.serving.communicate()
        for lock in self.state.glob("wal/*/lock"):
            ReceiverProcess(lock, SystemClock()).stop()
        for pid in servers_processes(f"{self.server.data}-recovered"):
            kill_tree(pid)

    def _usual(self):
        return {
            "env": self._environment, "cwd": self.home, "text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT,
        }  # fmt: skip

    def _script(self, line):
        return "\n".join([*self._exported, self._filled_in(line)])

    def _filled_in(self, line):
        for written, here in self.in_place_of.items():
            line = line.replace(written, here)
        return line


@pytest.fixture
def terminal(installed):
    with PostgresServer(Flavour.WHEEL_18) as server:
        made = Terminal(server, installed)
        try:
            yield made
        finally:
            made.close()


def ask(server, question):
    """Over TCP: also what a recovery brought up."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        return connection.execute(question).fetchall()


def a_moment_that_is_stored(terminal):
    """Between two commits, both of them in the repository."""
    server = terminal.server
    server.sql("insert into orders values ('before')")
    moment = datetime.now(UTC).isoformat()
    server.sql("insert into orders values ('after')")
    segment = server.sql("select pg_walfile_name(pg_current_wal_lsn())")[0][0]
    server.sql("select pg_switch_wal()")
    repository = terminal.home / "state-repository"
    wait_until(lambda: any(repository.rglob(f"{segment}.*")), "the segment to be shipped")
    return moment


def test_what_is_installed_is_installed_as_the_makefile_does_it():
    """In another directory, and not for working on it; ``make test`` itself runs what the Makefile says."""
    made = re.search(r"^\$\(VENV\)/\.installed:.*?\n\n", (ROOT / "Makefile").read_text(), re.M | re.S).group()
    for written, here in {
        "$(PYTHON)": "python3.11",
        "$(VENV)": "/opt/understudy",
        "$(BIN)/python -m ": "/opt/understudy/bin/",
        "$(LOCK)": "constraints.txt",
        "--quiet --disable-pip-version-check ": "",
        "--editable ": "",
    }.items():
        made = made.replace(written, here)
    assert [line for line in INSTALLING if not line.startswith("export ") and line not in made] == []


def test_the_lines_for_a_recovery_load():
    (lines,) = blocks("yaml")
    (resource,) = load(file_with(resource=lines)).resources.values()
    recover = resource.recover
    assert (str(recover.directory), str(recover.configuration)) == ("/var/lib/postgresql/orders", "/etc/understudy/orders")
    assert str(recover.url) == "env:ORDERS_RECOVERED_URL"


def test_the_unit_starts_a_program_that_is_installed_there_with_a_command_that_it_has():
    (text,) = blocks("ini")
    unit = ConfigParser(interpolation=None)
    unit.read_string(text)
    assert set(unit) - {unit.default_section} == {"Service", "Install"}
    program, *arguments = unit["Service"]["ExecStart"].split()
    (made,) = [line.split()[-1] for line in INSTALLING if " -m venv " in line]
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert program in [f"{made}/bin/{script}" for script in scripts]
    name, command, left = cli.resolve_command(click.Context(cli), arguments)
    assert name == "serve" and command.make_context(name, left).args == []


@pytest.mark.timeout(300)
def test_every_command_for_ones_own_database_does_as_it_is_written_what_is_written_beside_it(terminal):
    server = terminal.server
    server.sql(f"drop role {REPLICATION_ROLE}")
    (roles,) = blocks("sql")
    server.sql(roles.replace("…", PASSWORD))
    server.sql("create table orders (word text)")

    for line in [*INSTALLING[-1:], *BEGINNING]:
        if line.startswith("export "):
            terminal.export(line)
        elif line.startswith("understudy serve"):
            terminal.begin(line)
        else:
            terminal.type(line)
    repository = terminal.home / "state-repository"
    wait_until(lambda: any(repository.rglob("backup.json")) or terminal.serving.poll() is not None, "the first backup")
    assert terminal.serving.poll() is None, terminal.serving.stdout.read()
    wait_until(lambda: '"state": "running"' not in terminal.type("understudy runs --json"), "the run of the first backup to end")

    for line in USING:
        if line.startswith("understudy recover"):
            server.kill_everything()
        terminal.type(line, answer="y")
        if line.startswith("understudy backup"):
            terminal.in_place_of["2026-11-23T03:00:00+00:00"] = a_moment_that_is_stored(terminal)
    assert (terminal.home / "copy" / "PG_VERSION").exists()
    assert ask(server, "select word from orders order by word") == [("after",), ("before",)]

    code, said = terminal.end_serving()
    assert code == 0, said
    kill, drop = ENDING
    receiver = int(re.search(r"receiver +process (\d+)", terminal.type("understudy status")).group(1))
    terminal.in_place_of["PID"] = str(receiver)
    terminal.type(kill)
    wait_until(lambda: not alive(receiver), "the receiver to end")
    wait_until(lambda: ask(server, "select active from pg_replication_slots") == [(False,)], "the server to notice")
    terminal.type(drop)
    assert ask(server, "select from pg_replication_slots") == []
