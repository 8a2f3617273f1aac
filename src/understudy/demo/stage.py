"""What every act stands on: the demo's database and commands, and waiting for what they show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import cast

import psycopg

from understudy.adapters.clock.system import SystemClock
from understudy.demo.ledger import read_ledger
from understudy.demo.played import Played
from understudy.demo.servers import DemoPostgres
from understudy.demo.understudy_command import UnderstudyCommand
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.json import Json, JsonObject

_LONGEST_WAIT_SECONDS = 120.0
_LOOK_SECONDS = 0.1


class Stage:
    home: Path
    ledger: Path
    database: DemoPostgres
    command: UnderstudyCommand

    def __init__(self) -> None:
        self.clock = SystemClock()

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
        found = cast("JsonObject | None", resources[0]["exposure"])
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


def _first_error(answer: JsonObject) -> str:
    for step in cast("list[JsonObject]", answer["steps"]):
        error = cast("Mapping[str, Json] | None", step["error"])
        if error:
            return f"{step['key']}: {error['code']}: {error['found']}"
    return "no step says why"
