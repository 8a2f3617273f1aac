"""Each example of ``--help`` is a command line that its command takes as it stands, and that does what is said of it."""

import json
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime

import click
import pytest
from click.testing import CliRunner

from tests.app.desk import desk
from tests.app.kits import kit_text
from tests.servers.postgres import PostgresServer
from tests.servers.processes import kill_servers_in, wait_until
from tests.servers.rclone_s3 import ACCESS_KEY, SECRET_KEY, RcloneS3
from understudy.app.key_ring import existing_own_key
from understudy.cli.exit_codes import ExitCode
from understudy.cli.main import cli
from understudy.cli.reference import commands
from understudy.repository.signing import Signer
from understudy.vocabulary.errors import UnderstudyError

__all__ = ["desk"]
ONLY_PARSED = ("demo", "serve", "diff", "warm-copy")
"""What these do once they have understood is not done here: their own tests do it."""
SOURCES = "  sources: {kind: command, dump: [echo, all], load: [grep, -q, all]}"
ACCOUNTS = "  accounts: {kind: postgres-dump, url: 'env:ORDERS_URL', databases: [shop]}"
SIGNER = "A" * 43 + "="
_REMARK = re.compile(r" {2,}.*")


def examples_of(epilog):
    """The command lines below the word, up to an empty line, without the remarks beside them, and those below, which are indented
    further; what stands before the program's name is the shell's.
    """
    block = (epilog or "").partition("Example")[2].partition("\n")[2].partition("\n\n")[0]
    for line in re.sub(r"\\\n +", "", block).splitlines():
        if line.strip() and not line.startswith("   "):
            yield _REMARK.sub("", line.strip())


EXAMPLES = sorted({each for _, command in commands() for each in examples_of(command.epilog)})


