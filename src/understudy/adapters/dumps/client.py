"""PostgreSQL's client programs, and questions, against one server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from understudy.adapters.postgres.connection import NETWORK_DEFAULTS, Connection, ConnectionString, Connector
from understudy.adapters.postgres.failures import statement_failure
from understudy.adapters.postgres.programs import PostgresPrograms, find_programs_for_dumps
from understudy.adapters.streams.program import Program, ProgramEnd, run_program
from understudy.adapters.streams.workplace import Errand
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.secret import Secret

DUMP_PROGRAMS = ("pg_dump", "pg_dumpall", "pg_restore")
_NO_TIME_LIMIT = 0


@dataclass(frozen=True, slots=True)
class DumpedServer:
    major: int
    version: str
    """As the server writes it."""
    reads_passwords: bool
    """Whether the role may read pg_authid: managed servers forbid it."""


class PostgresClient:
    def __init__(self, conninfo: ConnectionString, errand: Errand, programs: str | None) -> None:
        """
        Raises:
            GiveUp: ``connection_string_malformed``.
        """
        self._connector = Connector(conninfo)
        self._errand = errand
        self._explicit = programs
        self._found: PostgresPrograms | None = None

    @property
    def address(self) -> str:
        return self._connector.address

    @property
    def database(self) -> str:
        """That the connection string leads to."""
        named = self._connector.parameters()
        return named.get("dbname") or named.get("user") or "postgres"

    def connect(self, database: str | None = None) -> Connection:
        """In autocommit, without a time limit for statements; the server ends neither it nor its idle transactions.

        Raises as ``Connector.sql``.
        """
        connection = self._connector.sql(database, _NO_TIME_LIMIT)
        try:
            connection.execute("set idle_in_transaction_session_timeout = 0")
        except psycopg.Error as error:
            connection.close()
            raise statement_failure(error, self.address) from error
        return connection

    def see(self) -> DumpedServer:
        with self.connect() as connection:
            try:
                row = connection.execute(
                    "select current_setting('server_version_num')::int / 10000, current_setting('server_version'), "
                    "has_table_privilege('pg_catalog.pg_authid', 'select')"
                ).fetchone()
            except psycopg.Error as error:
                raise statement_failure(error, self.address) from error
        major, version, reads = row or (0, "", False)
        return DumpedServer(int(str(major)), str(version), bool(reads))

    def programs(self, server_major: int, required: Sequence[str] = DUMP_PROGRAMS) -> PostgresPrograms:
        """Of the server's major version, or of the nearest newer one.

        Raises:
            GiveUp: ``programs_missing``, ``programs_too_old``.
        """
        if self._found is None:
            self._found = find_programs_for_dumps(server_major, self._explicit, required)
        return self._found

    def run(self, program: str, *arguments: str, database: str | None = None) -> ProgramEnd:
        """
        Args:
            database: That the program connects to; None: it connects to none.
        """
        if self._found is None:
            raise RuntimeError("ask for the programs first")
        environment: dict[str, Secret] = {}
        if database is not None:
            named = NETWORK_DEFAULTS | {"application_name": "understudy"} | self._connector.parameters() | {"dbname": database}
            password = named.pop("password", None)
            if password is not None:
                environment["PGPASSWORD"] = Secret(password)
            arguments = (f"--dbname={make_conninfo('', **named)}", "--no-password", *arguments)
        started = Program(
            arguments=(self._found.path(program), *arguments),
            environment=environment,
            time_limit=self._errand.time_limit,
            mark=self._errand.mark,
        )
        return run_program(started, self._errand.workplace)

    def read(self, program: str, *arguments: str) -> str:
        """What a program that connects to no server writes to its standard output.

        Raises:
            GiveUp: ``dump_damaged``: it cannot read what it was given.
        """
        if self._found is None:
            raise RuntimeError("ask for the programs first")
        written = bytearray()
        started = Program(
            arguments=(self._found.path(program), *arguments), time_limit=self._errand.time_limit, mark=self._errand.mark
        )
        ended = run_program(started, self._errand.workplace, gives=written.extend)
        if ended.status != 0:
            raise GiveUp(
                "dump_damaged",
                found=f"{program} cannot read {Path(arguments[-1]).name}: it {ended.told}",
                expected="a dump of the directory format, as pg_dump wrote it",
                hint="choose another one: understudy backups RESOURCE",
            )
        return written.decode(errors="surrogateescape")
