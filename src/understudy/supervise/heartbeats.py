"""A row at an interval, so that a recovery knows what it lost also where nobody else writes."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

from understudy.ports.database import Database
from understudy.supervise.ending import ENDING_SECONDS
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.heartbeat import HEARTBEAT_TABLE

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


class Heartbeats:
    """One thread. A beat that cannot be written is no fault of its own: the exposure shows what is wrong."""

    def __init__(self, database: Database, name: str, every: timedelta) -> None:
        self._database = database
        self._name = name
        self._every_seconds = every.total_seconds()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeats", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(ENDING_SECONDS)

    def _beat(self) -> None:
        made, told = False, ""
        while not self._stopping.is_set():
            try:
                made = made or self._database.query(_IS_THERE, self._name)[0][0] == "t"
                self._database.execute([_ALONE, _BEAT] if made else [_ALONE, _MAKE, _BEAT], self._name)
                made = True
                told = ""
            except UnderstudyError as error:
                made = False
                if error.code != told:
                    _log.warning("heartbeat in %s: %s", self._name, error)
                told = error.code
            self._stopping.wait(self._every_seconds)
