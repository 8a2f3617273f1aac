"""Holds: what a run may use alone, and what it shares. Taken in the transaction that submits the run, released when it ends."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from understudy.records.run import HoldClaim, RunState
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import RunId


def take_holds(connection: sqlite3.Connection, run: RunId, claims: Iterable[HoldClaim]) -> None:
    """Take every claim, or none of them: the caller's transaction ends with the refusal.

    Raises:
        Refusal: ``busy``, naming the run that holds the subject.
    """
    for claim in sorted(claims, key=lambda each: each.subject):
        _refuse_if_taken(connection, run, claim)
        connection.execute(
            # The same subject claimed both ways is claimed exclusively.
            """INSERT INTO holds (run, subject, exclusive) VALUES (?, ?, ?)
               ON CONFLICT (subject, run) DO UPDATE SET exclusive = max(exclusive, excluded.exclusive)""",
            (run, claim.subject, int(claim.exclusive)),
        )


def release_holds(connection: sqlite3.Connection, run: RunId) -> None:
    connection.execute("DELETE FROM holds WHERE run = ?", (run,))


def _refuse_if_taken(connection: sqlite3.Connection, run: RunId, claim: HoldClaim) -> None:
    holder = connection.execute(
        """SELECT runs.run, runs.procedure, runs.subject, runs.state, runs.submitted, holds.exclusive
           FROM holds JOIN runs USING (run)
           WHERE holds.subject = ? AND holds.run != ? AND (holds.exclusive = 1 OR ? = 1)
           ORDER BY runs.submitted LIMIT 1""",
        (claim.subject, run, int(claim.exclusive)),
    ).fetchone()
    if holder is None:
        return
    manner = "alone" if holder["exclusive"] else "with others"
    raise Refusal(
        "busy",
        found=f"run {holder['run']} ({holder['procedure']} of {holder['subject']}, {holder['state']}, submitted"
        f" {holder['submitted']}) uses {claim.subject} {manner}",
        expected=f"{claim.subject} free to be used {'alone' if claim.exclusive else 'with others'}",
        hint=_hint(RunId(holder["run"]), RunState(holder["state"])),
    )


def _hint(holder: RunId, state: RunState) -> str:
    if state is RunState.AWAITING_APPROVAL:
        return (
            f"it waits for a person, and nothing goes on without one: `understudy approve {holder}` or `understudy cancel "
            f"{holder}`; what it asks stands in `understudy show {holder}`"
        )
    return (
        "wait until it is done; if it was interrupted, or ended and is to be followed by another run, "
        f"`understudy resume {holder}` or `understudy cancel {holder}`"
    )
