"""What happens in the demo, act by act."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import cast

import psycopg

from understudy.adapters.clock.system import SystemClock
from understudy.app.installation import Installation
from understudy.demo.home import copy_directory, end_servers, evidence_file, make_home
from understudy.demo.kept import keep_demo
from understudy.demo.ledger import MAKE_TABLE, TABLE, Commit, Loss, measure_loss, read_ledger
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
from understudy.demo.understudy_command import UnderstudyCommand, revealed
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import ResourceName
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.secret import Secret

WRITERS = 8
COMMITS_BEFORE_THE_INCREMENTAL = 2_000
COMMITS_BEFORE_THE_DISASTER = 6_000
SCALE = 10
_LONGEST_WAIT_SECONDS = 120.0
_LOOK_SECONDS = 0.1
_WRITERS_END_SECONDS = 30.0
_INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Tell = Callable[[str], None]


@dataclass(slots=True)
class Played:
    """What a play came to; each figure is measured."""

    synchronous: bool
    acknowledged: int = 0
    recovered: int = 0
    loss: Loss = Loss(0, timedelta())  # noqa: RUF009 - frozen
    processes_killed: int = 0
    exposure_seconds: list[float] = field(default_factory=list)
    recovery: JsonObject = field(default_factory=dict)
    point_in_time: JsonObject = field(default_factory=dict)
    prices_back: int = 0
    """In the sandbox."""
    prices_live: int = 0
    """In the database, at the end."""

    @property
    def loss_objective(self) -> timedelta:
        """The stack file's recovery point objective of the scenario."""
        objectives = cast(JsonObject, cast(JsonObject, self.recovery["measured"])["objectives"])
        return timedelta(seconds=cast(float, objectives["rpo"]))

    @property
    def loss_met(self) -> bool:
        return self.loss.is_within(self.loss_objective, synchronous=self.synchronous)

    @property
    def prices_met(self) -> bool:
        return bool(self.point_in_time.get("met")) and self.prices_back == self.prices_live == PRICES

    @property
    def objectives_met(self) -> bool:
        return bool(self.recovery.get("met")) and self.loss_met and self.prices_met


