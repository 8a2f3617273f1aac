"""What happens in the demo, act by act."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from types import FrameType
from typing import cast

from understudy.app.installation import Installation
from understudy.demo.everything_lost import EverythingLost
from understudy.demo.home import copy_directory, documents_directory, end_servers, make_home, report_directory
from understudy.demo.kept import keep_demo
from understudy.demo.ledger import MAKE_TABLE, compare, read_ledger
from understudy.demo.played import Played
from understudy.demo.servers import DemoPostgres, DemoS3
from understudy.demo.shelves import DOCUMENTS_LEDGER, IMAGES_LEDGER, Documents, fill
from understudy.demo.stack_file import (
    ACCESS_VARIABLE,
    DOCUMENTS,
    IMAGES,
    IMAGES_ACCESS_VARIABLE,
    IMAGES_SECRET_VARIABLE,
    PRICES,
    RESOURCE,
    SECRET_VARIABLE,
    STACK_FILE,
    URL_VARIABLE,
    make_keys,
    stack_text,
)
from understudy.demo.stage import Tell
from understudy.demo.understudy_command import UnderstudyCommand, revealed
from understudy.vocabulary.identifiers import ResourceName
from understudy.vocabulary.json import JsonObject
from understudy.vocabulary.secret import Secret

FIRST_ACT, SECOND_ACT = "1-database-corruption", "2-data-loss"
WRITERS = 8
COMMITS_BEFORE_THE_INCREMENTAL = 2_000
COMMITS_BEFORE_THE_DISASTER = 6_000
SCALE = 10
SHELVED = 200
_INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Demo(EverythingLost):
    """A context manager over everything that was started; leaving it leaves nothing behind unless it is told to ``keep``."""

    def __init__(self, *, synchronous: bool, tell: Tell) -> None:
        super().__init__()
        self._synchronous = synchronous
        self.tell = tell
        self._interruptible = True
        self._handled_before: dict[signal.Signals, Callable[[int, FrameType | None], object] | int] = {}

    def __enter__(self) -> Demo:
        for number in _INTERRUPTIONS:
            before = signal.getsignal(number)
            if before is not signal.SIG_IGN:  # as nohup has it, so that the end of a terminal ends nothing
                signal.signal(number, self._interrupt)
                self._handled_before[number] = before or signal.SIG_DFL
        self.home = make_home()
        self.undo.callback(lambda: shutil.rmtree(self.home))
        self.stack_file = self.home / STACK_FILE
        self.ledger, self.ledger_of_everything = self.home / "ledger", self.home / "ledger-of-everything"
        for ledger in (self.ledger, self.ledger_of_everything):
            ledger.mkdir()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._interruptible = False
        if kind is KeyboardInterrupt:
            self.tell("interrupted: stopping and cleaning up")
        try:
            self.undo.close()
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
        keep_demo(self.home, self.secrets, [self.far.pid, self.images.pid])
        self.undo.pop_all()

    def go_on(self) -> None:
        """After the play: the new host protects what it has recovered."""
        self.tell("understudy serve: protected again")
        self._serve()

    def play(self) -> Played:
        outcome = Played(self._synchronous)
        self._set_the_stage()
        self._protect()
        self.reports = report_directory(self.clock.now())
        self.first_act(outcome)
        self.second_act(outcome)
        self.third_act(outcome)
        return outcome

    # The acts

    def _set_the_stage(self) -> None:
        self.tell("starting PostgreSQL 18 and two S3 servers: one with a bucket to lose, one to keep a repository")
        self.database = DemoPostgres(self.home)
        self.undo.callback(lambda: end_servers(self.home, self.database.instances))
        self.database.create()
        self.images, self.far = DemoS3(self.home, "s3-images", "images"), DemoS3(self.home, "s3-far", "recovery")
        for server in (self.images, self.far):
            self.undo.callback(server.stop)
            server.start()
        self.keys = make_keys(self.home, self.far, self.clock.now())
        self.stack_file.write_text(
            stack_text(self.home, self.database, self.far, self.images, self.keys, synchronous=self._synchronous)
        )
        self.secrets: Mapping[str, Secret] = {
            URL_VARIABLE: self.database.conninfo,
            ACCESS_VARIABLE: Secret(self.far.access_key),
            SECRET_VARIABLE: self.far.secret_key,
            IMAGES_ACCESS_VARIABLE: Secret(self.images.access_key),
            IMAGES_SECRET_VARIABLE: self.images.secret_key,
        }
        os.environ.update(revealed(self.secrets))  # what the stack file's references point to
        self.command = UnderstudyCommand(self.stack_file, self.secrets)
        self._fill()
        self.can_be_kept = True

    def _fill(self) -> None:
        self.tell(f"filling them: pgbench, scale {SCALE}, {PRICES} prices; {SHELVED} documents, {SHELVED} images")
        self.connect_when_up()
        self.database.fill(SCALE)
        self.sql(
            MAKE_TABLE,
            "CREATE TABLE prices (item int PRIMARY KEY, price numeric NOT NULL)",
            f"INSERT INTO prices SELECT item, item * 1.25 FROM generate_series(1, {PRICES}) item",  # noqa: S608
        )
        documents = documents_directory(self.home)
        documents.mkdir()
        fill(Documents(documents), self.ledger_of_everything / DOCUMENTS_LEDGER, 1, SHELVED)
        fill(self.images.objects(), self.ledger_of_everything / IMAGES_LEDGER, 1, SHELVED)

    def _protect(self) -> None:
        self.tell("understudy backup: of directory and bucket, into a repository near in a directory and one far in S3")
        self.back_up(DOCUMENTS, IMAGES)
        self.tell("understudy serve: WAL streams into the spool, and from there into both repositories")
        self.undo.callback(self._stop_protection)
        self._serve()
        if self._synchronous:
            self.sql("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
            self.wait_for("synchronous commits", self.is_synchronous)
        self.tell("understudy backup: a full one of the database")
        self.command.answer("backup", RESOURCE, "--full")

    def _serve(self) -> None:
        self.command.start_serving(self.home / "serve.log")
        self.wait_for("the WAL stream", self.streams)

    def first_act(self, outcome: Played) -> None:
        self._write_and_watch(outcome)
        disaster = self._destroy(outcome)
        self._recover(outcome, disaster)

    def _write_and_watch(self, outcome: Played) -> None:
        mode = "synchronously" if self._synchronous else "asynchronously"
        self.tell(f"{WRITERS} writers commit {mode} and keep a ledger of every acknowledgement")
        self.start_writers(self.ledger, WRITERS)
        self.wait_for_commits(COMMITS_BEFORE_THE_INCREMENTAL)
        self.tell("understudy backup: an incremental one, under load")
        self.command.answer("backup", RESOURCE, "--incremental")
        self.wait_for("an exposure to show", self.exposure)
        self.wait_for_commits(COMMITS_BEFORE_THE_DISASTER, lambda: self.note_exposure(outcome))
        shown = max(outcome.exposure_seconds, default=0.0)
        self.tell(f"exposure if this machine vanished now, as understudy status shows it: up to {shown:.1f} s seen")

    def _destroy(self, outcome: Played) -> datetime:
        """When. Asynchronously with the disk of the receiver: behind a server that only dies, its spool has nearly all."""
        disaster = self.clock.now()
        outcome.processes_killed = self.database.kill_every_process()
        fate = "server processes; data directory removed"
        if not self._synchronous:
            self._destroy_receiver()
            fate = "server processes and to the WAL receiver; data directory and spool removed"
        self.database.remove_data_directory()
        self.tell(f"DISASTER: SIGKILL to all {outcome.processes_killed} {fate}")
        self.end_writers()
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
        self.tell("understudy recover database_corruption")
        report = self.reports / f"{FIRST_ACT}.json"
        outcome.recovery = self.command.answer("recover", "database_corruption", "--yes", "--report", str(report), may_fail=True)
        self.require_success(outcome.recovery)
        outcome.signers.append(self.keys.signer)
        outcome.pages.append(self.write_page(outcome.recovery, FIRST_ACT))
        acknowledged, found = read_ledger(self.ledger), self.rows()
        outcome.commits = compare(acknowledged, found, disaster)
        self.kept_rows = {commit: at for commit, at in acknowledged.items() if commit in found}

    def second_act(self, outcome: Played) -> None:
        moment = self.server_time()
        self.sql("DROP TABLE prices")
        self.tell(f"second act: DROP TABLE prices, by mistake, just after {moment.isoformat(timespec='seconds')}")
        self.wait_for("the mistake to be in the repository", self.nothing_exposed)
        self.tell("understudy drill data_loss --time …: a sandbox as of just before")
        outcome.point_in_time = self.command.answer("drill", "data_loss", "--time", moment.isoformat(), may_fail=True)
        self.require_success(outcome.point_in_time)
        outcome.pages.append(self.write_page(outcome.point_in_time, SECOND_ACT))
        outcome.prices_back = _check_answer(outcome.point_in_time)
        self.tell("understudy restore --time …: a copy as of then; the table goes back from it by pg_dump and psql")
        self.command.answer("restore", RESOURCE, "--to", str(copy_directory(self.home)), "--time", moment.isoformat())
        self.database.fetch_table("prices", self.wait_for)
        outcome.prices_live = int(str(self.sql("SELECT count(*) FROM prices")[0][0]))
        self.wait_for("the table to be in the repositories", self.nothing_exposed)

    # What the acts are made of

    def _stop_protection(self) -> None:
        self.command.stop_serving()
        if not self.stack_file.exists():  # it is lost, and with it all that was left to stop
            return
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
