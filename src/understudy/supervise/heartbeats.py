"""A row at an interval, so that a recovery knows what it lost also where nobody else writes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

from understudy.ports.database import Database
from understudy.supervise.repeated_look import RepeatedLook
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.heartbeat import HEARTBEAT_TABLE, heartbeat_privileges

_log = logging.getLogger(__name__)

# CREATE TABLE IF NOT EXISTS asks for CREATE on the schema even where the table exists, which a careful owner took away.
_IS_THERE = f"SELECT to_regclass('{HEARTBEAT_TABLE}') IS NOT NULL"
_MAKE = (
    f"CREATE TABLE IF NOT EXISTS {HEARTBEAT_TABLE} "
    "(only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row), written timestamptz NOT NULL)"
)
# A beat waits for no standby: where commits hang because no receiver runs, its age must go on telling the truth.
_ALONE = "SET synchronous_commit = local"
_BEAT = (
    f"INSERT INTO {HEARTBEAT_TABLE} (written) VALUES (clock_timestamp()) "  # noqa: S608
    "ON CONFLICT (only_row) DO UPDATE SET written = excluded.written"
)


class Heartbeats(RepeatedLook):
    """One thread. Each change of what keeps a beat from being written is logged, and that it is over."""

    def __init__(
        self, database: Database, name: str, every: timedelta, told: Callable[[UnderstudyError | None], None] = lambda _: None
    ) -> None:
        """``told``: of each beat, why it could not be written, or None."""
        super().__init__("heartbeats", every.total_seconds())
        self._tell = told
        self._database = database
        self._name = name
        self._is_made = False
        self._told = ""

    def look(self) -> None:
        try:
            self._is_made = self._is_made or self._database.query(_IS_THERE, self._name)[0][0] == "t"
            self._database.execute([_ALONE, _BEAT] if self._is_made else [_ALONE, _MAKE, _BEAT], self._name)
            self._is_made = True
            if self._told:
                _log.info("heartbeat in %s: it is written again", self._name)
            self._told = ""
            self._tell(None)
        except UnderstudyError as error:
            if error.code == "privilege_missing":
                privileges = heartbeat_privileges(is_there=self._is_made)
                error.hint = f"in database {self._name}, as a superuser: GRANT {privileges} TO <the role of the connection>;"
            self._is_made = False
            self._tell(error)
            if error.code != self._told:
                _log.warning("heartbeat in %s: %s", self._name, error)
            self._told = error.code
