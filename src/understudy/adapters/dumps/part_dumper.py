"""Taking one database, or one table, out of a server that was restored aside."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from psycopg.conninfo import make_conninfo

from understudy.adapters.dumps.client import PostgresClient
from understudy.adapters.dumps.database_dumping import DatabaseDumping
from understudy.adapters.streams.leftovers import end_marked
from understudy.adapters.streams.workplace import Errand
from understudy.ports.dumps import DumpedDatabase
from understudy.ports.instance import InstancePlace
from understudy.vocabulary.secret import Secret


class LocalPartDumper:
    """``PartDumper``."""

    def __init__(self, errand: Errand, programs: Callable[[], str], jobs: int) -> None:
        """
        Args:
            programs: Tells the directory of the server's own programs, which know its format.
        """
        self._errand = errand
        self._programs = programs
        self._jobs = jobs

    def dump(
        self, place: InstancePlace, superuser: str, database: str, table: tuple[str, str] | None, directory: Path
    ) -> DumpedDatabase:
        self.end_left_over()
        if directory.exists():
            shutil.rmtree(directory)  # of an attempt that was killed
        conninfo = make_conninfo(
            host=place.socket_directory, port=place.port, user=superuser, dbname=database, sslmode="disable",
            gssencmode="disable", passfile="/dev/null/none", options="",
        )  # fmt: skip
        client = PostgresClient(Secret(conninfo), self._errand, self._programs())
        client.programs(client.see().major, ("pg_dump", "pg_restore"))
        return DatabaseDumping(client, self._errand, self._jobs, True).dump(database, directory, table=table).database

    def end_left_over(self) -> None:
        end_marked(self._errand.mark, self._errand.workplace.clock)
