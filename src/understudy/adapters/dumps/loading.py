"""A dump, loaded into a running server by pg_restore."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

from understudy.adapters.dumps.client import PostgresClient
from understudy.adapters.dumps.globals_file import created_roles, missing, role_statements, statements, tablespaces
from understudy.adapters.dumps.target_databases import TargetDatabases
from understudy.adapters.postgres.failures import statement_failure
from understudy.adapters.postgres.read_only import ask_read_only
from understudy.adapters.streams.leftovers import end_marked
from understudy.adapters.streams.program import ProgramEnd
from understudy.adapters.streams.workplace import Errand
from understudy.ports.dumps import DumpedDatabase, DumpedTable
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.sql_checks import judged_answer

_LOAD_PROGRAMS = ("pg_restore",)
_OF_THE_DATABASE = (" DATABASE PROPERTIES ", " ACL - DATABASE ", " COMMENT - DATABASE ", " SECURITY LABEL - DATABASE ")
_SETS_A_DATABASE = ("ALTER DATABASE", "ALTER ROLE", "GRANT", "REVOKE", "COMMENT ON DATABASE", "SECURITY LABEL")
_TOLD = 10


class LoadingServer:
    """``DumpServer``."""

    def __init__(self, client: PostgresClient, errand: Errand, jobs: int, checks: Sequence[Mapping[str, str]]) -> None:
        self._client = client
        self._errand = errand
        self._jobs = jobs
        self._checks = checks
        self._databases = TargetDatabases(client)
        self._without_tablespaces = False

    @property
    def shown(self) -> str:
        return self._client.address

    def holds(self, database: str) -> bool:
        return self._databases.holds(database)

    def has(self, database: str) -> bool:
        return database in self._databases.names("datname")

    def has_table(self, database: str, schema: str, table: str) -> bool:
        return self._databases.has_table(database, schema, table)

    def count_table(self, database: str, table: DumpedTable) -> int:
        return self._databases.count(database, table.schema, table.name) or 0

    def take_roles(self, globals_file: Path) -> JsonObject:
        text = globals_file.read_text(errors="surrogateescape")
        there = self._databases.names("rolname")
        left_out: list[Json] = []
        with self._client.connect() as connection:
            try:
                with connection.transaction():
                    for statement in role_statements(text, there):
                        try:
                            with connection.transaction():
                                connection.execute(statement.text.encode(errors="surrogateescape"))
                        except psycopg.Error as error:
                            left_out.append(f"{statement.about}: {(error.diag.message_primary or 'refused').strip()}")
            except psycopg.Error as error:
                raise statement_failure(error, self.shown) from error
        now = self._databases.names("rolname")
        wanted = created_roles(text)
        return {
            "roles_in_the_dump": len(wanted),
            "roles_missing": list[Json](missing(wanted, now)[:_TOLD]),
            "not_taken": left_out[:_TOLD],
            "tablespaces_missing": list[Json](missing(tablespaces(text), self._databases.names("spcname"))),
        }

    def load(
        self, directory: Path, database: DumpedDatabase, temporary: str, *, whole: bool, table: DumpedTable | None
    ) -> JsonObject:
        self._require_programs()
        end_marked(self._errand.mark, self._errand.workplace.clock)  # of an attempt that was killed
        self._databases.drop(temporary, force=True)
        superuser = self._databases.is_superuser()
        owner = str(database.properties["owner"])
        takes_owner = whole and superuser and owner in self._databases.names("rolname")
        self._databases.make(temporary, database.properties, owner if takes_owner else None)
        if table is not None:
            return self.load_table(directory, table, temporary)
        self._restore(directory, temporary, f"the database {database.name}", self._how(whole and superuser))
        self._databases.execute("analyze", database=temporary)
        counted = self._require_all(database, temporary)
        checks: list[Json] = [self._ask(temporary, check) for check in self._checks if _asks(check, database.name)]
        return {**counted, "with_owners_and_rights": whole and superuser, "checks": checks}

    def load_table(self, directory: Path, table: DumpedTable, database: str) -> JsonObject:
        self._require_programs()
        schema = f"create schema if not exists {_quoted(table.schema)}"
        self._databases.execute(schema, database=database)
        one = ("--single-transaction", f"--schema={table.schema}", f"--table={table.name}", *self._how(False)[1:])
        self._restore(directory, database, f"the table {table.shown}", one)
        self._require_rows(database, table)
        return {"tables": 1, "rows": table.rows}

    def put_in_place(self, temporary: str, name: str, settings_of: Path | None) -> None:
        there = self._databases.names("datname")
        if temporary in there:
            if name in there:
                if self._databases.holds(name):
                    raise GiveUp(
                        "target_not_empty",
                        found=f"{self.shown} has a database {name} by now, which holds something",
                        expected="none of that name, or an empty one: nothing is overwritten",
                        hint="load it under another name: understudy restore … --load --as NAME",
                    )
                self._databases.drop(name)
            self._databases.rename(temporary, name)
        if settings_of is not None and self._databases.is_superuser():
            self._require_programs()
            self._set_database(settings_of, name)

    def discard(self, temporary: str) -> None:
        end_marked(self._errand.mark, self._errand.workplace.clock)
        self._databases.drop(temporary, force=True)

    def _how(self, with_owners: bool) -> tuple[str, ...]:
        how = (f"--jobs={self._jobs}",) if with_owners else (f"--jobs={self._jobs}", "--no-owner", "--no-privileges")
        return (*how, "--no-tablespaces") if self._lacks_tablespaces() else how

    def _lacks_tablespaces(self) -> bool:
        """A tablespace is a directory of the server's host, which nobody makes from here."""
        return self._databases.names("spcname") == {"pg_default", "pg_global"}

    def _require_programs(self) -> None:
        self._client.programs(self._client.see().major, _LOAD_PROGRAMS)

    def _restore(self, directory: Path, database: str, what: str, how: Sequence[str]) -> None:
        self._errand.workplace.progress.report(f"pg_restore {what}", 0, None)
        ended = self._client.run("pg_restore", "--exit-on-error", *how, str(directory), database=database)
        self._require_ended(ended, what)

    def _set_database(self, directory: Path, name: str) -> None:
        """Settings, rights and comment of the database itself stand in the dump under its name, for whoever makes it anew."""
        listed = self._client.read("pg_restore", "--create", "--list", str(directory))
        wanted = [line for line in listed.splitlines() if any(each in line for each in _OF_THE_DATABASE)]
        if not wanted:
            return
        with self._file_with("\n".join(wanted) + "\n") as chosen:
            text = self._client.read("pg_restore", "--create", f"--use-list={chosen}", "--file=-", str(directory))
        with self._client.connect(self._databases.beside(name)) as connection:
            try:
                for statement in statements(text):
                    if statement.startswith(_SETS_A_DATABASE):  # that it is made is written in any case
                        connection.execute(statement.encode(errors="surrogateescape"))
            except psycopg.Error as error:
                raise statement_failure(error, self.shown) from error

    @contextmanager
    def _file_with(self, text: str) -> Iterator[str]:
        """What an attempt left that was killed gives way."""
        scratch = self._errand.workplace.scratch
        scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = scratch / f"{self._errand.resource}-{hashlib.sha256(text.encode(errors='surrogateescape')).hexdigest()[:8]}"
        path.touch(mode=0o600)
        try:
            path.write_text(text, errors="surrogateescape")
            yield str(path)
        finally:
            path.unlink()

    def _require_all(self, database: DumpedDatabase, temporary: str) -> JsonObject:
        for table in database.tables:
            self._errand.workplace.cancellation.raise_if_requested()
            self._require_rows(temporary, table)
        objects = self._databases.large_objects(temporary)
        if objects != database.large_objects:
            raise _short("large objects", objects, database.large_objects)
        return {"tables": len(database.tables), "rows": database.rows, "large_objects": objects}

    def _require_rows(self, database: str, table: DumpedTable) -> None:
        counted = self._databases.count(database, table.schema, table.name)
        if counted != table.rows:
            raise _short(table.shown, counted, table.rows)

    def _ask(self, database: str, check: Mapping[str, str]) -> JsonObject:
        with self._client.connect(database) as connection:
            try:
                rows = ask_read_only(connection.pgconn, check["sql"], self._errand.time_limit)
            except psycopg.Error as error:
                raise statement_failure(error, self.shown) from error
        return judged_answer(check, rows[0][0] if rows and rows[0] else None)

    def _require_ended(self, ended: ProgramEnd, what: str) -> None:
        if ended.status == 0:
            return
        if ended.status is None:
            raise GiveUp(
                "load_timed_out",
                found=f"loading {what} {ended.told}",
                expected=f"that it ends within time_limit, {self._errand.time_limit.total_seconds():g} s",
                hint="nothing of it bears its name; where it needs so long, raise time_limit in the stack file",
            )
        raise GiveUp(
            "load_failed",
            found=f"loading {what} into {self.shown} {ended.told}",
            expected="that pg_restore ends with 0; nothing of it bears its name",
            hint="give the server what it lacks (an extension, a role, rights), then start it again",
        )


def _asks(check: Mapping[str, str], database: str) -> bool:
    return check.get("database", "postgres") == database


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _short(what: str, counted: int | None, dumped: int) -> GiveUp:
    held = (
        "is not there" if counted is None else f"{counted} rows are there" if what != "large objects" else f"{counted} are there"
    )
    return GiveUp(
        "rows_missing",
        found=f"{what}: {held}, and the dump holds {dumped}",
        expected="as many as were dumped",
        hint="nothing of it bears its name; look at the server's log, and whether something on it changes what is loaded (event "
        "triggers); then start it again, or choose another dump: --backup",
    )
