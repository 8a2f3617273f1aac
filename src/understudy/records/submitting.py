"""A new run with its steps and holds, into the tables."""

from __future__ import annotations

import json
import sqlite3

from understudy.records.holds import take_holds
from understudy.records.run import RunState, StepState, Submission
from understudy.vocabulary.identifiers import RunId, StepKey
from understudy.vocabulary.json import JsonObject


def reword_question(connection: sqlite3.Connection, run: RunId, plan: JsonObject, step: StepKey, question: str) -> None:
    """Nothing happens where somebody has agreed meanwhile, or the step has begun or ended."""
    asking = connection.execute(
        """UPDATE steps SET approval_question = ?
           WHERE run = ? AND step = ? AND approved_by IS NULL AND attempts = 0 AND ended IS NULL""",
        (question, run, step),
    )
    if asking.rowcount:
        connection.execute("UPDATE runs SET plan = ? WHERE run = ?", (json.dumps(plan, ensure_ascii=False), run))


def insert_run(connection: sqlite3.Connection, submission: Submission, request: RunId | None, now: str) -> None:
    """Raises Refusal ``busy``; the caller's transaction ends with it."""
    connection.execute(
        """INSERT INTO runs (run, plan_id, plan, procedure, mode, subject, stack_digest, state, executor, submitted,
           request, follows) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            submission.run,
            submission.plan_id,
            json.dumps(submission.plan, ensure_ascii=False),
            submission.procedure,
            submission.mode,
            submission.subject,
            submission.stack_digest,
            RunState.WAITING,
            submission.executor,
            now,
            request,
            submission.follows,
        ),
    )
    take_holds(connection, submission.run, submission.holds)
    for ordinal, step in enumerate(submission.steps):
        agreed = submission.approved_by if step.approval_question else None
        connection.execute(
            """INSERT INTO steps (run, step, ordinal, state, approval_question, approved_by, approved)
               VALUES (?, ?, ?, ?, ?, ?, ?)""",
            (
                submission.run,
                step.key,
                ordinal,
                StepState.WAITING,
                step.approval_question,
                agreed,
                now if agreed else None,
            ),
        )
