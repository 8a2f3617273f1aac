"""What happens in the demo, act by act."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import cast

from understudy.app.installation import Installation
from understudy.demo.home import copy_directory, end_servers, evidence_file, make_home
from understudy.demo.kept import keep_demo
from understudy.demo.ledger import MAKE_TABLE, TABLE, Commit, measure_loss, read_ledger
from understudy.demo.played import Played
from understudy.demo.servers import DemoPostgres, DemoS3
from understudy.demo.stack_file import (
    ACCESS_VARIABLE,
    PRICES,
    RESOURCE,
    SECRET_VARIABLE,
    STACK_FILE,
    URL_VARIABLE,
    make_keys,
    stack_text,
)
from understudy.demo.stage import Stage
from understudy.demo.understudy_command import UnderstudyCommand, revealed
from understudy.vocabulary.identifiers import ResourceName
from understudy.vocabulary.json import JsonObject
from understudy.vocabulary.secret import Secret

WRITERS = 8
COMMITS_BEFORE_THE_INCREMENTAL = 2_000
COMMITS_BEFORE_THE_DISASTER = 6_000
SCALE = 10
_WRITERS_END_SECONDS = 30.0
_INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Tell = Callable[[str], None]


class Demo(Stage):
    """A context manager over everything that was started; leaving it leaves nothing behind unless it is told to ``keep``."""

    def __init__(self, *, synchronous: bool, tell: Tell) -> None:
        super().__init__()
        self._synchronous = synchronous
        self._tell = tell
        self._writers: subprocess.Popen[bytes] | None = None
        self._interruptible = True
        self._handled_before: dict[signal.Signals, Callable[[int, FrameType | None], object] | int] = {}
        self.can_be_kept = False
        self._undo = ExitStack()

    def __enter__(self) -> Demo:
        for number in _INTERRUPTIONS:
            before = signal.getsignal(number)
            if before is not signal.SIG_IGN:  # as nohup has it, so that the end of a terminal ends nothing
                signal.signal(number, self._interrupt)
                self._handled_before[number] = before or signal.SIG_DFL
        self.home = make_home()
        self._undo.callback(lambda: shutil.rmtree(self.home))
        self.stack_file = self.home / STACK_FILE
        self.ledger = self.home / "ledger"
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._interruptible = False
        if kind is KeyboardInterrupt:
            self._tell("interrupted: stopping and cleaning up")
        try:
            self._undo.close()
        finally:
            for number, before in self._handled_before.items():
                signal.signal(number, before)

    def _interrupt(self, *_: object) -> None:
        """Once, and not while it is cleaned up: whoever is impatient then would leave servers behind."""
        if self._interruptible:
            self._interruptible = False
            raise KeyboardInterrupt

    def keep(self) -> None:
        """Leave everything running, with what a terminal needs to join in: the secrets that the stack file refers to."""
        keep_demo(self.home, self.secrets, self._s3.pid)
        self._undo.pop_all()

    def play(self) -> Played:
        outcome = Played(self._synchronous)
        self._set_the_stage()
        self._protect()
        self._write_and_watch(outcome)
        disaster = self._destroy(outcome)
        self._recover(outcome, disaster)
        self._drop_a_table_and_drill(outcome)
        return outcome

    # The acts

    def _set_the_stage(self) -> None:
        self._tell("starting PostgreSQL 18 and an S3 server")
        self.database = DemoPostgres(self.home)
        self._undo.callback(lambda: end_servers(self.home, self.database.instances))
        self.database.create()
        self._s3 = DemoS3(self.home)
        self._undo.callback(self._s3.stop)
        self._s3.start()
        keys = make_keys(self.home)
        self.signer = keys.signer
        self.stack_file.write_text(stack_text(self.home, self.database, self._s3, keys, synchronous=self._synchronous))
        self.secrets: Mapping[str, Secret] = {
            URL_VARIABLE: self.database.conninfo,
            ACCESS_VARIABLE: Secret(self._s3.access_key),
            SECRET_VARIABLE: self._s3.secret_key,
        }
        os.environ.update(revealed(self.secrets))  # what the stack file's references point to
        self.command = UnderstudyCommand(self.stack_file, self.secrets)
        self._tell(f"filling it: pgbench, scale {SCALE}, and {PRICES} prices")
        self.connect_when_up()
        self.database.fill(SCALE)
        self.sql(
            MAKE_TABLE,
            "CREATE TABLE prices (item int PRIMARY KEY, price numeric NOT NULL)",
            f"INSERT INTO prices SELECT item, item * 1.25 FROM generate_series(1, {PRICES}) item",  # noqa: S608
        )
        self.can_be_kept = True

    def _protect(self) -> None:
        self._tell("understudy serve: WAL streams into the spool, and from there into both repositories")
        self._undo.callback(self._stop_protection)
        self.command.start_serving(self.home / "serve.log")
        self.wait_for("the WAL stream", self.streams)
        if self._synchronous:
            self.sql("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
            self.wait_for("synchronous commits", self.is_synchronous)
        self._tell("understudy backup: a full one, into the directory and into S3")
        self.command.answer("backup", RESOURCE, "--full")

    def _write_and_watch(self, outcome: Played) -> None:
        mode = "synchronously" if self._synchronous else "asynchronously"
        self._tell(f"{WRITERS} writers commit {mode} and keep a ledger of every acknowledgement")
        self.ledger.mkdir()
        self._writers = subprocess.Popen(
            [sys.executable, "-m", "understudy.demo.workload", str(self.ledger), str(WRITERS)],
            env={**revealed(self.secrets), "PATH": "/usr/bin:/bin"},
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us: we end them
        )
        self._undo.callback(self._writers.wait)
        self._undo.callback(self._writers.kill)
        self.wait_for_commits(COMMITS_BEFORE_THE_INCREMENTAL)
        self._tell("understudy backup: an incremental one, under load")
        self.command.answer("backup", RESOURCE, "--incremental")
        self.wait_for("an exposure to show", self.exposure)
        self.wait_for_commits(COMMITS_BEFORE_THE_DISASTER, lambda: self.note_exposure(outcome))
        shown = max(outcome.exposure_seconds, default=0.0)
        self._tell(f"exposure if this machine vanished now, as understudy status shows it: up to {shown:.1f} s seen")

    def _destroy(self, outcome: Played) -> datetime:
        """When. Asynchronously with the disk of the receiver: behind a server that only dies, its spool has nearly all."""
        disaster = self.clock.now()
        outcome.processes_killed = self.database.kill_every_process()
        fate = "server processes; data directory removed"
        if not self._synchronous:
            self._destroy_receiver()
            fate = "server processes and to the WAL receiver; data directory and spool removed"
        self.database.remove_data_directory()
        self._tell(f"DISASTER: SIGKILL to all {outcome.processes_killed} {fate}")
        if self._writers is not None:
            self._writers.wait(_WRITERS_END_SECONDS)
        return disaster

    def _destroy_receiver(self) -> None:
        pid = self._installation().receivers[ResourceName(RESOURCE)].facts().pid
        lost = self.home / "lost-spool"
        (self.home / "state" / "wal" / RESOURCE).rename(lost)  # all of it at once
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(lost)

    def _recover(self, outcome: Played, disaster: datetime) -> None:
        self._tell("understudy recover database_corruption")
        report = evidence_file(disaster)
        outcome.recovery = self.command.answer("recover", "database_corruption", "--yes", "--report", str(report), may_fail=True)
        self.require_success(outcome.recovery)
        outcome.page = self._write_page(outcome.recovery, report.with_suffix(".html"))
        acknowledged = read_ledger(self.ledger)
        rows = self.sql(f"SELECT writer, entry FROM {TABLE}")  # noqa: S608
        found = {Commit(int(str(writer)), int(str(entry))) for writer, entry in rows}
        outcome.acknowledged, outcome.recovered = len(acknowledged), len(acknowledged.keys() & found)
        outcome.loss = measure_loss(acknowledged, found, disaster)

    def _write_page(self, answer: JsonObject, page: Path) -> str:
        """To read and to hand on, beside the evidence: it outlives the demo as well."""
        run = str(cast(JsonObject, answer["run"])["run"])
        self._tell("understudy evidence report: the same as a page")
        self.command.answer("evidence", "report", run, "--to", str(page))
        return str(page)

    def _drop_a_table_and_drill(self, outcome: Played) -> None:
        moment = self.server_time()
        self.sql("DROP TABLE prices")
        self._tell(f"second act: DROP TABLE prices, by mistake, just after {moment.isoformat(timespec='seconds')}")
        self.wait_for("the mistake to be in the repository", self.nothing_exposed)
        self._tell("understudy drill data_loss --time …: a sandbox as of just before")
        outcome.point_in_time = self.command.answer("drill", "data_loss", "--time", moment.isoformat(), may_fail=True)
        self.require_success(outcome.point_in_time)
        outcome.prices_back = _check_answer(outcome.point_in_time)
        self._tell("understudy restore --time …: a copy as of then; the table goes back from it by pg_dump and psql")
        self.command.answer("restore", RESOURCE, "--to", str(copy_directory(self.home)), "--time", moment.isoformat())
        self.database.fetch_table("prices", self.wait_for)
        outcome.prices_live = int(str(self.sql("SELECT count(*) FROM prices")[0][0]))
        self.wait_for("the table to be in the repositories", self.nothing_exposed)

    # What the acts are made of

    def _stop_protection(self) -> None:
        self.command.stop_serving()
        self._installation().receivers[ResourceName(RESOURCE)].stop()

    def _installation(self) -> Installation:
        return Installation.open(self.stack_file)


def _check_answer(drill: JsonObject) -> int:
    """How many prices the drill's check counted in the sandbox."""
    for step in cast("list[JsonObject]", drill["steps"]):
        if str(step["key"]).endswith("/verify-database") and step["evidence"]:
            proof = cast(JsonObject, cast(JsonObject, step["evidence"])["proof"])
            checks = cast("list[JsonObject]", proof["checks"])
            return int(str(checks[0]["answer"]))
    return 0