class Demo:
    """A context manager over everything that was started; leaving it leaves nothing behind unless it is told to ``keep``."""

    home: Path
    database: DemoPostgres

    def __init__(self, *, synchronous: bool, tell: Tell) -> None:
        self._synchronous = synchronous
        self._tell = tell
        self._clock = SystemClock()
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
        self._ledger = self.home / "ledger"
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
        self._command = UnderstudyCommand(self.stack_file, self.secrets)
        self._tell(f"filling it: pgbench, scale {SCALE}, and {PRICES} prices")
        self._connect_when_up()
        self.database.fill(SCALE)
        self._sql(
            MAKE_TABLE,
            "CREATE TABLE prices (item int PRIMARY KEY, price numeric NOT NULL)",
            f"INSERT INTO prices SELECT item, item * 1.25 FROM generate_series(1, {PRICES}) item",  # noqa: S608
        )
        self.can_be_kept = True

    def _protect(self) -> None:
        self._tell("understudy serve: WAL streams into the spool, and from there into both repositories")
        self._undo.callback(self._stop_protection)
        self._command.start_serving(self.home / "serve.log")
        self._wait_for("the WAL stream", self._streams)
        if self._synchronous:
            self._sql("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
            self._wait_for("synchronous commits", self._is_synchronous)
        self._tell("understudy backup: a full one, into the directory and into S3")
        self._command.answer("backup", RESOURCE, "--full")

    def _write_and_watch(self, outcome: Played) -> None:
        mode = "synchronously" if self._synchronous else "asynchronously"
        self._tell(f"{WRITERS} writers commit {mode} and keep a ledger of every acknowledgement")
        self._ledger.mkdir()
        self._writers = subprocess.Popen(
            [sys.executable, "-m", "understudy.demo.workload", str(self._ledger), str(WRITERS)],
            env={**revealed(self.secrets), "PATH": "/usr/bin:/bin"},
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us: we end them
        )
        self._undo.callback(self._writers.wait)
        self._undo.callback(self._writers.kill)
        self._wait_for_commits(COMMITS_BEFORE_THE_INCREMENTAL)
        self._tell("understudy backup: an incremental one, under load")
        self._command.answer("backup", RESOURCE, "--incremental")
        self._wait_for("an exposure to show", self._exposure)
        self._wait_for_commits(COMMITS_BEFORE_THE_DISASTER, lambda: self._note_exposure(outcome))
        shown = max(outcome.exposure_seconds, default=0.0)
        self._tell(f"exposure if this machine vanished now, as understudy status shows it: up to {shown:.1f} s seen")

    def _destroy(self, outcome: Played) -> datetime:
        """When. Asynchronously with the disk of the receiver: behind a server that only dies, its spool has nearly all."""
        disaster = self._clock.now()
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
        outcome.recovery = self._command.answer("recover", "database_corruption", "--yes", "--report", str(report), may_fail=True)
        self._require_success(outcome.recovery)
        acknowledged = read_ledger(self._ledger)
        rows = self._sql(f"SELECT writer, entry FROM {TABLE}")  # noqa: S608
        found = {Commit(int(str(writer)), int(str(entry))) for writer, entry in rows}
        outcome.acknowledged, outcome.recovered = len(acknowledged), len(acknowledged.keys() & found)
        outcome.loss = measure_loss(acknowledged, found, disaster)

    def _drop_a_table_and_drill(self, outcome: Played) -> None:
        moment = self._server_time()
        self._sql("DROP TABLE prices")
        self._tell(f"second act: DROP TABLE prices, by mistake, just after {moment.isoformat(timespec='seconds')}")
        self._wait_for("the mistake to be in the repository", self._nothing_exposed)
        self._tell("understudy drill data_loss --time …: a sandbox as of just before")
        outcome.point_in_time = self._command.answer("drill", "data_loss", "--time", moment.isoformat(), may_fail=True)
        self._require_success(outcome.point_in_time)
        outcome.prices_back = _check_answer(outcome.point_in_time)
        self._tell("understudy restore --time …: a copy as of then; the table goes back from it by pg_dump and psql")
        self._command.answer("restore", RESOURCE, "--to", str(copy_directory(self.home)), "--time", moment.isoformat())
        self.database.fetch_table("prices", self._wait_for)
        outcome.prices_live = int(str(self._sql("SELECT count(*) FROM prices")[0][0]))
        self._wait_for("the table to be in the repositories", self._nothing_exposed)

    # What the acts are made of

    def _require_success(self, answer: JsonObject) -> None:
        run = cast(JsonObject, answer["run"])
        if run["state"] == "succeeded":
            return
        raise GiveUp(
            "demo_run_failed",
            found=f"{run['procedure']} {run['subject']}: {_first_error(answer)}",
            expected="that it succeeds",
            hint=f"try understudy demo --keep, which leaves everything standing, then: understudy show {run['run']}",
        )

    def _connect_when_up(self) -> None:
        self._wait_for("the server", self._is_up)

    def _is_up(self) -> bool:
        try:
            self._sql("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _sql(self, *statements: str) -> list[tuple[object, ...]]:
        with self.database.connect() as connection:
            rows: list[tuple[object, ...]] = []
            for statement in statements:
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
            return rows

    def _server_time(self) -> datetime:
        return cast(datetime, self._sql("SELECT clock_timestamp()")[0][0])

    def _streams(self) -> bool:
        if not self._command.serving:
            raise GiveUp("demo_command_failed", found=(self.home / "serve.log").read_text()[-1500:], expected="that serve runs",
                         hint="this is a defect of Understudy or an odd machine: please report it with this message")  # fmt: skip
        return bool(self._sql("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"))

    def _is_synchronous(self) -> bool:
        return bool(self._sql("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"))

    def _exposure(self) -> bool:
        return self._overall_exposure() is not None

    def _note_exposure(self, outcome: Played) -> None:
        overall = self._overall_exposure()
        if overall is not None:
            outcome.exposure_seconds.append(cast(float, overall["seconds"]))

    def _nothing_exposed(self) -> bool:
        overall = self._overall_exposure()
        return overall is not None and overall["size_bytes"] == 0

    def _overall_exposure(self) -> JsonObject | None:
        resources = cast("list[JsonObject]", self._command.answer("status")["resources"])
        found = cast("JsonObject | None", resources[0]["exposure"])
        return found if found is not None and found["known"] else None

    def _wait_for_commits(self, count: int, meanwhile: Callable[[], None] = lambda: None) -> None:
        def reached() -> bool:
            meanwhile()
            return len(read_ledger(self._ledger)) >= count

        self._wait_for(f"{count} commits", reached)

    def _wait_for(self, what: str, reached: Callable[[], bool]) -> None:
        deadline = self._clock.monotonic_seconds() + _LONGEST_WAIT_SECONDS
        while not reached():
            if self._clock.monotonic_seconds() > deadline:
                raise GiveUp("demo_too_slow", found=f"{what} did not come within {_LONGEST_WAIT_SECONDS:.0f} s", expected=what,
                             hint=f"see {self.home}/serve.log; on a very busy machine, try again")  # fmt: skip
            self._clock.wait(_LOOK_SECONDS)

    def _stop_protection(self) -> None:
        self._command.stop_serving()
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


def _first_error(answer: JsonObject) -> str:
    for step in cast("list[JsonObject]", answer["steps"]):
        error = cast("Mapping[str, Json] | None", step["error"])
        if error:
            return f"{step['key']}: {error['code']}: {error['found']}"
    return "no step says why"
