"""A small cluster, an installation that protects it, and what is left of a procedure once it has ended.

Everything that must survive the kills is made here, in the test's process: server, stack file, repository, earlier backups.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import cast

import psycopg
import pyrage

from tests.restore_matrix.stores import BUCKET, s3_fields
from tests.room import new_path
from tests.servers import programs
from tests.servers.postgres import PostgresServer
from tests.servers.processes import alive, kill_tree, state_and_parent, wait_until
from tests.servers.rclone_s3 import RcloneS3
from understudy.app.backups import back_up
from understudy.app.installation import Installation
from understudy.app.recoveries import Choice, drill
from understudy.app.run_view import RunView
from understudy.records.run import StepRecord
from understudy.repository.manifests import BackupManifest
from understudy.stack.models import Scenario
from understudy.steps.wal_shipping import WalShipper
from understudy.vocabulary.identifiers import BackupKind, Person, RepositoryName, ResourceName, RunId
from understudy.vocabulary.json import JsonObject

ORDERS = ResourceName("orders")
NEAR, FAR = RepositoryName("near"), RepositoryName("far")
PERSON = Person("the-test")
STACK_FILE = "understudy.yaml"

_OF_THE_STAGE = {
    "identity", "url", STACK_FILE, "state", "repository", "points", "earlier-runs", "buckets", "access-key", "secret-key",
}  # fmt: skip
_OF_THE_SERVER = {"data", "s", "log"}


class SilentWatcher:
    """Nobody sits at this door."""

    def show(self, view: RunView) -> None:
        pass

    def ask(self, step: StepRecord) -> Person | None:
        return None


def installed(directory: Path) -> Installation:
    return Installation.open(directory / STACK_FILE, directory / "state")


class Stage:
    """One server with ``rows`` rows in its ledger, and what protects it, in a directory of its own."""

    def __init__(self, server: PostgresServer, *, bucket: bool = False, warm_copy: bool = False) -> None:
        """``bucket``: a second repository, in a bucket of an S3 server of its own. ``warm_copy``: one may be seeded."""
        self._warm_copy = "warm_copy: {}" if warm_copy else ""
        self.server = server
        self.directory = new_path("stage")
        self.directory.mkdir(mode=0o755)
        self.rows = 0
        identity = pyrage.x25519.Identity.generate()
        (self.directory / "identity").write_text(str(identity))
        (self.directory / "url").write_text(server.url)
        self._recipient = str(identity.to_public())
        self._s3 = RcloneS3(self.directory / "buckets", BUCKET) if bucket else None
        if self._s3 is not None:
            self._s3.start()
        self.limit_backups("1GB/s")
        server.sql("create table ledger (id bigint primary key, filler text)")
        self.write_rows(200)

    def limit_backups(self, rate: str) -> None:
        """How fast the server may send from now on."""
        (self.directory / STACK_FILE).write_text(self._stack_text(rate))
        self.installation = installed(self.directory)

    def give_away_identity(self) -> None:
        """From now on backups are only written here: the manifest of an earlier one can't be opened."""
        text = self._stack_text("1GB/s").replace(f", identity: 'file:{self.directory}/identity'", "")
        (self.directory / STACK_FILE).write_text(text)
        self.installation = installed(self.directory)

    def damage(self, backup: BackupManifest) -> None:
        """Flip one byte of its first part."""
        part = next((self.directory / "repository").rglob(f"{backup.label}/{backup.parts[0].name}"))
        content = bytearray(part.read_bytes())
        content[len(content) // 2] ^= 1
        part.chmod(0o600)
        part.write_bytes(content)

    def start(self, *words: str, state: str = "state", output: Path | None = None) -> subprocess.Popen[str]:
        """The command line, in a process of its own, with nobody at its terminal; ``output`` is to be read meanwhile."""
        options = ["--stack", str(self.directory / STACK_FILE), "--state", str(self.directory / state)]
        with nullcontext(subprocess.PIPE) if output is None else output.open("w") as out:
            return programs.start(*words, *options, stdout=out, stderr=subprocess.STDOUT, cwd="/")

    def call(self, *words: str, state: str = "state") -> tuple[int, str]:
        """The same to its end: its exit code and what it printed."""
        process = self.start(*words, state=state)
        printed, _ = process.communicate(timeout=120)
        return process.returncode, printed

    def wait_for_step(self, key: str, reached: Callable[[StepRecord], bool]) -> RunId:
        """Until this step of the newest run is so; returns the run."""

        def is_so() -> bool:
            newest = self.installation.records.runs(1)
            return bool(newest) and any(
                each.key == key and reached(each) for each in self.installation.records.steps(newest[0].run)
            )

        wait_until(is_so, f"{key} of the newest run")
        return self.installation.records.runs(1)[0].run

    def write_rows(self, count: int) -> None:
        first, last = self.rows + 1, self.rows + count
        self.server.sql(f"insert into ledger select n, repeat('x', 100) from generate_series({first}, {last}) n")  # noqa: S608
        self.rows += count

    def back_up(self, kind: BackupKind) -> None:
        view = back_up(self.installation, ORDERS, kind, SilentWatcher())
        assert view.succeeded, view

    def drill(self) -> RunView:
        return drill(self.installation, Scenario.DATABASE_CORRUPTION, (ORDERS,), Choice(), SilentWatcher())

    def fill(self) -> None:
        """Rows in a full backup, in an incremental one, in a complete segment of WAL, and in a tail that only the receiver has.

        Commits wait for the receiver from here on, so what is written last is in its spool.
        """
        self.back_up(BackupKind.FULL)
        self.server.sql("alter system set synchronous_standby_names = '*'")
        self.server.sql("select pg_reload_conf()")
        self.write_rows(300)
        self.back_up(BackupKind.INCREMENTAL)
        self.write_rows(400)
        self.server.sql("select pg_switch_wal()")
        self.write_rows(500)

    def ship(self) -> None:
        """What the control plane does all the time: everything in the spool into the repositories, with the tail."""
        server = self.installation.databases[ORDERS].facts()
        for name in self.installation.repository_names(ORDERS):
            repository = self.installation.repository(name)
            archive = repository.wal(ORDERS, server.system_identifier, server.segment_bytes)
            claim = repository.own_claim(self.installation.records.controller_id(), self.installation.clock)
            WalShipper(self.installation.receivers[ORDERS], archive, claim).ship_once()

    def write_unreceived(self) -> None:
        """Rows that only the server has, which goes on without a receiver."""
        self.server.sql("alter system set synchronous_standby_names = ''")
        self.server.sql("select pg_reload_conf()")
        self.installation.receivers[ORDERS].stop()
        self.write_rows(600)

    def destroy_server(self) -> None:
        self.server.kill_everything()
        self.server.destroy()

    # What is left

    def backups(self, repository: RepositoryName = NEAR) -> list[BackupManifest]:
        listing = self.installation.repository(repository).backups(ORDERS)
        assert listing.unusable == ()
        return list(listing.usable)

    def folders(self, repository: RepositoryName = NEAR) -> dict[str, set[str]]:
        """What lies in the folder of each backup, complete or not, by its label."""
        keys = [each.key.split("/") for each in self.installation.stores[repository].list("postgres/orders/")]
        found: dict[str, set[str]] = {}
        for _, _, _, kind, label, *name in keys:
            if kind == "backups":
                found.setdefault(label, set()).add("/".join(name))
        return found

    def assert_backups_whole(self, kinds: str, repository: RepositoryName = NEAR) -> None:
        """The backups are of these kinds (``FI``), each complete, and nothing else lies in their folders."""
        backups = self.backups(repository)
        assert "".join(each.label.text[-1] for each in backups) == kinds
        named = {each.label.text: {entry.name for entry in each.entries} | {"SHA256SUMS", "backup.json"} for each in backups}
        assert self.folders(repository) == named

    def receivers(self) -> list[int]:
        """The processes that fill this installation's spool."""
        spool = str(self.directory / "state" / "wal")
        return [pid for pid in _processes("pg_receivewal") if spool in Path(f"/proc/{pid}/cmdline").read_text(errors="replace")]

    def servers(self) -> list[int]:
        """The postmasters that work below this stage's directories; also in one that was removed under them."""
        mine = [pid for pid in _processes("postgres") if _works_below(pid, (self.directory, self.server.directory))]
        return [pid for pid in mine if (found := state_and_parent(pid)) is not None and found[1] not in mine]

    def assert_protected(self) -> None:
        """One server, one receiver that streams from one slot, no backup under way, every row there."""
        assert len(self.servers()) == 1
        assert len(self.receivers()) == 1
        # The server notices only after a moment that the process it sent a backup to was killed.
        wait_until(lambda: self.sql("select count(*) from pg_stat_replication") == 1, "one replication connection")
        assert self.sql("select count(*) from pg_stat_replication where state = 'streaming'") == 1
        assert self.sql("select count(*) from pg_replication_slots") == 1
        assert self.sql("select count(*) from ledger") == self.rows

    def sql(self, question: str) -> object:
        """One value, over TCP: also of a server that a recovery brought up."""
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            row = connection.execute(question.encode()).fetchone()
        return row[0] if row else None

    def leftovers(self) -> set[str]:
        """Names where sandboxes, sockets, staged WAL, and what was set aside or half removed would be."""
        drills = self.directory / "state" / "drills"
        found = {each.name for each in self.directory.iterdir()} - _OF_THE_STAGE
        found |= {each.name for each in drills.iterdir()} if drills.exists() else set()
        found |= {each.name for each in self.server.directory.iterdir()} - _OF_THE_SERVER
        found |= {str(each) for each in self.socket_directories() if each.exists()}
        return found

    def rows_set_aside(self) -> list[int]:
        """How many rows a server finds in each data directory that was set aside."""
        found = []
        for aside in self.server.directory.glob("data.before-*"):
            old = self.server.sibling()
            old.data = aside
            [(rows,)] = old.start().sql("select count(*) from ledger")
            old.stop()
            found.append(int(str(rows)))
        return found

    def socket_directories(self) -> set[Path]:
        """Those of every plan that was carried out here."""
        records = self.installation.records
        steps = [each["step"] for run in records.runs() for each in cast("list[JsonObject]", records.plan(run.run)["steps"])]
        places = [cast(JsonObject, cast(JsonObject, step)["place"]) for step in steps if "place" in cast(JsonObject, step)]
        return {Path(str(place["socket_directory"])) for place in places}

    def close(self) -> None:
        """End what only this stage started: its receiver, and servers that a recovery brought up. Then remove everything."""
        sockets = self.socket_directories()
        for pid in [*self.receivers(), *(pid for pid in self.servers() if pid != self.server.pid)]:
            kill_tree(pid)
        if self._s3 is not None:
            self._s3.stop()
        self.server.close()
        for directory in (self.directory, *sockets):
            shutil.rmtree(directory, ignore_errors=True)

    def _stack_text(self, rate: str) -> str:
        far = f"\n  far: {json.dumps(dict(s3_fields(self._s3, self.directory)))}" if self._s3 is not None else ""
        return f"""stack: stage
repositories:
  near: {{url: 'file://{self.directory}/repository'}}{far}
encryption: {{recipients: [{self._recipient}], identity: 'file:{self.directory}/identity'}}
resources:
  orders:
    kind: postgres
    url: file:{self.directory}/url
    wal: {{synchronous: true}}
    backup: {{part_size: 16MiB, max_rate: {rate}}}
    recover:
      directory: {self.server.data}
      port: {self.server.port}
      programs: {self.server.programs}
      socket_directory: {self.server.socket_directory}
    checks:
      - {{sql: 'select count(*) from ledger', at_least: 1}}
    {self._warm_copy}
"""  # noqa: S608


def _processes(name: str) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and alive(int(entry.name)):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if (entry / "comm").read_text().strip() == name:
                    yield int(entry.name)


def _works_below(pid: int, directories: tuple[Path, ...]) -> bool:
    try:
        where = str((Path("/proc") / str(pid) / "cwd").readlink())
    except OSError:
        return False
    return where.startswith(tuple(f"{each}/" for each in directories))