@pytest.fixture
def type_in(tmp_path, monkeypatch):
    """Where nothing is: no stack file, no variable. The answer is the program's own, or click's about the line itself."""
    for name in ("UNDERSTUDY_STACK", "ORDERS_URL", "S3_KEY", "S3_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UNDERSTUDY_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    for name in ONLY_PARSED:
        monkeypatch.setattr(cli.get_command(click.Context(cli), name), "callback", lambda **_: None)

    def typed(line):
        words = [SIGNER if word == "$KEY" else word for word in shlex.split(line)]
        return CliRunner().invoke(cli, words[words.index("understudy") + 1 :])

    return typed


@pytest.mark.parametrize("line", EXAMPLES)
def test_an_example_is_understood_and_reaches_its_command(type_in, line):
    done = type_in(line)
    assert isinstance(done.exception, UnderstudyError) or done.exit_code != ExitCode.USAGE, done.output


def test_every_command_has_an_example_and_a_line_that_goes_on_is_one():
    assert all(any(examples_of(command.epilog)) for _, command in commands() if not isinstance(command, click.Group))
    long = [line for line in EXAMPLES if "s3://" in line]
    assert len(long) == 2 and all(line.endswith("--secret-key env:S3_SECRET") for line in long)


@pytest.mark.parametrize(
    "line",
    ["understudy backup", "understudy verify --deep orders each part", "understudy restore orders --to x --timeline none"],
)
def test_a_line_that_no_command_takes_is_found(type_in, line):
    """Negative control."""
    done = type_in(line)
    assert not isinstance(done.exception, UnderstudyError) and done.exit_code == ExitCode.USAGE


# On a stack that is protected


class Typist:
    """Types lines of ``--help`` in the directory of a served stack; only the names in them are of what is there."""

    def __init__(self, desk, server):
        self._desk = desk
        self.server = server
        self.typed = set()
        self._count = 0

    def type(self, line, code=ExitCode.DONE, **names):
        """To its end; what it printed."""
        done = CliRunner().invoke(cli, self._words(line, names))
        assert done.exit_code == code, f"$ {line}\n{done.output}\n{done.exception!r}"
        if "--json" in line:
            json.loads(done.stdout)
        return done.stdout

    def answer(self, line, said, **names):
        """As ``type``, at a terminal, to the one question that is asked."""
        ours, theirs = pty.openpty()
        os.write(ours, f"{said}\n".encode())
        command = [sys.executable, "-m", "understudy.cli.main", *self._words(line, names)]
        done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, check=False, timeout=120)
        os.close(ours)
        os.close(theirs)
        assert done.returncode == ExitCode.DONE, f"$ {line}\n{done.stdout}\n{done.stderr}"
        assert "?" in done.stderr

    def begin(self, line, **names):
        """In a process of its own, from which nobody can be asked; and its run, once that waits for a person."""
        process = subprocess.Popen(
            [sys.executable, "-m", "understudy.cli.main", *self._words(line, names)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        wait_until(lambda: self.newest()["state"] == "awaiting_approval", f"{line} to ask")
        return process, self.newest()["run"]

    def newest(self):
        [run] = json.loads(CliRunner().invoke(cli, ["runs", "--newest", "1", "--json"]).stdout)["runs"]
        return run

    def moment(self):
        """Between two commits, with the segment that holds them in the repository."""
        sql = self.server.sql
        sql("select pg_logical_emit_message(true, 'x', 'before')")
        moment = datetime.now(UTC).isoformat()
        sql("select pg_logical_emit_message(true, 'x', 'after')")
        [(segment, _)] = sql("select pg_walfile_name(pg_current_wal_lsn()), pg_switch_wal()")
        wait_until(lambda: any((self._desk.directory / "near").rglob(f"{segment}.json")), "the segment to be shipped")
        return moment

    def _words(self, line, names):
        self.typed.add(line)
        self._count += 1
        for written, there in {
            "20261123-030000-1a2b3c": names.get("run"),
            "20261124-031059-56e991": names.get("run"),
            "20261201-031059-56e991": names.get("retest"),
            "20261123T030000Z-20261124-081500-1f3c2a": names.get("mark"),
            "20261123-030000F": names.get("label"),
            "2026-11-23T03:00:00+00:00": names.get("time"),
            "2026-11-23T03:12:00+00:00": datetime.now(UTC).isoformat(),
            "$KEY": names.get("signer"),
            "/srv/orders-copy": f"{self._desk.directory}/copy-{self._count}",
            "/srv/found": f"{self._desk.directory}/found-{self._count}",
            "/etc/understudy/shop.yaml": str(self._desk.stack_file),
            "/mnt/backup/shop": names.get("repository", f"{self._desk.directory}/shop"),
            "/mnt/copy": names.get("copy"),
            "https://s3.example.com": names.get("endpoint", "https://s3.example.com"),
            "/media/usb/": "",
            "/mnt/safe/kit.txt": str(self._desk.identity_file),
            "host=/var/run/postgresql": f"host={self.server.socket_directory} port={self.server.port}",
        }.items():
            line = line.replace(written, str(there))
        words = shlex.split(line)
        return words[words.index("understudy") + 1 :]


@pytest.fixture
def typist(desk, monkeypatch):
    with PostgresServer(segment_megabytes=1) as server:
        place = f"directory: {server.data}, port: {server.port}, socket_directory: {server.socket_directory}"
        near, far = (f"{{url: file://{desk.directory}/{name}}}" for name in ("near", "far"))
        lines = (f"recover: {{{place}, programs: {server.programs}}}", "wal: {ship_every: 1s}", "heartbeat: {every: 1s}")
        desk.write(server, *lines, url=server.url, repository=f"{near}\n  far: {far}")
        keep_documents(desk)
        server.sql("create database shop")
        server.sql("create table orders (id int)", db="shop")
        for name in ("UNDERSTUDY_STACK", "S3_KEY", "S3_SECRET"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("UNDERSTUDY_STATE", str(desk.state))
        monkeypatch.setenv("ORDERS_URL", server.url)
        monkeypatch.setenv("NEW_SERVER_URL", server.url)
        monkeypatch.chdir(desk.directory)
        with (desk.directory / "serve.log").open("w") as log:
            serving = subprocess.Popen([sys.executable, "-m", "understudy.cli.main", "serve"], stdout=log, stderr=log)
        try:
            wait_until(lambda: (desk.state / "serving").exists() or serving.poll() is not None, "serve to be ready")
            yield Typist(desk, server)
        finally:
            serving.terminate()
            serving.wait(60)
            kill_servers_in(server.data)  # one that a recovery started


WEB = "start: {run: ['true']}, check: {run: ['true']}"
DRILL = "drill: {start: {run: [sh, -c, 'true']}, check: {run: ['true']}}"
SERVICES = f"services:\n  web: {{{WEB}, {DRILL}}}"


def keep_documents(desk):
    """A directory, the output of a command, and dumps of a database of the same server, beside the database."""
    (desk.directory / "documents" / "contracts" / "2026").mkdir(parents=True)
    (desk.directory / "documents" / "contracts" / "2026" / "lease.txt").write_text("the lease")
    text = desk.stack_file.read_text()
    desk.stack_file.write_text(
        f"{text}  documents: {{kind: files, path: {desk.directory}/documents}}\n{SOURCES}\n{ACCOUNTS}\n{SERVICES}\n"
    )


def command_of(line):
    return line.partition("understudy ")[2]


def beginning_with(*commands):
    return sorted(line for line in EXAMPLES if command_of(line).startswith(commands))


def begin_with_a_database_of_ones_own(typist, desk, monkeypatch):
    for number, line in enumerate(beginning_with("init")):
        directory = desk.directory / f"init-{number}"
        directory.mkdir()
        with monkeypatch.context() as there:
            there.chdir(directory)
            there.setenv("UNDERSTUDY_STATE", str(directory / "state"))
            typist.type(line)
        assert (directory / "understudy.yaml").exists()


def adopt_what_is_kept(typist, desk, monkeypatch):
    """On three bare machines, with a kit that opens it. None of them takes anything over."""
    near, signer = desk.directory / "near", Signer(existing_own_key(desk.state)).public_key
    shutil.copytree(near, desk.directory / "s3" / "shop-recovery" / "prod", ignore=lambda *_: [".incoming"])
    shutil.copytree(near, desk.directory / "mounted")
    with RcloneS3(desk.directory / "s3") as bucket:
        for number, line in enumerate(beginning_with("adopt")):
            directory = desk.directory / f"adopt-{number}"
            directory.mkdir()
            (directory / "shop-kit.txt").write_text(
                kit_text(desk.identity, desk.recipient, signer, f"file://{desk.directory}/near")
            )
            with monkeypatch.context() as there:
                there.chdir(directory)
                there.setenv("UNDERSTUDY_STATE", str(directory / "state"))
                there.setenv("S3_KEY", ACCESS_KEY)
                there.setenv("S3_SECRET", SECRET_KEY)
                said = typist.type(line, repository=near, copy=desk.directory / "mounted", endpoint=bucket.endpoint)
            assert "orders (postgres)" in said and "documents (files)" in said
            assert (directory / "understudy.yaml").exists()


def keep_documents_for_people(typist):
    """The plan, the checklist (not everything is met here), and findings: of a drill that is held again, and of nothing."""
    for line in beginning_with("document plan"):
        typist.type(line)
    for line in beginning_with("readiness"):
        typist.type(line, ExitCode.FAILED)
    drill = "understudy drill database_corruption"
    typist.type(drill)
    wanting = typist.newest()["run"]
    for line in beginning_with("findings add"):
        typist.type(line, run=wanting)
    typist.type(drill)
    retest = typist.newest()["run"]
    for line in beginning_with("findings close", "findings list"):
        typist.type(line, retest=retest)


@pytest.mark.timeout(300)
def test_every_example_ends_as_its_help_says_on_a_stack_that_is_protected(typist, desk, monkeypatch):
    begin_with_a_database_of_ones_own(typist, desk, monkeypatch)
    for line in beginning_with("backup "):
        typist.type(line)
    label = next(path.parent.name for path in (desk.directory / "near").rglob("backup.json") if path.parent.name.endswith("F"))
    for line in beginning_with("check", "status", "backups", "verify"):
        typist.type(line, label=label)
    adopt_what_is_kept(typist, desk, monkeypatch)
    typist.type("understudy expire --dry-run")
    typist.answer("understudy expire orders", "y")
    typist.type("understudy expire orders --repository far --yes")
    moment, run = typist.moment(), typist.newest()["run"]
    for line in beginning_with("restore", "drill", "forecast", "runs", "show"):
        typist.type(line, time=moment, run=run)
    for line in beginning_with("evidence export", "evidence report", "evidence verify"):
        typist.type(line, run=run, signer=Signer(existing_own_key(desk.state)).public_key)
    keep_documents_for_people(typist)

    asking, run = typist.begin("understudy recover database_corruption")
    asking.send_signal(signal.SIGINT)
    assert f"understudy resume {run}" in asking.communicate(timeout=60)[1]
    assert asking.returncode == ExitCode.INTERRUPTED
    assert "agreed to" in typist.type("understudy approve 20261123-030000-1a2b3c", run=run)
    typist.type("understudy resume 20261123-030000-1a2b3c", run=run)

    typist.type("understudy recover data_loss --time 2026-11-23T03:00:00+00:00 --yes", time=typist.moment())
    for line in beginning_with("evidence incident"):
        typist.type(line, run=typist.newest()["run"])
    typist.answer("understudy recover storage_loss --resource documents", "y")
    typist.answer("understudy recover complete_failure", "y")
    typist.answer("understudy recover application_failure --service web", "y")

    asking, run = typist.begin("understudy recover database_corruption --since 2026-11-23T03:12:00+00:00")
    typist.type("understudy cancel 20261123-030000-1a2b3c", run=run)
    asking.communicate(timeout=60)
    assert asking.returncode == ExitCode.INTERRUPTED

    since = "2026-11-23T03:00:00+00:00"
    typist.answer(f"understudy recover security_incident --before {since}", "y", time=typist.moment())
    typist.type("understudy quarantine list")
    marks = json.loads(typist.type("understudy quarantine list orders --json"))["quarantines"]
    named = "understudy quarantine lift orders --name 20261123T030000Z-20261124-081500-1f3c2a"
    typist.answer(named, "y", mark=marks[0]["name"])
    typist.answer("understudy quarantine lift orders", "y")

    assert typist.typed == {line for line in EXAMPLES if not command_of(line).startswith(ONLY_PARSED)}
