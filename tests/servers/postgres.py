"""A real PostgreSQL server of a test's own.

    with PostgresServer(Flavour.WHEEL_18) as server:
        server.sql("create table t (id int)")

or the fixture ``postgres_servers(flavour, **options)``, a factory that removes what it made.
"""

from __future__ import annotations

import ctypes
import random
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from tests.room import new_path
from tests.servers.certificates import make_certificate
from tests.servers.flavours import (
    REPLICATION_PASSWORD,
    REPLICATION_ROLE,
    SUPERUSER,
    SUPERUSER_PASSWORD,
    ClusterOptions,
    Flavour,
    as_owner,
    give_to_owner,
    new_cluster,
    programs_of,
)
from tests.servers.isolated_host import IsolatedHost
from tests.servers.processes import kill_tree

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "wal_level": "replica",
    "max_wal_senders": "10",
    "max_replication_slots": "10",
    "max_connections": "60",
    "max_prepared_transactions": "10",
    "shared_buffers": "16MB",
    "huge_pages": "off",
    "dynamic_shared_memory_type": "mmap",
    "fsync": "on",
    "lc_messages": "C",
    "timezone": "UTC",
    "logging_collector": "off",
    "wal_sender_timeout": "20s",
}


_IPC_RMID = 0
"""Of ``shmctl`` (``sys/ipc.h``)."""


