"""The newest of what the control plane sees, by subject and kind; replaced each time, and never evidence."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime

from understudy.records.run import Observation
from understudy.vocabulary.json import JsonObject


def note_observation(connection: sqlite3.Connection, subject: str, kind: str, value: JsonObject, now: str) -> None:
    connection.execute(
        "INSERT INTO observations (subject, kind, value, at) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (subject, kind) DO UPDATE SET value = excluded.value, at = excluded.at",
        (subject, kind, json.dumps(value, ensure_ascii=False), now),
    )


def read_observation(connection: sqlite3.Connection, subject: str, kind: str) -> Observation | None:
    row = connection.execute("SELECT value, at FROM observations WHERE subject = ? AND kind = ?", (subject, kind)).fetchone()
    return None if row is None else Observation(json.loads(row["value"]), datetime.fromisoformat(row["at"]))
