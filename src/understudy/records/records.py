"""What is remembered of runs. Every other room reads a run's state here and nowhere else."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import cast

from understudy.ports.clock import Clock
from understudy.records.agreeing import agree
from understudy.records.chain import ChainHead, ChainLink, EvidenceSigner, read_head, read_links
from understudy.records.chained_form import Ledger, read_ledger
from understudy.records.concluding import conclude, end_run
from understudy.records.controller_lock import controller_pid
from understudy.records.filing import Filing
from understudy.records.findings import Findings
from understudy.records.history import History
from understudy.records.observations import note_observation, read_observation
from understudy.records.readings import RecordedReadings
from understudy.records.requests import Requests, asked_to_end, end_request, is_awaited, join_request
from understudy.records.rows import (
    approval_of,
    conclusion_of,
    hold_of,
    newest_success_of,
    require_run,
    require_step,
    run_of,
    step_of,
    step_rows,
)
from understudy.records.run import (
    ApprovalRecord,
    HoldClaim,
    Observation,
    RecordedError,
    RunRecord,
    RunState,
    StepConclusion,
    StepRecord,
    StepState,
    Submission,
)
from understudy.records.state_database import StateDatabase
from understudy.records.submitting import insert_run, reword_question
from understudy.records.waits import forget_wait, note_wait
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import Person, RunId, StepKey
from understudy.vocabulary.json import JsonObject

_UNFINISHED = (RunState.WAITING, RunState.RUNNING, RunState.AWAITING_APPROVAL)


class Records:
    """Runs, steps, holds, approvals and the evidence chain of one state directory.

    Threads may share it; processes open their own. Whatever a method wrote is durable when it returns.
    """

    def __init__(self, state: Path, clock: Clock, signer: EvidenceSigner | None = None, copy: Path | None = None) -> None:
        """``signer`` signs the chain's head and is needed where runs are carried out; ``copy`` is read instead of ``state``."""
        self.state = state
        self._clock = clock
        self._signer = signer
        self._database = StateDatabase((copy or state) / "state.db")
        self.requests = Requests(self._database, clock)
        self.filing = Filing(self._database, clock)
        self.history = History(self._database)
        self.readings = RecordedReadings(self._database, clock)
        self.findings = Findings(self._database, clock, signer)

    def close(self) -> None:
        self._database.close()

    def controller_id(self) -> str:
        """This state directory's own random name: whose chain it is, and who claims a repository."""
        with self._database.reading() as connection:
            return str(connection.execute("SELECT id FROM controller").fetchone()["id"])

    # Submitting and owning

    def submit(self, submission: Submission) -> None:
        """Remember the run, with the request that it belongs to, and take its holds, in one transaction.

        Raises:
            Refusal: ``busy``, naming the run that holds what this one needs; ``already_followed``. Nothing is written then.
        """
        now = self._now()
        with self._database.writing() as connection:
            request = join_request(connection, submission, now)
            insert_run(connection, submission, request, now)

    def take_over(self, run: RunId, executor: str) -> None:
        """From now on ``executor`` carries the run out.

        Raises:
            Refusal: ``run_ended``; ``run_unknown``.
        """
        with self._database.writing() as connection:
            _require_unended(connection, run)
            connection.execute(
                "UPDATE runs SET executor = ?, state = ?, started = coalesce(started, ?) WHERE run = ?",
                (executor, RunState.RUNNING, self._now(), run),
            )

    def handed_over(self) -> tuple[RunId, ...]:
        """Runs that another process submitted for the controller to carry out, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT run FROM runs WHERE state = ? AND executor IS NULL ORDER BY rowid", (RunState.WAITING,)
            ).fetchall()
        return tuple(RunId(row["run"]) for row in rows)

    def mark_interrupted(self, executor: str) -> tuple[RunId, ...]:
        """Say of every run that a dead executor left behind that it is interrupted; all of them, oldest first.

        Only the holder of the controller's lock calls this: it knows that every executor but ``executor`` is dead.
        """
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE runs SET state = ? WHERE state IN (?, ?, ?) AND executor IS NOT NULL AND executor != ?",
                (RunState.INTERRUPTED, *_UNFINISHED, executor),
            )
            rows = connection.execute("SELECT run FROM runs WHERE state = ? ORDER BY rowid", (RunState.INTERRUPTED,)).fetchall()
        return tuple(RunId(row["run"]) for row in rows)

    def finish(self, run: RunId, state: RunState, error: RecordedError | None = None, report: JsonObject | None = None) -> None:
        """Record and chain how the run ended, and release its holds, unless its request may go on. Twice is the same as once.

        ``report``: what it came to as a whole; chained with its end.
        """
        if not state.is_final:
            raise ValueError(f"a run does not end as {state}")
        with self._database.writing() as connection:
            record = run_of(require_run(connection, run))
            if not record.state.is_final:
                end_run(connection, record, state, self._clock.now(), self._signer, error, report)

    # What people ask for

    def request_cancel(self, run: RunId, by: Person) -> None:
        """Ask for the end of the run; its executor notices within moments. A run that nobody took up ends at once.

        After a run that has ended nothing follows any more, where its request would have gone on.

        Raises:
            Refusal: ``run_ended``; ``run_unknown``.
        """
        now = self._now()
        with self._database.writing() as connection:
            record = run_of(require_run(connection, run))
            if record.request is not None and is_awaited(connection, record):
                end_request(connection, record.request, run, now, asked_to_end(by))
                return
            _require_unended(connection, run)
            connection.execute(
                "UPDATE runs SET cancel_requested_by = ?, cancel_requested = ? WHERE run = ? AND cancel_requested_by IS NULL",
                (by, now, run),
            )
            if record.state is RunState.WAITING and record.executor is None:
                connection.execute("UPDATE steps SET state = ?, ended = ? WHERE run = ?", (StepState.CANCELLED, now, run))
                end_run(connection, record, RunState.CANCELLED, self._clock.now(), self._signer)

    def cancel_requested(self, runs: Collection[RunId]) -> frozenset[RunId]:
        """Those of ``runs`` that were asked to stop."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT run FROM runs WHERE cancel_requested_by IS NOT NULL AND ended IS NULL").fetchall()
        return frozenset(RunId(row["run"]) for row in rows) & frozenset(runs)

    def approve(self, run: RunId, step: StepKey, by: Person, question: str) -> None:
        """Agree to ``question``, which is what the step asks. The first approval counts; repeating it changes nothing.

        Raises:
            Refusal: ``question_changed``: it asks something else by now; ``nothing_to_approve``, ``run_ended``, ``run_unknown``,
                ``step_unknown``.
        """
        with self._database.writing() as connection:
            _require_unended(connection, run)
            agree(connection, run, step, question, by, self._now())

    def ask_anew(self, run: RunId, plan: JsonObject, step: StepKey, question: str) -> None:
        """Exchange what the step asks, and the plan that says so; nobody has agreed to it and nothing was begun."""
        with self._database.writing() as connection:
            reword_question(connection, run, plan, step, question)

    def approval(self, run: RunId, step: StepKey) -> ApprovalRecord | None:
        with self._database.reading() as connection:
            return approval_of(require_step(connection, run, step))

    # Steps under way

    def begin_step(self, run: RunId, step: StepKey) -> None:
        """The step is running, once more."""
        with self._database.writing() as connection:
            connection.execute(
                """UPDATE steps SET state = ?, attempts = attempts + 1, started = coalesce(started, ?), again_at = NULL
                   WHERE run = ? AND step = ?""",
                (StepState.RUNNING, self._now(), run, step),
            )
            _follow_steps(connection, run)

    def await_approval(self, run: RunId, step: StepKey) -> None:
        with self._database.writing() as connection:
            connection.execute("UPDATE steps SET state = ? WHERE run = ? AND step = ?", (StepState.AWAITING_APPROVAL, run, step))
            _follow_steps(connection, run)

    def postpone_step(self, run: RunId, step: StepKey, again_at: datetime, error: RecordedError) -> None:
        """A passing fault: the step, or what it waits for, is tried again at ``again_at``, also where another process must do it.

        Overwrites what was said of an earlier try; when the first of them was stays.
        """
        with self._database.writing() as connection:
            note_wait(connection, run, step, again_at, error, self._now())

    def go_on_with_step(self, run: RunId, step: StepKey) -> None:
        """What it was waiting for is over."""
        with self._database.writing() as connection:
            forget_wait(connection, run, step)

    def conclude_step(self, run: RunId, step: StepKey, conclusion: StepConclusion) -> StepConclusion:
        """Record how the step ended and chain its evidence, in one transaction, once for each (run, step).

        Returns what counts: the first conclusion, when the step had ended already.
        """
        with self._database.writing() as connection:
            earlier = conclusion_of(require_step(connection, run, step))
            if earlier is not None:
                return earlier
            conclude(connection, run, step, conclusion, self._clock.now(), self._signer)
            _follow_steps(connection, run)
        return conclusion

    def conclusion(self, run: RunId, step: StepKey) -> StepConclusion | None:
        with self._database.reading() as connection:
            return conclusion_of(require_step(connection, run, step))

    def concluded(self, run: RunId) -> Mapping[StepKey, StepConclusion]:
        """The steps that have ended, by key."""
        with self._database.reading() as connection:
            found = {StepKey(row["step"]): conclusion_of(row) for row in step_rows(connection, run)}
        return {key: each for key, each in found.items() if each is not None}

    def report_progress(self, run: RunId, step: StepKey, activity: str, done: int, total: int | None, unit: str) -> None:
        """Overwrites what was reported before; lossy."""
        with self._database.writing() as connection:
            connection.execute(
                """INSERT INTO progress (run, step, activity, done, total, unit, at) VALUES (?, ?, ?, ?, ?, ?, ?)
                   ON CONFLICT (run, step) DO UPDATE SET activity = excluded.activity, done = excluded.done,
                   total = excluded.total, unit = excluded.unit, at = excluded.at""",
                (run, step, activity, done, total, unit, self._now()),
            )

    # Reading

    def run(self, run: RunId) -> RunRecord:
        """Raises Refusal ``run_unknown``."""
        with self._database.reading() as connection:
            record = run_of(require_run(connection, run))
        return self._as_seen((record,))[0]

    def runs(self, newest: int = 50) -> tuple[RunRecord, ...]:
        """The ``newest`` runs, newest first."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM runs ORDER BY rowid DESC LIMIT ?", (newest,)).fetchall()
        return self._as_seen(tuple(run_of(row) for row in rows))

    def unended(self) -> tuple[RunRecord, ...]:
        """Every run that has not ended, newest first."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM runs WHERE ended IS NULL ORDER BY rowid DESC").fetchall()
        return self._as_seen(tuple(run_of(row) for row in rows))

    def steps(self, run: RunId) -> tuple[StepRecord, ...]:
        """In the plan's order."""
        with self._database.reading() as connection:
            require_run(connection, run)
            return tuple(step_of(row) for row in step_rows(connection, run))

    def step(self, run: RunId, step: StepKey) -> StepRecord:
        with self._database.reading() as connection:
            return step_of(require_step(connection, run, step))

    def plan(self, run: RunId) -> JsonObject:
        """The plan's JSON form as it was submitted."""
        with self._database.reading() as connection:
            return cast(JsonObject, json.loads(require_run(connection, run)["plan"]))

    def observe(self, subject: str, kind: str, value: JsonObject) -> None:
        """The newest of what the control plane sees, for ``status``. Replaces what was seen before; never evidence."""
        with self._database.writing() as connection:
            note_observation(connection, subject, kind, value, self._now())

    def observe_if_possible(self, subject: str, kind: str, value: JsonObject) -> bool:
        """As ``observe``, for who must go on although the state database can't be written; whether it was."""
        try:
            self.observe(subject, kind, value)
        except sqlite3.Error:
            return False
        return True

    def is_writable(self) -> bool:
        """Whether the state database takes a write now: tried with what stands there already."""
        try:
            with self._database.writing() as connection:
                connection.execute("UPDATE controller SET id = id")
        except sqlite3.Error:
            return False
        return True

    def observed(self, subject: str, kind: str) -> Observation | None:
        with self._database.reading() as connection:
            return read_observation(connection, subject, kind)

    def newest_success(self, step: StepKey) -> StepRecord | None:
        """Of all runs, the step of this key that succeeded last.

        Raises:
            TryAgain: ``state_unreadable``.
        """
        return newest_success_of(self._database, step)

    def holds(self) -> tuple[tuple[RunId, HoldClaim], ...]:
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM holds ORDER BY subject, run").fetchall()
        return tuple((RunId(row["run"]), hold_of(row)) for row in rows)

    def ledger(self) -> Ledger:
        """Everything that was chained, and what is shown of runs and steps; of one moment."""
        with self._database.reading() as connection:
            return read_ledger(connection)

    def chain(self) -> tuple[tuple[ChainLink, ...], ChainHead | None]:
        """Every link in order, and the signed head; of one moment."""
        with self._database.reading() as connection:
            return read_links(connection), read_head(connection)

    def _as_seen(self, records: tuple[RunRecord, ...]) -> tuple[RunRecord, ...]:
        """Without a living controller, what an executor left unfinished is interrupted, whatever it last wrote."""
        left = [each for each in records if each.state in _UNFINISHED and each.executor is not None]
        if not left or controller_pid(self.state) is not None:
            return records
        return tuple(replace(each, state=RunState.INTERRUPTED) if each in left else each for each in records)

    def _now(self) -> str:
        return self._clock.now().isoformat()


def _require_unended(connection: sqlite3.Connection, run: RunId) -> RunRecord:
    record = run_of(require_run(connection, run))
    require_unended(record)
    return record


def require_unended(run: RunRecord) -> None:
    """Raises Refusal ``run_ended``."""
    if run.state.is_final:
        raise Refusal(
            "run_ended",
            found=f"{run.run} has ended: {run.state}",
            expected="a run that is under way or interrupted",
            hint=f"how it ended: understudy show {run.run}; those that are under way: understudy runs",
        )


def _follow_steps(connection: sqlite3.Connection, run: RunId) -> None:
    """A run awaits approval while one of its steps does and none is at work."""
    states = {row["state"] for row in connection.execute("SELECT state FROM steps WHERE run = ?", (run,))}
    waits = StepState.AWAITING_APPROVAL in states and StepState.RUNNING not in states
    connection.execute(
        "UPDATE runs SET state = ? WHERE run = ? AND ended IS NULL",
        (RunState.AWAITING_APPROVAL if waits else RunState.RUNNING, run),
    )
