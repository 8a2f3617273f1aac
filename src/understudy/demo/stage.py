"""What every act stands on: the demo's database and commands, and waiting for what they show."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Set
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import cast

import psycopg

from understudy.adapters.clock.system import SystemClock
from understudy.demo.ledger import TABLE, Commit, read_ledger
from understudy.demo.played import Played
from understudy.demo.servers import DemoPostgres, DemoS3
from understudy.demo.stack_file import RESOURCE, DemoKeys
from understudy.demo.understudy_command import UnderstudyCommand, revealed
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.secret import Secret

_WRITERS_END_SECONDS = 30.0
_LONGEST_WAIT_SECONDS = 120.0
_LOOK_SECONDS = 0.1

Tell = Callable[[str], None]


class Stage:
    home: Path
    ledger: Path
    ledger_of_everything: Path
    """Of the third act: also documents and images, from the first one on."""
    secrets: Mapping[str, Secret]
    keys: DemoKeys
    stack_file: Path
    database: DemoPostgres
    command: UnderstudyCommand
    tell: Tell
    reports: Path
    """The directory of evidence and pages, which outlives the demo."""
    images: DemoS3
    far: DemoS3
    """The repository that outlives every disaster."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.undo = ExitStack()
        """What ends and removes all of it, the last first."""
        self.can_be_kept = False
        """Whether there is a stack that somebody could look at and end by its stack file."""
        self._writers: subprocess.Popen[bytes] | None = None

    def require_success(self, answer: JsonObject) -> None:
        run = cast(JsonObject, answer["run"])
        if run["state"] == "succeeded":
            return
        raise GiveUp(
            "demo_run_failed",
            found=f"{run['procedure']} {run['subject']}: {_first_error(answer)}",
            expected="that it succeeds",
            hint=f"try understudy demo --keep, which leaves everything standing, then: understudy show {run['run']}",
        )

    def start_writers(self, ledger: Path, count: int, *shelves: str) -> None:
        self._writers = subprocess.Popen(
            [sys.executable, "-m", "understudy.demo.workload", str(ledger), str(count), *shelves],
            env={**revealed(self.secrets), "PATH": "/usr/bin:/bin"},
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us: we end them
        )
        self.undo.callback(self._writers.wait)
        self.undo.callback(self._writers.kill)

    def end_writers(self) -> None:
        """They end by themselves once nothing is left to write to."""
        if self._writers is not None:
            self._writers.wait(_WRITERS_END_SECONDS)

    def back_up(self, *names: str) -> None:
        """What ``serve`` is backing up at this moment, because it is due, is backed up once more."""
        for name in names:
            self.wait_for(f"a backup of {name}", partial(self.command.backed_up, name))

    def connect_when_up(self) -> None:
        self.wait_for("the server", self.is_up)

    def is_up(self) -> bool:
        try:
            self.sql("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def sql(self, *statements: str) -> list[tuple[object, ...]]:
        with self.database.connect() as connection:
            rows: list[tuple[object, ...]] = []
            for statement in statements:
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
            return rows

    def rows(self) -> Set[Commit]:
        """Of the writers, as they stand in the database."""
        found = self.sql(f"SELECT writer, entry FROM {TABLE}")  # noqa: S608
        return {Commit(int(str(writer)), int(str(entry))) for writer, entry in found}

    def server_time(self) -> datetime:
        return cast(datetime, self.sql("SELECT clock_timestamp()")[0][0])

    def streams(self) -> bool:
        if not self.command.serving:
            raise GiveUp("demo_command_failed", found=(self.home / "serve.log").read_text()[-1500:], expected="that serve runs",
                         hint="this is a defect of Understudy or an odd machine: please report it with this message")  # fmt: skip
        return bool(self.sql("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"))

    def is_synchronous(self) -> bool:
        return bool(self.sql("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"))

    def exposure(self) -> bool:
        return self.overall_exposure() is not None

    def note_exposure(self, outcome: Played) -> None:
        overall = self.overall_exposure()
        if overall is not None:
            outcome.exposure_seconds.append(cast(float, overall["seconds"]))

    def nothing_exposed(self) -> bool:
        overall = self.overall_exposure()
        return overall is not None and overall["size_bytes"] == 0

    def overall_exposure(self) -> JsonObject | None:
        resources = cast("list[JsonObject]", self.command.answer("status")["resources"])
        [shop] = [each for each in resources if each["resource"] == RESOURCE]
        found = cast("JsonObject | None", shop["exposure"])
        return found if found is not None and found["known"] else None

    def wait_for_commits(self, count: int, meanwhile: Callable[[], None] = lambda: None) -> None:
        def reached() -> bool:
            meanwhile()
            return len(read_ledger(self.ledger)) >= count

        self.wait_for(f"{count} commits", reached)

    def wait_for(self, what: str, reached: Callable[[], bool]) -> None:
        deadline = self.clock.monotonic_seconds() + _LONGEST_WAIT_SECONDS
        while not reached():
            if self.clock.monotonic_seconds() > deadline:
                raise GiveUp("demo_too_slow", found=f"{what} did not come within {_LONGEST_WAIT_SECONDS:.0f} s", expected=what,
                             hint=f"see {self.home}/serve.log; on a very busy machine, try again")  # fmt: skip
            self.clock.wait(_LOOK_SECONDS)

    def write_page(self, answer: JsonObject, act: str) -> str:
        """To read and to hand on, beside the evidence."""
        page = self.reports / f"{act}.html"
        self.command.answer("evidence", "report", str(cast(JsonObject, answer["run"])["run"]), "--to", str(page))
        return str(page)


def _first_error(answer: JsonObject) -> str:
    for step in cast("list[JsonObject]", answer["steps"]):
        error = cast("Mapping[str, Json] | None", step["error"])
        if error:
            return f"{step['key']}: {error['code']}: {error['found']}"
    return "no step says why"
