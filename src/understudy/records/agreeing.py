"""A person's agreement to what a step asks. It holds for the question that they saw, and for no other."""

from __future__ import annotations

import sqlite3

from understudy.records.rows import require_step
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import Person, RunId, StepKey

QUESTION_CHANGED = "question_changed"


def agree(connection: sqlite3.Connection, run: RunId, step: StepKey, question: str, by: Person, now: str) -> None:
    """The first agreement counts; nothing happens where somebody has agreed already, or the step has ended.

    Raises:
        Refusal: ``nothing_to_approve``, ``question_changed``, ``step_unknown``.
    """
    asked = require_step(connection, run, step)["approval_question"]
    if asked is None:
        raise Refusal(
            "nothing_to_approve",
            found=f"{step} of {run} asks nobody",
            expected="a step that asks for approval",
            hint=f"`understudy show {run}` says which step waits",
        )
    if asked != question:
        raise Refusal(
            QUESTION_CHANGED,
            found=f"{step} of {run} asks by now: {asked}",
            expected=f"what was agreed to: {question}",
            hint=f"nobody has agreed to that: `understudy approve {run}` does, `understudy cancel {run}` ends the run",
        )
    connection.execute(
        """UPDATE steps SET approved_by = ?, approved = ?
           WHERE run = ? AND step = ? AND approved_by IS NULL AND ended IS NULL""",
        (by, now, run, step),
    )
