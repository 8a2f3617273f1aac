"""Findings: what a drill, a recovery or a person found wanting, with its owner and its date, until it was tested again.

They stand in the chain of evidence and nowhere else, opened by one link and closed by another, so that none is edited or taken
away unseen. Obtained from ``Records.findings``.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import date, datetime
from typing import cast

from understudy import __version__
from understudy.ports.clock import Clock
from understudy.records.chain import EvidenceSigner, append_link
from understudy.records.chained_form import FINDING_CLOSED, FINDING_OPENED
from understudy.records.state_database import StateDatabase
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import Person, RunId
from understudy.vocabulary.json import JsonObject

_PREFIX = "finding-"
_BEHIND = "finding."
"""What sorts behind every finding: the character after the hyphen."""


@dataclass(frozen=True, slots=True)
class Closing:
    at: datetime
    by: Person
    retest: RunId | None
    """The run that showed that it is mended; None where a person gave a reason instead."""
    reason: str


@dataclass(frozen=True, slots=True)
class FindingRecord:
    finding: str
    """``finding-0001``, in the order in which they were opened."""
    text: str
    owner: str
    due: date
    opened: datetime
    by: Person
    run: RunId | None
    """Where it was found."""
    scenario: str
    """What must be tested again; empty where nobody said."""
    closing: Closing | None


class Findings:
    """What a method wrote is durable and chained when it returns."""

    def __init__(self, database: StateDatabase, clock: Clock, signer: EvidenceSigner | None) -> None:
        self._database = database
        self._clock = clock
        self._signer = signer

    def all(self) -> tuple[FindingRecord, ...]:
        """In the order in which they were opened."""
        with self._database.reading() as connection:
            return _read(connection)

    def of(self, finding: str) -> FindingRecord:
        """
        Raises:
            Refusal: ``finding_unknown``.
        """
        return _one_of(self.all(), finding)

    def open(self, text: str, owner: str, due: date, by: Person, run: RunId | None, scenario: str) -> FindingRecord:
        now = self._clock.now()
        with self._database.writing() as connection:
            name = f"{_PREFIX}{len(_read(connection)) + 1:04d}"
            record: JsonObject = {
                "run": name,
                "step": FINDING_OPENED,
                "text": text,
                "owner": owner,
                "due": due.isoformat(),
                "opened": now.isoformat(),
                "by": by,
                "found_in": run,
                "scenario": scenario,
                "understudy_version": __version__,
            }
            append_link(connection, RunId(name), FINDING_OPENED, record, now, self._signer)
            return _one_of(_read(connection), name)

    def close(self, finding: str, by: Person, retest: RunId | None, reason: str) -> FindingRecord:
        """
        Raises:
            Refusal: ``finding_unknown``, ``finding_closed``.
        """
        now = self._clock.now()
        with self._database.writing() as connection:
            found = _one_of(_read(connection), finding)
            if found.closing is not None:
                raise Refusal(
                    "finding_closed",
                    found=f"{finding} was closed by {found.closing.by} at {found.closing.at.isoformat(timespec='seconds')}",
                    expected="a finding that is open",
                    hint="what came back is a finding of its own: understudy findings add",
                )
            record: JsonObject = {
                "run": finding,
                "step": FINDING_CLOSED,
                "closed": now.isoformat(),
                "by": by,
                "retest": retest,
                "reason": reason,
                "understudy_version": __version__,
            }
            append_link(connection, RunId(finding), FINDING_CLOSED, record, now, self._signer)
            return _one_of(_read(connection), finding)


def _read(connection: sqlite3.Connection) -> tuple[FindingRecord, ...]:
    rows = connection.execute(
        "SELECT run, step, record FROM chain WHERE run >= ? AND run < ? ORDER BY sequence", (_PREFIX, _BEHIND)
    ).fetchall()
    records = {(row["run"], row["step"]): cast(JsonObject, json.loads(row["record"])) for row in rows}
    return tuple(_finding_of(each, records) for each in records if each[1] == FINDING_OPENED)


def _finding_of(key: tuple[str, str], records: dict[tuple[str, str], JsonObject]) -> FindingRecord:
    opened, closed = records[key], records.get((key[0], FINDING_CLOSED))
    return FindingRecord(
        finding=key[0],
        text=str(opened["text"]),
        owner=str(opened["owner"]),
        due=date.fromisoformat(str(opened["due"])),
        opened=datetime.fromisoformat(str(opened["opened"])),
        by=Person(str(opened["by"])),
        run=None if opened["found_in"] is None else RunId(str(opened["found_in"])),
        scenario=str(opened["scenario"]),
        closing=None if closed is None else _closing_of(closed),
    )


def _closing_of(record: JsonObject) -> Closing:
    return Closing(
        at=datetime.fromisoformat(str(record["closed"])),
        by=Person(str(record["by"])),
        retest=None if record["retest"] is None else RunId(str(record["retest"])),
        reason=str(record["reason"]),
    )


def _one_of(findings: tuple[FindingRecord, ...], name: str) -> FindingRecord:
    found = next((each for each in findings if each.finding == name), None)
    if found is None:
        raise Refusal(
            "finding_unknown",
            found=f"no finding is called {name!r}",
            expected="one of those that understudy findings list --all shows",
            hint="spell it as it is listed there: finding-0001",
        )
    return found
