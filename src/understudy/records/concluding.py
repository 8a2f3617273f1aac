"""How steps and runs end: the row, and the link of the chain that says the same, in the caller's transaction."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime

from understudy import __version__
from understudy.records.chain import EvidenceSigner, append_link
from understudy.records.chained_form import RUN_ENDED, chained_run, chained_step
from understudy.records.evidence_json import error_to_json, evidence_to_json
from understudy.records.requests import settle_request
from understudy.records.rows import require_run, require_step, step_rows
from understudy.records.run import RecordedError, RunRecord, RunState, StepConclusion
from understudy.vocabulary.identifiers import RunId, StepKey
from understudy.vocabulary.json import JsonObject


def conclude(
    connection: sqlite3.Connection,
    run: RunId,
    step: StepKey,
    conclusion: StepConclusion,
    now: datetime,
    signer: EvidenceSigner | None,
) -> None:
    """For a step that has not ended."""
    connection.execute(
        """UPDATE steps SET state = ?, ended = ?, again_at = NULL, held_up_since = NULL, evidence = ?, error = ?
           WHERE run = ? AND step = ?""",
        (
            conclusion.state,
            now.isoformat(),
            json.dumps(evidence_to_json(conclusion.evidence), ensure_ascii=False),
            _error_text(conclusion.error),
            run,
            step,
        ),
    )
    connection.execute("DELETE FROM progress WHERE run = ? AND step = ?", (run, step))
    record = {**chained_step(require_step(connection, run, step)), "understudy_version": __version__}
    append_link(connection, run, step, record, now, signer)


def end_run(
    connection: sqlite3.Connection,
    run: RunRecord,
    state: RunState,
    now: datetime,
    signer: EvidenceSigner | None,
    error: RecordedError | None = None,
    report: JsonObject | None = None,
) -> None:
    """For a run that has not ended.

    Args:
        report: What the run came to as a whole; it enters the link beside what the run's row says, and stands nowhere else.
    """
    connection.execute(
        "UPDATE runs SET state = ?, ended = ?, error = ? WHERE run = ?", (state, now.isoformat(), _error_text(error), run.run)
    )
    settle_request(connection, run, state, now.isoformat())
    record = {
        **(report or {}),
        **chained_run(require_run(connection, run.run), step_rows(connection, run.run)),
        "step": RUN_ENDED,
        "understudy_version": __version__,
    }
    append_link(connection, run.run, RUN_ENDED, record, now, signer)


def _error_text(error: RecordedError | None) -> str | None:
    return None if error is None else json.dumps(error_to_json(error), ensure_ascii=False)
