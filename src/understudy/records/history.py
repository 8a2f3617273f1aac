"""What is asked of all that was ever recorded, however much that is. Obtained from ``Records.history``."""

from __future__ import annotations

import json
from collections.abc import Collection
from contextlib import suppress
from typing import cast

from understudy.records.chained_form import RUN_ENDED
from understudy.records.rows import run_of, step_of, step_rows, successes_of
from understudy.records.run import RunRecord, RunState, StepRecord
from understudy.records.state_database import StateDatabase
from understudy.vocabulary.identifiers import RunId, StepKey
from understudy.vocabulary.json import JsonObject


class History:
    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    def newest(self, procedures: Collection[str], state: RunState, resource: str) -> RunRecord | None:
        """The last run about the resource that was submitted for one of these procedures and has ended so.

        A run of a scenario is about the resource that its steps name.
        """
        prefix = f"{resource}/"
        with self._database.reading() as connection:
            row = connection.execute(
                """SELECT * FROM runs WHERE procedure IN (SELECT value FROM json_each(?)) AND state = ? AND (subject = ? OR EXISTS
                   (SELECT 1 FROM steps WHERE steps.run = runs.run AND substr(steps.step, 1, ?) = ?))
                   ORDER BY rowid DESC LIMIT 1""",
                (_as_json(procedures), state, resource, len(prefix), prefix),
            ).fetchone()
        return None if row is None else run_of(row)

    def of(self, procedures: Collection[str], state: RunState | None = None, subject: str | None = None) -> tuple[RunId, ...]:
        """All runs of these procedures, newest first; with a state, those that are in it; with a subject, those about it."""
        with self._database.reading() as connection:
            rows = connection.execute(
                """SELECT run FROM runs WHERE procedure IN (SELECT value FROM json_each(?)) AND state = coalesce(?, state)
                   AND subject = coalesce(?, subject) ORDER BY rowid DESC""",
                (_as_json(procedures), state, subject),
            ).fetchall()
        return tuple(RunId(row["run"]) for row in rows)

    def end_of(self, run: RunId) -> tuple[JsonObject, str] | None:
        """What was chained with the end of the run, and that link's digest; None while it has not ended, or where it is no JSON.

        Not verified: that is for whoever reads the chain as a whole.
        """
        with self._database.reading() as connection:
            row = connection.execute("SELECT record, digest FROM chain WHERE run = ? AND step = ?", (run, RUN_ENDED)).fetchone()
        try:
            return None if row is None else (cast(JsonObject, json.loads(row["record"])), str(row["digest"]))
        except ValueError:
            return None

    def ends(self, procedures: Collection[str], newest: int) -> tuple[JsonObject, ...]:
        """What was chained with the end of the ``newest`` runs of these procedures: how each ended, and what it came to. Newest
        first.
        """
        with self._database.reading() as connection:
            rows = connection.execute(
                """SELECT chain.record FROM runs JOIN chain ON chain.run = runs.run AND chain.step = ?
                   WHERE runs.procedure IN (SELECT value FROM json_each(?)) ORDER BY runs.rowid DESC LIMIT ?""",
                (RUN_ENDED, _as_json(procedures), newest),
            ).fetchall()
        return tuple(json.loads(row["record"]) for row in rows)

    def measured(self, procedures: Collection[str], newest: int) -> tuple[tuple[JsonObject, tuple[StepRecord, ...]], ...]:
        """Of the newest runs of these procedures that succeeded, what was chained with their ends, and their steps that say how
        much was restored or replayed. Newest first.
        """
        with self._database.reading() as connection:
            rows = connection.execute(
                """SELECT runs.run, chain.record FROM runs JOIN chain ON chain.run = runs.run AND chain.step = ?
                   WHERE procedure IN (SELECT value FROM json_each(?)) AND state = ? ORDER BY runs.rowid DESC LIMIT ?""",
                (RUN_ENDED, _as_json(procedures), RunState.SUCCEEDED, newest),
            ).fetchall()
            found = []
            for row in rows:
                with suppress(
                    ValueError, KeyError, TypeError
                ):  # somebody edited it: `evidence verify` tells, and the rest counts
                    end = cast(JsonObject, json.loads(row["record"]))
                    steps = [step_of(each) for each in step_rows(connection, RunId(row["run"])) if _tells_amount(each["step"])]
                    found.append((end, tuple(steps)))
            return tuple(found)

    def successes(self, step: StepKey) -> tuple[StepRecord, ...]:
        """Of all runs, each step of this key that succeeded, newest first."""
        with self._database.reading() as connection:
            return tuple(step_of(row) for row in successes_of(connection, step))


def _tells_amount(step: str) -> bool:
    return step.partition("/")[2] in ("restore-base-backup", "replay-wal", "restore-snapshot")


def _as_json(values: Collection[str]) -> str:
    return json.dumps(list(values))