class PostgresServer:
    """One server in a directory of its own under /tmp, as an unprivileged user when we are root.

    Clusters copied from one template share their system identifier; ``fresh=True`` gives one of its own. On a ``host`` of its own
    it listens there only; the socket is reached from everywhere.
    """

    def __init__(
        self,
        flavour: Flavour | str = Flavour.WHEEL_18,
        *,
        settings: Mapping[str, str] | None = None,
        auth: str = "scram-sha-256",
        segment_megabytes: int = 16,
        tls: bool = False,
        fresh: bool = False,
        host: IsolatedHost | None = None,
    ) -> None:
        self.flavour = Flavour(flavour)
        self.programs = programs_of(self.flavour)
        self.directory = new_path()
        self.data = self.directory / "data"
        self.socket_directory = self.directory / "s"
        self.log = self.directory / "log"
        self.port = 0
        self.tls = tls
        self.settings = dict(_SETTINGS)
        if self.flavour.major >= 17:
            self.settings["summarize_wal"] = "on"
        self.settings |= settings or {}
        self.host = host
        if host is not None:
            self.settings["listen_addresses"] = host.address
        self._process: subprocess.Popen[bytes] | None = None
        self._siblings: list[PostgresServer] = []
        self._make_directory(self.directory)
        self._make_directory(self.socket_directory)
        new_cluster(ClusterOptions(self.flavour, auth, segment_megabytes), self.data, fresh=fresh)
        if tls:
            self._make_certificate()
        if host is not None:
            self.add_hba_lines_first(f"host all,replication all samenet {auth}")

    @property
    def url(self) -> str:
        """As the superuser, over TCP, password included."""
        return self._url(SUPERUSER, SUPERUSER_PASSWORD)

    @property
    def replication_url(self) -> str:
        """As a role with LOGIN, REPLICATION and ``pg_monitor``, and nothing else."""
        return self._url(REPLICATION_ROLE, REPLICATION_PASSWORD)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def new_directory(self, name: str) -> Path:
        """An empty directory of this server's user, for a tablespace or an archive; gone with the server."""
        path = self.directory / name
        self._make_directory(path)
        return path

    def sql(self, text: str, db: str = "postgres") -> list[tuple[object, ...]]:
        """Run one or more statements as the superuser over the socket; each commits. The last one's rows."""
        with psycopg.connect(self._socket_conninfo(db), autocommit=True) as connection:
            cursor = connection.execute(text)
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    def connect(self, db: str = "postgres", **arguments: object) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self._socket_conninfo(db), **arguments)  # type: ignore[arg-type]

    def program(self, name: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one of this build's client programs as the server's user, over the socket."""
        environment = {
            "PATH": f"{self.programs}:/usr/bin:/bin",
            "PGHOST": str(self.socket_directory),
            "PGPORT": str(self.port),
            "PGUSER": SUPERUSER,
            "LC_ALL": "C.UTF-8",
        }
        done = subprocess.run(
            as_owner([str(self.programs / name), *arguments]),
            env=environment, cwd=self.directory, text=True, capture_output=True, check=False,
        )  # fmt: skip
        if check and done.returncode != 0:
            raise AssertionError(f"{name} {arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def start(self) -> PostgresServer:
        assert self._process is None, "it runs already"
        for _ in range(5):
            first_start = self.port == 0
            self.port = self.port or free_port()
            self._launch()
            if self._wait_until_ready():
                return self
            words = self.log_text()
            self._reap()
            if not (first_start and "could not bind" in words):
                break
            self.port = 0
        raise AssertionError(f"the server did not start:\n{self.log_text()[-4000:]}")

    def stop(self, mode: str = "fast") -> None:
        """``smart``, ``fast`` or ``immediate``; returns when it is gone. Nothing happens when it is not running."""
        if self._process is None:
            return
        self._process.send_signal({"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode])
        self._process.wait(timeout=60)
        self._process = None

    def restart(self, mode: str = "fast") -> None:
        self.stop(mode)
        self.start()

    def kill_everything(self) -> None:
        """SIGKILL the postmaster and all its children; returns when none of them is left."""
        if self._process is not None:
            kill_tree(self._process.pid)
            self._reap()

    def destroy(self) -> None:
        """Remove the data directory of a server that is dead."""
        assert self._process is None, "kill it first"
        shutil.rmtree(self.data)

    def promote(self) -> None:
        self.sql("select pg_promote(true)")

    def sibling(self) -> PostgresServer:
        """A server with this one's build and settings, not started, whose ``data`` does not exist yet; closed with this one."""
        made = PostgresServer.__new__(PostgresServer)
        made.__dict__ |= self.__dict__
        made.directory = new_path()
        made.data, made.log, made.socket_directory = made.directory / "data", made.directory / "log", made.directory / "s"
        made.settings = dict(self.settings)
        made.port, made._process, made._siblings = 0, None, []
        self._make_directory(made.directory)
        self._make_directory(made.socket_directory)
        self._siblings.append(made)
        return made

    def make_standby(self, *, slot: str | None = None) -> PostgresServer:
        """A streaming standby of this server, started; closed with it."""
        standby = self.sibling()
        extra = ["-C", "-S", slot] if slot else []
        self.program("pg_basebackup", "-D", str(standby.data), "-R", "-X", "stream", "-c", "fast", "--no-sync", *extra)
        return standby.start()

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def add_hba_lines_first(self, *lines: str) -> None:
        """Put lines in front of pg_hba.conf and reload when it runs."""
        path = self.data / "pg_hba.conf"
        path.write_text("\n".join(lines) + "\n" + path.read_text())
        if self._process is not None:
            self.sql("select pg_reload_conf()")

    def close(self) -> None:
        """Kill what runs and remove everything."""
        for sibling in self._siblings:
            sibling.close()
        if self._process is not None:
            kill_tree(self._process.pid)
            self._reap()
        for lock_file in (*self.directory.glob("*/postmaster.pid"), *self.directory.glob("*/*/postmaster.pid")):
            _free_shared_memory(lock_file)
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> PostgresServer:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def _launch(self) -> None:
        settings = self.settings | {"port": str(self.port), "unix_socket_directories": str(self.socket_directory)}
        command = [str(self.programs / "postgres"), "-D", str(self.data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        command = as_owner(command) if self.host is None else self.host.command(command)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            )  # fmt: skip

    def _wait_until_ready(self) -> bool:
        process = self._process
        assert process is not None
        pause = threading.Event()
        for _ in range(3000):
            if process.poll() is not None:
                return False
            try:
                psycopg.connect(self._socket_conninfo("postgres")).close()
            except psycopg.OperationalError:
                pause.wait(0.02)
            else:
                return True
        return False

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait(timeout=60)
            self._process = None

    def _socket_conninfo(self, db: str) -> str:
        return psycopg.conninfo.make_conninfo(
            host=str(self.socket_directory), port=self.port, user=SUPERUSER, dbname=db, connect_timeout=10
        )

    def _url(self, user: str, password: str) -> str:
        address = self.host.address if self.host is not None else "127.0.0.1"
        tail = f"?sslmode=verify-ca&sslrootcert={quote(str(self.directory / 'server.crt'), safe='')}" if self.tls else ""
        return f"postgresql://{user}:{quote(password, safe='')}@{address}:{self.port}/postgres{tail}"

    def _make_directory(self, path: Path) -> None:
        path.mkdir(mode=0o711 if path == self.directory else 0o700)
        give_to_owner(path)

    def _make_certificate(self) -> None:
        """A self-signed certificate; connections over TCP are refused without TLS."""
        certificate_path, key_path = make_certificate(self.directory)
        give_to_owner(key_path)
        self.settings |= {"ssl": "on", "ssl_cert_file": str(certificate_path), "ssl_key_file": str(key_path)}
        self.add_hba_lines_first("hostnossl all all all reject", "hostnossl replication all all reject")


def _free_shared_memory(lock_file: Path) -> None:
    """Of a server that was killed, by the seventh line of what it leaves: the machine has room for 4096 such segments only."""
    lines = lock_file.read_text(errors="replace").splitlines()
    identifier = lines[6].split()[1:] if len(lines) > 6 else []
    if identifier and identifier[0].isdigit():
        ctypes.CDLL(None).shmctl(int(identifier[0]), _IPC_RMID, None)


def free_port() -> int:
    """A port outside the range that the kernel gives to clients, so that it is still ours after a restart."""
    for _ in range(200):
        port = random.SystemRandom().randrange(15000, 30000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free TCP port between 15000 and 30000")


@pytest.fixture
def postgres_servers() -> Iterator[Callable[..., PostgresServer]]:
    """A factory ``postgres_servers(flavour, **options)`` of started servers, removed after the test."""
    made: list[PostgresServer] = []

    def make(flavour: Flavour | str = Flavour.WHEEL_18, **options: object) -> PostgresServer:
        server = PostgresServer(flavour, **options)  # type: ignore[arg-type]
        made.append(server)
        return server.start()

    yield make
    for server in made:
        server.close()
