"""A server with its repository and the installation that protects it: what every restore here begins from."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.servers import programs
from tests.servers.postgres import PostgresServer
from tests.servers.processes import kill_tree, wait_until
from tests.told import told_whole
from understudy.adapters.age import new_identity
from understudy.app.backups import back_up
from understudy.app.installation import Installation
from understudy.app.recoveries import Choice, drill, restore
from understudy.app.run_view import RunView
from understudy.ports.database import StandbyFacts
from understudy.records.run import StepState
from understudy.repository.catalog import Repository
from understudy.repository.manifests import BackupManifest
from understudy.repository.wal_archive import WalArchive
from understudy.stack.models import Scenario
from understudy.steps.wal_shipping import WalShipper
from understudy.vocabulary.identifiers import BackupKind, RepositoryName, ResourceName
from understudy.vocabulary.json import JsonObject
from understudy.vocabulary.wal import Lsn

RESOURCE = ResourceName("orders")
NEAR = RepositoryName("near")

_RANDOM_WORD = re.compile(r"^\\(un)?restrict .*$", re.MULTILINE)
_SEQUENCE_VALUE = re.compile(r"^SELECT pg_catalog\.setval\(.*$", re.MULTILINE)
_REPLICATION_STATE = re.compile(r"^-- (Started|Completed) on .*$", re.MULTILINE)


class SilentWatcher:
    """Nobody is at the door: nothing is shown, and nobody agrees to anything."""

    def show(self, view) -> None:
        return

    def ask(self, step) -> None:
        return None


@dataclass
class Estate:
    """``server`` is protected by the stack file in ``directory``, whose only repository is ``near``."""

    server: PostgresServer
    directory: Path
    stack_file: Path
    repository_directory: Path
    """Where the repository's objects lie as plain files, also behind the S3 server."""
    installation: Installation

    @classmethod
    def around(
        cls,
        server: PostgresServer,
        repository: Mapping[str, str] | None = None,
        *,
        repository_directory: Path | None = None,
        name: str = "estate",
        resource: Mapping[str, object] | None = None,
    ) -> Estate:
        """``repository`` holds the stack file's fields of an S3 repository; None makes a ``file://`` one."""
        directory = server.directory / name
        directory.mkdir(mode=0o711)
        directory.chmod(0o711)
        identity, recipient = new_identity()
        _secret(directory / "identity", identity.reveal())
        _secret(directory / "url", server.url)
        place = repository_directory or directory / "repository"
        stack = {
            "stack": f"matrix-{server.port}",
            "repositories": {NEAR: dict(repository or {"url": f"file://{place}"})},
            "encryption": {"recipients": [recipient], "identity": f"file:{directory / 'identity'}"},
            "state": {"directory": str(directory / "state")},
            "resources": {
                RESOURCE: {
                    "kind": "postgres",
                    "url": f"file:{directory / 'url'}",
                    "wal": {"synchronous": "true"},
                    "recover": {
                        "directory": str(server.data),
                        "port": str(server.port),
                        "programs": str(server.programs),
                        "socket_directory": str(server.socket_directory),
                    },
                    **(resource or {}),
                }
            },
        }
        stack_file = directory / "understudy.yaml"
        stack_file.write_text(json.dumps(stack))
        return cls(server, directory, stack_file, place, Installation.open(stack_file))

    # The doors

    def back_up(self, kind: BackupKind | None = None) -> RunView:
        return back_up(self.installation, RESOURCE, kind, SilentWatcher())

    def back_up_well(self, kind: BackupKind | None = None) -> BackupManifest:
        """The backup's manifest; fails the test when there is none."""
        view = expect_success(self.back_up(kind))
        label = proof_of(view, "write-backup-manifest")["label"]
        return next(backup for backup in self.backups() if backup.label.text == label)

    def restore(self, choice: Choice, directory: Path) -> RunView:
        return restore(self.installation, RESOURCE, directory, choice, SilentWatcher())

    def restored(self, choice: Choice) -> PostgresServer:
        """Restore beside the source, and start what came of it as a server of its own. Closed with the source."""
        copy = self.server.sibling()
        expect_success(self.restore(choice, copy.data))
        return copy.start()

    def drill(self, choice: Choice) -> RunView:
        return drill(self.installation, Scenario.DATA_LOSS, (RESOURCE,), choice, SilentWatcher())

    def command(self, *arguments: str, check: bool = True, program: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """The program itself, in a process of its own; ``program`` is started by that command line instead of being forked."""
        place = {"env": {**os.environ, "UNDERSTUDY_STACK": str(self.stack_file)}, "cwd": self.directory}
        if program:
            usual = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "check": False, "timeout": 240}
            done = subprocess.run([*program, *arguments], **usual, **place)
        else:
            done = programs.run(*arguments, **place)
        if check and done.returncode != 0:
            raise AssertionError(f"understudy {arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    # What the repository holds

    def backups(self) -> tuple[BackupManifest, ...]:
        return tuple(sorted(self.repository.backups(RESOURCE).usable, key=lambda backup: backup.stop_time))

    @property
    def repository(self) -> Repository:
        return self.installation.repository(NEAR)

    def archive(self) -> WalArchive:
        facts = self.installation.databases[RESOURCE].facts()
        return self.repository.wal(RESOURCE, facts.system_identifier, facts.segment_bytes)

    def ship(self) -> Lsn:
        """Everything that the server has written so far, into the repository; how far that is.

        A segment's tail ends with its last byte that is not zero, so the server is asked how far the receiver is.
        """
        receiver = self.installation.receivers[RESOURCE]
        receiver.ensure_running()
        database = self.installation.databases[RESOURCE]
        _, flushed = database.wal_flushed()
        wait_until(
            lambda: any(each.flushed is not None and each.flushed >= flushed for each in database.standbys() if _is_ours(each)),
            f"the receiver to reach {flushed}",
        )
        claim = self.repository.own_claim(self.installation.records.controller_id(), self.installation.clock)
        WalShipper(receiver, self.archive(), claim).ship_once()
        return flushed

    def reopen(self, url: str | None = None) -> None:
        """As a new process would; with ``url`` the resource has moved to another server."""
        if url is not None:
            _secret(self.directory / "url", url)
        self.installation = Installation.open(self.stack_file)

    def close(self) -> None:
        self.installation.receivers[RESOURCE].stop()


def expect_success(view: RunView) -> RunView:
    troubles = [f"{step.key}: {step.error}" for step in view.steps if step.error is not None]
    assert view.succeeded, f"{view.run.run} is {view.run.state}: {troubles} {view.run.error}"
    return view


def failed_step(view: RunView) -> tuple[str, str]:
    """Which step failed, and with which code; its error says everything that an error must."""
    failed = [step for step in view.steps if step.state is StepState.FAILED]
    assert not view.succeeded and failed, [(step.key, step.state) for step in view.steps]
    return failed[0].key.partition("/")[2], told_whole(failed[0].error)


def proof_of(view: RunView, verb: str) -> JsonObject:
    """What the step of that name recorded."""
    step = next(step for step in view.steps if step.key == f"{RESOURCE}/{verb}")
    assert step.evidence is not None, f"{step.key} is {step.state}: {step.error}"
    return step.evidence.proof


def dump_of(server: PostgresServer) -> str:
    """Roles, tablespaces, definitions and every row of every database, without what recovery changes by definition.

    Unlogged tables come back empty. A sequence comes back up to 32 values further, because that many are logged at once:
    that is for ``assert_sequences_not_behind``. ``\\restrict`` lines hold a random word.
    """
    text = server.program("pg_dumpall", "--no-unlogged-table-data", "-h", str(server.socket_directory)).stdout
    for pattern in (_RANDOM_WORD, _SEQUENCE_VALUE, _REPLICATION_STATE):
        text = pattern.sub("", text)
    return text


def files_in(directory: Path) -> Mapping[Path, tuple[int, int, int]]:
    """Each file below it, with what any change to it would change."""
    found = {path: path.stat() for path in directory.rglob("*") if path.is_file()}
    return {path: (status.st_ino, status.st_size, status.st_mtime_ns) for path, status in found.items()}


def end_recovered_server(server: PostgresServer) -> None:
    """The one that a recovery started in its directory: nobody's child. The fifth line of a lock file names its socket's."""
    lock = server.data / "postmaster.pid"
    if lock.exists():
        lines = lock.read_text().splitlines()
        kill_tree(int(lines[0]))
        shutil.rmtree(lines[4])


def _is_ours(standby: StandbyFacts) -> bool:
    return standby.application_name.startswith("understudy_")


def _secret(path: Path, value: str) -> None:
    path.write_text(value)
    path.chmod(0o600)
