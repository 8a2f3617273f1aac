"""Understudy as its users run it: the command line, a stack file, a state directory."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType

import pyrage
from tests.servers.postgres import PostgresServer
from tests.servers.processes import alive, kill_tree

from bench.ground import Ground
from bench.processes import Cost, costs, run, tree_cpu_seconds
from understudy.app.installation import Installation
from understudy.vocabulary.identifiers import ResourceName

RESOURCE = "orders"
_PROGRAM = Path(sys.executable).parent / "understudy"
_READY_LOOKS = 600
_NOT_TO_FIRST_WRITE = ("verify", "check-pages")


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """What ``--json`` said of a run."""

    cost: Cost
    began: datetime
    """When the command was started; the steps' times are of the same clock."""
    document: Mapping[str, object]

    def step(self, name: str) -> Mapping[str, object]:
        return next(step for step in self.steps if str(step["key"]).endswith(name))

    @property
    def steps(self) -> Sequence[Mapping[str, object]]:
        return self.document["steps"]  # type: ignore[return-value]

    def proof(self, name: str) -> Mapping[str, object]:
        return self.step(name)["evidence"]["proof"]  # type: ignore[index]

    def seconds(self, name: str) -> float:
        return seconds_of(self.step(name))

    @property
    def until_first_write_seconds(self) -> float:
        """From the command's start to the committed row, less the verifications before it, which peers don't do."""
        write = datetime.fromisoformat(str(self.step("write-and-read-back")["ended"]))
        before = [step for step in self.steps if datetime.fromisoformat(str(step["ended"])) <= write]
        verifying = sum(seconds_of(step) for step in before if str(step["key"]).partition("/")[2].startswith(_NOT_TO_FIRST_WRITE))
        return (write - self.began).total_seconds() - verifying


def seconds_of(step: Mapping[str, object]) -> float:
    return (datetime.fromisoformat(str(step["ended"])) - datetime.fromisoformat(str(step["started"]))).total_seconds()


class Stack:
    """A stack file with keys, a repository and a state directory of its own on the ground."""

    def __init__(self, ground: Ground, name: str) -> None:
        self.directory = ground.new_directory(name)
        self.repository = self.directory / "repository"
        self.identity_file = self.directory / "identity"
        self.stack_file = self.directory / "understudy.yaml"
        identity = pyrage.x25519.Identity.generate()
        self.recipient = str(identity.to_public())
        self.secret_file("identity", f"{identity}\n")

    def secret_file(self, name: str, content: str) -> None:
        (self.directory / name).write_text(content)
        (self.directory / name).chmod(0o600)

    def declare(self, name: str, resources: str) -> None:
        """The stack file with these resources, each indented by two."""
        self.stack_file.write_text(
            f"""stack: {name}
repositories:
  near: {{url: 'file://{self.repository}'}}
encryption: {{recipients: [{self.recipient}], identity: 'file:{self.identity_file}'}}
resources:
{resources}"""
        )

    @property
    def base_command(self) -> list[str]:
        return [str(_PROGRAM)]

    def command(self, *arguments: str) -> list[str]:
        return [*self.base_command, *arguments, "--stack", str(self.stack_file), "--state", str(self.directory / "state")]

    @property
    def server_pid(self) -> int | None:
        """Of the server whose CPU time counts as the command's."""
        return None

    def run(self, *arguments: str, server_cpu: bool = True) -> FinishedRun:
        """One command that ends in a run, with ``--json``; it must succeed."""
        began = datetime.now().astimezone()
        pid = self.server_pid if server_cpu else None
        cost = costs(lambda: run(self.command(*arguments, "--json"), cwd=str(self.directory)), pid)
        return FinishedRun(cost, began, json.loads(cost.output.splitlines()[-1]))


class UnderstudySubject(Stack):
    """One stack over one server. Its repository, spool and sandboxes lie on the ground; ``close`` ends what it started."""

    def __init__(self, ground: Ground, server: PostgresServer, *, synchronous: bool = False, stack: str = "bench") -> None:
        """A server on a host of its own is recovered on this one, any other in its place."""
        super().__init__(ground, stack)
        self.server = server
        self.recovered_data = server.data if server.host is None else self.directory / "recovered"
        self.recovered_url = server.url if server.host is None else server.url.replace(server.host.address, "127.0.0.1")
        self._serving: subprocess.Popen[bytes] | None = None
        self.secret_file("url", server.url)
        self.secret_file("recovered-url", self.recovered_url)
        self.declare(
            stack,
            f"""\
  {RESOURCE}:
    kind: postgres
    url: file:{self.directory}/url
    wal: {{synchronous: {str(synchronous).lower()}}}
    recover:
      directory: {self.recovered_data}
      port: {server.port}
      programs: {server.programs}
      url: file:{self.directory}/recovered-url
    drill: {{directory: {self.directory}/drills}}
""",
        )

    @property
    def server_pid(self) -> int | None:
        return self.server.pid

    def back_up(self, *arguments: str) -> FinishedRun:
        return self.run("backup", RESOURCE, *arguments)

    def backup_directory(self, label: str) -> Path:
        return next(self.repository.glob(f"postgres/{RESOURCE}/*/backups/{label}"))

    def remove_backup(self, label: str) -> None:
        shutil.rmtree(self.backup_directory(label))

    def serve(self) -> None:
        """Start ``understudy serve`` and wait until the server sees WAL streaming."""
        log = (self.directory / "serve.log").open("ab")
        self._serving = subprocess.Popen(
            self.command("serve"), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory, start_new_session=True
        )
        log.close()
        pause = threading.Event()
        for _ in range(_READY_LOOKS):
            if self.server.sql("select count(*) from pg_stat_replication where state = 'streaming'")[0][0]:
                return
            if self._serving.poll() is not None:
                break
            pause.wait(0.1)
        raise RuntimeError(f"understudy serve does not stream:\n{(self.directory / 'serve.log').read_text()[-2000:]}")

    @property
    def serving_cpu_seconds(self) -> float:
        """What ``understudy serve`` and all that it started have used so far."""
        return tree_cpu_seconds(None if self._serving is None else self._serving.pid)

    def stop_serving(self) -> None:
        if self._serving is not None:
            self._serving.terminate()
            self._serving.wait(timeout=60)
            self._serving = None

    def stop_receiver(self) -> None:
        Installation.open(self.stack_file, self.directory / "state").receivers[ResourceName(RESOURCE)].stop()

    def kill_recovered_server(self) -> None:
        """The server that a recovery left running."""
        try:
            pid = int((self.recovered_data / "postmaster.pid").read_text().splitlines()[0])
        except FileNotFoundError:
            return
        if alive(pid):
            kill_tree(pid)

    def __enter__(self) -> UnderstudySubject:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop_serving()
        self.stop_receiver()
        if self.server.pid is None or self.server.host is not None:
            self.kill_recovered_server()
        shutil.rmtree(self.directory, ignore_errors=True)
