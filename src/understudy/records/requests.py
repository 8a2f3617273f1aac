"""Requests: what somebody asked for, and the runs that it led to, one after another.

While a request is open it keeps the holds of its last run, so that nobody gets between that run and the next one.
"""

from __future__ import annotations

import json
import sqlite3

from understudy.ports.clock import Clock
from understudy.records.evidence_json import error_to_json
from understudy.records.holds import release_holds
from understudy.records.rows import request_of, require_run, run_of
from understudy.records.run import RecordedError, RequestRecord, RunRecord, RunState, Submission
from understudy.records.state_database import StateDatabase
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import Person, RunId

ALREADY_FOLLOWED = "already_followed"


class Requests:
    """The requests of one state directory. Obtained from ``Records.requests``."""

    def __init__(self, database: StateDatabase, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def of(self, run: RunId) -> RequestRecord | None:
        """The request that the run belongs to; None for a run that stands alone. Raises Refusal ``run_unknown``."""
        with self._database.reading() as connection:
            record = run_of(require_run(connection, run))
            return None if record.request is None else _request(connection, record.request)

    def open(self) -> tuple[RequestRecord, ...]:
        """Those after whose last run something may come still, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT request FROM requests WHERE ended IS NULL ORDER BY rowid").fetchall()
            return tuple(_request(connection, RunId(row["request"])) for row in rows)

    def put_off(self, request: RunId, last: RunId, error: RecordedError) -> None:
        """Nothing can come after ``last`` yet. Nothing happens when the request has ended, or gone on meanwhile."""
        with self._database.writing() as connection:
            record = _request(connection, request)
            if record.ended is None and record.runs[-1] == last:
                connection.execute("UPDATE requests SET error = ? WHERE request = ?", (_error_text(error), request))

    def end(self, request: RunId, last: RunId, error: RecordedError | None = None) -> None:
        """Nothing comes after ``last``. Nothing happens when the request has ended, or another run followed meanwhile."""
        with self._database.writing() as connection:
            record = _request(connection, request)
            if record.ended is None and record.runs[-1] == last:
                end_request(connection, request, last, self._clock.now().isoformat(), error)


def join_request(connection: sqlite3.Connection, submission: Submission, now: str) -> RunId | None:
    """The request that a new run belongs to: begun with it, or gone on with. The run takes over what the one before it held.

    Raises:
        Refusal: ``already_followed``: the request has ended, or goes on with another run.
    """
    if submission.asked is None:
        return None
    asked = json.dumps(submission.asked, ensure_ascii=False)
    if submission.follows is None:
        connection.execute("INSERT INTO requests (request, asked, submitted) VALUES (?, ?, ?)", (submission.run, asked, now))
        return submission.run
    before = run_of(require_run(connection, submission.follows))
    request = None if before.request is None else _request(connection, before.request)
    if request is None or request.ended is not None or request.runs[-1] != before.run or not before.state.is_final:
        raise Refusal(
            ALREADY_FOLLOWED,
            found=f"the request of {before.run} has ended or gone on: {', '.join(request.runs) if request else before.run}",
            expected="an open request whose last run has ended",
            hint=f"understudy show {before.run}",
        )
    connection.execute("UPDATE requests SET asked = ?, error = NULL WHERE request = ?", (asked, request.request))
    release_holds(connection, before.run)
    return request.request


def settle_request(connection: sqlite3.Connection, run: RunRecord, state: RunState, now: str) -> None:
    """The run ends so. Only after a failure something may follow; until that is decided, what it held stays held.

    Who asked for the end of a run asked for the end of its request, also where the run failed by itself before it could stop.
    """
    if run.request is None:
        release_holds(connection, run.run)
    elif state is not RunState.FAILED:
        end_request(connection, run.request, run.run, now)
    elif run.cancel_requested_by is not None:
        end_request(connection, run.request, run.run, now, asked_to_end(run.cancel_requested_by))


def asked_to_end(by: Person) -> RecordedError:
    return RecordedError("cancelled", f"{by} asked for its end")


def is_awaited(connection: sqlite3.Connection, run: RunRecord) -> bool:
    """Whether the run has ended and its open request has not gone on yet."""
    if run.request is None or not run.state.is_final:
        return False
    request = _request(connection, run.request)
    return request.ended is None and request.runs[-1] == run.run


def end_request(
    connection: sqlite3.Connection, request: RunId, last: RunId, now: str, error: RecordedError | None = None
) -> None:
    text = None if error is None else _error_text(error)
    connection.execute("UPDATE requests SET ended = ?, error = ? WHERE request = ?", (now, text, request))
    release_holds(connection, last)


def _error_text(error: RecordedError) -> str:
    return json.dumps(error_to_json(error), ensure_ascii=False)


def _request(connection: sqlite3.Connection, request: RunId) -> RequestRecord:
    row = connection.execute("SELECT * FROM requests WHERE request = ?", (request,)).fetchone()
    runs = connection.execute("SELECT run FROM runs WHERE request = ? ORDER BY rowid", (request,)).fetchall()
    return request_of(row, tuple(RunId(each["run"]) for each in runs))
