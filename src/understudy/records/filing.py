"""Which runs' evidence still has to be copied elsewhere, so that it is, whoever carried it out or died meanwhile."""

from __future__ import annotations

from understudy.ports.clock import Clock
from understudy.records.state_database import StateDatabase
from understudy.vocabulary.identifiers import RunId

_FILED = "evidence_filed"


class Filing:
    """Of one state directory. Obtained from ``Records.filing``."""

    def __init__(self, database: StateDatabase, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def outstanding(self) -> tuple[RunId, ...]:
        """Runs that have ended and were not said to be ``filed``, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT run FROM runs WHERE ended IS NOT NULL AND run NOT IN (SELECT subject FROM observations WHERE kind = ?) "
                "ORDER BY ended",
                (_FILED,),
            ).fetchall()
        return tuple(RunId(row["run"]) for row in rows)

    def filed(self, run: RunId) -> None:
        """Every place has its copy."""
        with self._database.writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO observations (subject, kind, value, at) VALUES (?, ?, '{}', ?)",
                (run, _FILED, self._clock.now().isoformat()),
            )
