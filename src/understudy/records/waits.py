"""Why a step waits: kept with the step, overwritten at each try, and gone once it goes on or has ended."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime

from understudy.records.evidence_json import error_to_json
from understudy.records.run import RecordedError
from understudy.vocabulary.identifiers import RunId, StepKey


def note_wait(
    connection: sqlite3.Connection, run: RunId, step: StepKey, again_at: datetime, error: RecordedError, now: str
) -> None:
    """It began with the first fault, although a store that is away may be told by another code at each try."""
    connection.execute(
        """UPDATE steps SET again_at = ?, error = ?, held_up_since = coalesce(held_up_since, ?)
           WHERE run = ? AND step = ? AND ended IS NULL""",
        (again_at.isoformat(), json.dumps(error_to_json(error), ensure_ascii=False), now, run, step),
    )


def forget_wait(connection: sqlite3.Connection, run: RunId, step: StepKey) -> None:
    connection.execute(
        """UPDATE steps SET again_at = NULL, error = NULL, held_up_since = NULL
           WHERE run = ? AND step = ? AND ended IS NULL AND held_up_since IS NOT NULL""",
        (run, step),
    )
