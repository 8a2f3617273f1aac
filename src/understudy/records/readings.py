"""When each stored unit was read back last, in the state database. Obtained from ``Records.readings``."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from understudy.ports.clock import Clock
from understudy.ports.readings import Found, ReadFault, Reading
from understudy.records.state_database import StateDatabase
from understudy.vocabulary.identifiers import RepositoryName, ResourceName, RunId


class RecordedReadings:
    """``ports.Readings``. What a method wrote is durable when it returns."""

    def __init__(self, database: StateDatabase, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def of(self, repository: RepositoryName, resource: ResourceName) -> tuple[Reading, ...]:
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM readings WHERE repository = ? AND resource = ? ORDER BY unit", (repository, resource)
            ).fetchall()
        return tuple(map(_reading, rows))

    def in_turn(self, repository: RepositoryName) -> tuple[tuple[int, datetime | None], ...]:
        """Of every unit of every resource its size and when it was read last; those first that were never read, then by that."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT size_bytes, read FROM readings WHERE repository = ? ORDER BY read, resource, unit", (repository,)
            ).fetchall()
        return tuple((row["size_bytes"], _moment(row["read"])) for row in rows)

    def damaged(self, repository: RepositoryName, resource: ResourceName) -> tuple[Reading, ...]:
        """Those of ``of`` that were not as signed when they were read last."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM readings WHERE repository = ? AND resource = ? AND fault IS NOT NULL ORDER BY unit",
                (repository, resource),
            ).fetchall()
        return tuple(map(_reading, rows))

    def refresh(self, repository: RepositoryName, resource: ResourceName, sizes: Mapping[str, int]) -> None:
        with self._database.writing() as connection:
            known = {
                str(row["unit"]): int(row["size_bytes"])
                for row in connection.execute(
                    "SELECT unit, size_bytes FROM readings WHERE repository = ? AND resource = ?", (repository, resource)
                )
            }
            _delete(connection, repository, resource, known.keys() - sizes.keys())
            connection.executemany(
                """INSERT INTO readings (repository, resource, unit, size_bytes) VALUES (?, ?, ?, ?)
                   ON CONFLICT (repository, resource, unit) DO UPDATE SET size_bytes = excluded.size_bytes, read = NULL""",
                [(repository, resource, unit, size) for unit, size in sizes.items() if known.get(unit) != size],
            )

    def note(self, repository: RepositoryName, resource: ResourceName, found: Sequence[Found], run: RunId | None = None) -> None:
        now = self._clock.now().isoformat()
        with self._database.writing() as connection:
            for each in found:
                if each.size_bytes is None and each.fault is None:
                    connection.execute(
                        """UPDATE readings SET read = ?, run = ?, fault = NULL, damaged_since = NULL
                           WHERE repository = ? AND resource = ? AND unit = ?""",
                        (now, run, repository, resource, each.unit),
                    )
                    continue
                fault = None if each.fault is None else json.dumps(asdict(each.fault), ensure_ascii=False)
                connection.execute(
                    """INSERT INTO readings (repository, resource, unit, size_bytes, read, run, fault, damaged_since)
                       VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                       ON CONFLICT (repository, resource, unit) DO UPDATE SET
                       size_bytes = coalesce(nullif(excluded.size_bytes, 0), size_bytes),
                       read = excluded.read, run = excluded.run, fault = excluded.fault, damaged_since =
                       CASE WHEN excluded.fault IS NULL THEN NULL ELSE coalesce(damaged_since, excluded.damaged_since) END""",
                    (repository, resource, each.unit, each.size_bytes or 0, now, run, fault, None if fault is None else now),
                )

    def note_if_possible(self, repository: RepositoryName, resource: ResourceName, found: Sequence[Found]) -> bool:
        """As ``note``, for who must go on although the state database can't be written; whether it was."""
        try:
            self.note(repository, resource, found)
        except sqlite3.Error:
            return False
        return True


def _delete(connection: sqlite3.Connection, repository: str, resource: str, units: Collection[str]) -> None:
    connection.executemany(
        "DELETE FROM readings WHERE repository = ? AND resource = ? AND unit = ?",
        [(repository, resource, unit) for unit in units],
    )


def _reading(row: sqlite3.Row) -> Reading:
    return Reading(
        unit=row["unit"],
        size_bytes=row["size_bytes"],
        read=_moment(row["read"]),
        run=None if row["run"] is None else RunId(row["run"]),
        fault=None if row["fault"] is None else _fault(row["fault"]),
        damaged_since=_moment(row["damaged_since"]),
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _fault(text: str) -> ReadFault:
    fields = json.loads(text)
    return ReadFault(**{**fields, "labels": tuple(fields["labels"])})
