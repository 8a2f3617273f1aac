"""Runs and steps in the form in which the chain records them: made of their rows, so that a row that was edited since differs."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from understudy.records.chain import ChainHead, ChainLink, read_head, read_links
from understudy.vocabulary.identifiers import RunId, StepKey
from understudy.vocabulary.json import Json, JsonObject

RUN_ENDED = StepKey("run-ended")
"""The key of the link that says how a run ended. No step bears it: a step's key begins with its resource and a slash."""

FINDING_OPENED = StepKey("finding-opened")
FINDING_CLOSED = StepKey("finding-closed")
OF_FINDINGS = frozenset({FINDING_OPENED, FINDING_CLOSED})
"""Keys of links that are about a finding, in whose ``run`` its name stands. What they say is shown from the chain itself."""


@dataclass(frozen=True, slots=True)
class ShownRun:
    """What the rows of a run, or the readable part of an export, say to whoever asks how it went."""

    run: JsonObject
    """With ``steps``, the step and state of each."""
    steps: Sequence[JsonObject]
    """In the plan's order."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """What was chained and what is shown, of one moment."""

    links: tuple[ChainLink, ...]
    head: ChainHead | None
    shown: Mapping[RunId, ShownRun]


def chained_step(row: sqlite3.Row) -> dict[str, Json]:
    agreed = row["approved_by"] is not None or row["approved"] is not None
    return {
        "run": row["run"],
        "step": row["step"],
        "state": row["state"],
        "attempts": row["attempts"],
        "started": row["started"],
        "ended": row["ended"],
        "evidence": _parsed(row["evidence"]),
        "error": _parsed(row["error"]),
        "asked": row["approval_question"],
        "approval": {"by": row["approved_by"], "at": row["approved"]} if agreed else None,
    }


def chained_run(row: sqlite3.Row, steps: Sequence[sqlite3.Row]) -> dict[str, Json]:
    """``steps``: its rows in the plan's order."""
    return {
        "run": row["run"],
        "plan": row["plan_id"],
        "plan_sha256": hashlib.sha256(str(row["plan"]).encode()).hexdigest(),
        "procedure": row["procedure"],
        "mode": row["mode"],
        "subject": row["subject"],
        "stack_digest": row["stack_digest"],
        "request": row["request"],
        "follows": row["follows"],
        "state": row["state"],
        "submitted": row["submitted"],
        "started": row["started"],
        "ended": row["ended"],
        "cancel_requested_by": row["cancel_requested_by"],
        "error": _parsed(row["error"]),
        "approved": [
            {"step": each["step"], "asked": each["approval_question"], "by": each["approved_by"], "at": each["approved"]}
            for each in steps
            if each["approved_by"] is not None
        ],
        "steps": [{"step": each["step"], "state": each["state"]} for each in steps],
    }


def read_ledger(connection: sqlite3.Connection) -> Ledger:
    steps: dict[str, list[sqlite3.Row]] = {}
    for row in connection.execute("SELECT * FROM steps ORDER BY run, ordinal"):
        steps.setdefault(row["run"], []).append(row)
    shown = {
        RunId(row["run"]): ShownRun(
            chained_run(row, steps.get(row["run"], [])), [chained_step(each) for each in steps.get(row["run"], [])]
        )
        for row in connection.execute("SELECT * FROM runs ORDER BY submitted, rowid")
    }
    return Ledger(read_links(connection), read_head(connection), shown)


def _parsed(text: str | None) -> Json:
    """What somebody wrote there who knows no JSON stays as it is: it is to be told, not to end who tells it."""
    try:
        return None if text is None else cast(Json, json.loads(text))
    except (ValueError, TypeError):
        return str(text)
