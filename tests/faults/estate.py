"""A server whose WAL ``understudy serve`` ships into a directory and into a bucket; every piece of it can be taken away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from tests.restore_matrix.stores import BUCKET, s3_fields
from tests.servers import programs
from tests.servers.postgres import PostgresServer
from tests.servers.processes import alive, kill_servers_in, wait_until
from tests.servers.rclone_s3 import RcloneS3
from understudy.adapters.age import new_identity
from understudy.app.installation import Installation
from understudy.app.looking import ResourceStatus, Status, status
from understudy.repository.wal_archive import WalArchive
from understudy.vocabulary.errors import TryAgain
from understudy.vocabulary.identifiers import RepositoryName, ResourceName, SystemIdentifier
from understudy.vocabulary.wal import Lsn, WalSegment

RESOURCE = ResourceName("orders")
NEAR, FAR = RepositoryName("near"), RepositoryName("far")


class Estate:
    """``near`` is a directory, ``far`` a bucket (only with ``bucket=True``). Nothing serves until ``serve`` is called."""

    def __init__(self, server: PostgresServer, *, bucket: bool = False, **resource: object) -> None:
        self.server = server
        self.directory = server.directory / "estate"
        self.directory.mkdir(mode=0o711)
        self.directory.chmod(0o711)
        self.near = self.directory / "near"
        self.serving: subprocess.Popen[str] | None = None
        self._cluster: tuple[SystemIdentifier, int] | None = None
        self.log = self.directory / "serve.log"
        self.s3: RcloneS3 | None = None
        identity, self._recipient = new_identity()
        self.secret("identity", identity.reveal())
        self.secret("url", server.url)
        repositories: dict[str, Mapping[str, str]] = {NEAR: {"url": f"file://{self.near}"}}
        if bucket:
            buckets = self.directory / "buckets"
            buckets.mkdir(mode=0o700)
            self.s3 = RcloneS3(buckets, BUCKET)
            self.s3.start()
            repositories[FAR] = s3_fields(self.s3, self.directory)
        self._stack: dict[str, Any] = {
            "stack": f"faults-{server.port}",
            "repositories": repositories,
            "encryption": {"recipients": [self._recipient], "identity": f"file:{self.directory / 'identity'}"},
            "state": {"directory": str(self.directory / "state")},
            "resources": {RESOURCE: self._resource(server, "url") | resource},
        }
        self.stack_file = self.directory / "understudy.yaml"
        self._install()

    def protect(self, name: ResourceName, server: PostgresServer) -> None:
        """One more database beside the first, in the same stack."""
        self.secret(f"url-of-{name}", server.url)
        self._stack["resources"][name] = self._resource(server, f"url-of-{name}")
        self._install()

    def _resource(self, server: PostgresServer, url: str) -> dict[str, object]:
        return {
            "kind": "postgres",
            "url": f"file:{self.directory / url}",
            "wal": {"ship_every": "1s"},
            "recover": {
                "directory": str(server.data),
                "port": str(server.port),
                "programs": str(server.programs),
                "socket_directory": str(server.socket_directory),
            },
        }

    def _install(self) -> None:
        self.stack_file.write_text(json.dumps(self._stack))
        self.installation = Installation.open(self.stack_file)

    def secret(self, name: str, content: str) -> None:
        path = self.directory / name
        path.write_text(content)
        path.chmod(0o600)

    # The programs

    def serve(self) -> None:
        """Start the control plane; returns once it says that it serves."""
        before = self.log_text().count("serving faults-")
        self.start_serving()
        assert self.serving is not None
        pid = self.serving.pid
        wait_until(lambda: self.log_text().count("serving faults-") > before or not alive(pid), "serve to be ready")
        assert self.serving.poll() is None, self.log_text()

    def start_serving(self) -> None:
        with self.log.open("ab") as log:
            self.serving = programs.start("serve", env=self._environment(), cwd=self.directory, stdout=log, stderr=log)

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        assert self.serving is not None
        self.serving.send_signal(signal.SIGTERM)
        code = self.serving.wait(timeout=60)
        self.serving = None
        return code

    def kill(self) -> None:
        """SIGKILL: nothing is cleaned up."""
        assert self.serving is not None
        self.serving.kill()
        self.serving.wait()
        self.serving = None

    def command(self, *arguments: str, expect: int = 0, stdin: int = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
        done = programs.run(*arguments, env=self._environment(), cwd=self.directory, stdin=stdin)
        assert done.returncode == expect, f"understudy {arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def start_command(self, *arguments: str, told: IO[str] | None = None) -> subprocess.Popen[str]:
        """``told`` gets what it says on standard error, for who reads that meanwhile."""
        return programs.start(*arguments, env=self._environment(), cwd=self.directory, stderr=told or subprocess.PIPE)

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "UNDERSTUDY_STACK": str(self.stack_file)}

    # What is to be seen

    def log_text(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def status(self) -> Status:
        return status(self.installation)

    def seen(self) -> ResourceStatus:
        return self.status().resources[0]

    def wait_for(self, condition: Callable[[ResourceStatus], bool], what: str) -> ResourceStatus:
        """Until ``status`` shows it."""
        found: list[ResourceStatus] = []

        def shown() -> bool:
            found[:] = [self.seen()]
            return condition(found[0])

        try:
            wait_until(shown, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{found}\n{self.log_text()[-4000:]}") from None
        return found[0]

    @property
    def receiver_pid(self) -> int | None:
        return self.installation.receivers[RESOURCE].facts().pid

    @property
    def spool(self) -> Path:
        return self.directory / "state" / "wal" / RESOURCE / "wal"

    def archive(self, repository: RepositoryName = NEAR) -> WalArchive:
        """Of the cluster that the resource's address led to first; each look to ask it anew would be a connection of its own."""
        if self._cluster is None:
            facts = self.installation.databases[RESOURCE].facts()
            self._cluster = facts.system_identifier, facts.segment_bytes
        return self.installation.repository(repository).wal(RESOURCE, *self._cluster)

    def archive_beside(self, resource: ResourceName) -> WalArchive:
        """Of a database that ``protect`` added."""
        facts = self.installation.databases[resource].facts()
        return self.installation.repository(NEAR).wal(resource, facts.system_identifier, facts.segment_bytes)

    def holds(self, segment: WalSegment, repository: RepositoryName = NEAR) -> bool:
        try:
            return self.archive(repository).contents().holds(segment)
        except TryAgain:  # nothing is there yet, or it is away
            return False

    def numbers_in(self, repository: RepositoryName = NEAR, timeline: int = 1) -> list[int]:
        return [segment.number for segment in self.archive(repository).contents().segments if segment.timeline == timeline]

    # The load

    def write(self, segments: int = 1, server: PostgresServer | None = None) -> WalSegment:
        """Complete so many segments, on the first server unless another is named; the last of them."""
        writing = server or self.server
        for _ in range(segments):
            writing.sql("select pg_logical_emit_message(false, 'x', repeat('x', 300000))")
            [(name, size)] = writing.sql(
                "select pg_walfile_name(pg_switch_wal()), pg_size_bytes(current_setting('wal_segment_size'))"
            )
        return WalSegment.parse(str(name), int(str(size)))

    def flushed(self) -> Lsn:
        return Lsn.parse(str(self.server.sql("select pg_current_wal_flush_lsn()")[0][0]))

    def wait_until_held(self, segment: WalSegment, *repositories: RepositoryName) -> None:
        for repository in repositories or (NEAR,):
            try:
                wait_until(lambda: self.holds(segment, repository), f"{segment} to be in {repository}")  # noqa: B023
            except AssertionError as error:
                raise AssertionError(f"{error}\n{self.seen()}\n{self.log_text()[-4000:]}") from None

    # Faults

    def unmount(self) -> None:
        """The disk of ``near`` goes away."""
        self.near.rename(self.directory / "away")

    def mount(self) -> None:
        (self.directory / "away").rename(self.near)

    def move_to(self, server: PostgresServer) -> None:
        """The resource's address now leads to another server."""
        self._cluster = None
        self.secret("url", server.url)
        self.server = server
        self.installation = Installation.open(self.stack_file)

    def close(self) -> None:
        if self.serving is not None:
            self.kill()
        for receiver in self.installation.receivers.values():
            receiver.stop()
        if self.s3 is not None:
            self.s3.stop()
        kill_servers_in(self.server.data)  # one that a recovery started


def assert_contiguous(numbers: list[int]) -> None:
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
