"""Rows of the state database as the values that people and judges read."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime
from typing import cast

from understudy.records.evidence_json import error_from_json, evidence_from_json
from understudy.records.run import (
    ApprovalRecord,
    HoldClaim,
    ProgressRecord,
    RecordedError,
    RequestRecord,
    RunRecord,
    RunState,
    StepConclusion,
    StepRecord,
    StepState,
)
from understudy.records.state_database import StateDatabase
from understudy.vocabulary.errors import Refusal, TryAgain
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import Person, PlanId, RunId, StepKey
from understudy.vocabulary.json import JsonObject

_WITH_PROGRESS = """SELECT steps.*, progress.activity, progress.done, progress.total, progress.unit, progress.at
    FROM steps LEFT JOIN progress USING (run, step)"""
_STEPS = f"{_WITH_PROGRESS} WHERE steps.run = ?"


def require_run(connection: sqlite3.Connection, run: RunId) -> sqlite3.Row:
    row: sqlite3.Row | None = connection.execute("SELECT * FROM runs WHERE run = ?", (run,)).fetchone()
    if row is None:
        raise Refusal(
            "run_unknown",
            found=f"no run is called {run}",
            expected="a run of this state directory",
            hint="`understudy runs` lists them",
        )
    return row


def require_step(connection: sqlite3.Connection, run: RunId, step: StepKey) -> sqlite3.Row:
    row: sqlite3.Row | None = connection.execute(f"{_STEPS} AND steps.step = ?", (run, step)).fetchone()
    if row is None:
        raise Refusal(
            "step_unknown",
            found=f"{run} has no step {step}",
            expected="a step of that run",
            hint=f"`understudy show {run}` lists its steps",
        )
    return row


def step_rows(connection: sqlite3.Connection, run: RunId) -> list[sqlite3.Row]:
    return connection.execute(f"{_STEPS} ORDER BY steps.ordinal", (run,)).fetchall()


def successes_of(connection: sqlite3.Connection, step: StepKey, newest: int = -1) -> sqlite3.Cursor:
    """The ``newest`` rows (else all) of steps of this key that succeeded, the last first: in the order of the chain, since clocks
    are set back.
    """
    found = f"""{_WITH_PROGRESS} LEFT JOIN chain ON chain.run = steps.run AND chain.step = steps.step
        WHERE steps.step = ? AND steps.state = ? ORDER BY chain.sequence DESC, steps.rowid DESC LIMIT ?"""
    return connection.execute(found, (step, StepState.SUCCEEDED, newest))


def newest_success_of(database: StateDatabase, step: StepKey) -> StepRecord | None:
    """
    Raises:
        TryAgain: ``state_unreadable``.
    """
    try:
        with database.reading() as connection:
            row = successes_of(connection, step, 1).fetchone()
    except sqlite3.Error as error:
        raise TryAgain(
            "state_unreadable",
            found=f"{database.path}: {error}",
            expected="a state database that can be read",
            hint=f"look at the disk that it is on: df {database.path}",
        ) from error
    return None if row is None else step_of(row)


def run_of(row: sqlite3.Row) -> RunRecord:
    asked = row["cancel_requested_by"]
    return RunRecord(
        run=RunId(row["run"]),
        plan_id=PlanId(row["plan_id"]),
        procedure=row["procedure"],
        mode=row["mode"],
        subject=row["subject"],
        stack_digest=row["stack_digest"],
        state=RunState(row["state"]),
        executor=row["executor"],
        submitted=datetime.fromisoformat(row["submitted"]),
        started=time_of(row["started"]),
        ended=time_of(row["ended"]),
        cancel_requested_by=None if asked is None else Person(asked),
        error=_error_of(row),
        request=None if row["request"] is None else RunId(row["request"]),
        follows=None if row["follows"] is None else RunId(row["follows"]),
    )


def request_of(row: sqlite3.Row, runs: tuple[RunId, ...]) -> RequestRecord:
    return RequestRecord(
        request=RunId(row["request"]),
        asked=cast(JsonObject, json.loads(row["asked"])),
        runs=runs,
        submitted=datetime.fromisoformat(row["submitted"]),
        ended=time_of(row["ended"]),
        error=_error_of(row),
    )


def step_of(row: sqlite3.Row) -> StepRecord:
    return StepRecord(
        run=RunId(row["run"]),
        key=StepKey(row["step"]),
        state=StepState(row["state"]),
        attempts=row["attempts"],
        started=time_of(row["started"]),
        ended=time_of(row["ended"]),
        again_at=time_of(row["again_at"]),
        evidence=_evidence_of(row),
        error=_error_of(row),
        approval_question=row["approval_question"],
        approval=approval_of(row),
        progress=_progress_of(row),
        held_up_since=time_of(row["held_up_since"]),
    )


def conclusion_of(row: sqlite3.Row) -> StepConclusion | None:
    """How the step ended, or None while it has not."""
    state = StepState(row["state"])
    evidence = _evidence_of(row)
    if not state.is_final or evidence is None:
        return None
    return StepConclusion(state, evidence, _error_of(row))


def approval_of(row: sqlite3.Row) -> ApprovalRecord | None:
    if row["approved_by"] is None:
        return None
    return ApprovalRecord(Person(row["approved_by"]), datetime.fromisoformat(row["approved"]))


def hold_of(row: sqlite3.Row) -> HoldClaim:
    return HoldClaim(row["subject"], bool(row["exclusive"]))


def time_of(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _evidence_of(row: sqlite3.Row) -> Evidence | None:
    return None if row["evidence"] is None else evidence_from_json(json.loads(row["evidence"]))


def _error_of(row: sqlite3.Row) -> RecordedError | None:
    return None if row["error"] is None else error_from_json(json.loads(row["error"]))


def _progress_of(row: sqlite3.Row) -> ProgressRecord | None:
    if row["activity"] is None:
        return None
    return ProgressRecord(row["activity"], row["done"], row["total"], row["unit"], datetime.fromisoformat(row["at"]))
