"""Questions and statements about the databases of a server that a dump is loaded into."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import sql

from understudy.adapters.dumps.client import PostgresClient
from understudy.adapters.postgres.connection import Connection
from understudy.adapters.postgres.failures import statement_failure
from understudy.vocabulary.errors import GiveUp, TryAgain
from understudy.vocabulary.json import JsonObject

_ELSE = "template1"
"""Where statements about the database are given that the connection string leads to."""
_IN_USE = "55006"
_HOLDS = """
with extensions as (select classid, objid from pg_catalog.pg_depend where deptype = 'e'),
named as (
    select 'pg_class'::regclass as catalog, oid, relnamespace as schema from pg_catalog.pg_class
    union all select 'pg_proc'::regclass, oid, pronamespace from pg_catalog.pg_proc
    union all select 'pg_type'::regclass, oid, typnamespace from pg_catalog.pg_type
    union all select 'pg_namespace'::regclass, oid, oid from pg_catalog.pg_namespace where nspname <> 'public'
)
select exists (
    select from named join pg_catalog.pg_namespace n on n.oid = named.schema
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
      and not exists (select from extensions e where e.classid = named.catalog and e.objid = named.oid)
) or exists (select from pg_catalog.pg_largeobject_metadata)
"""
_TABLE = """
select count(*) from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = %s and c.relname = %s
"""


class TargetDatabases:
    def __init__(self, client: PostgresClient) -> None:
        self._client = client

    def is_superuser(self) -> bool:
        return self.rows("select rolsuper from pg_catalog.pg_roles where rolname = current_user")[0][0] is True

    def names(self, what: str) -> set[str]:
        """``rolname`` of ``pg_roles``, ``spcname`` of ``pg_tablespace``, ``datname`` of ``pg_database``."""
        catalog = {"rolname": "pg_roles", "spcname": "pg_tablespace", "datname": "pg_database"}[what]
        query = sql.SQL("select {} from pg_catalog.{}").format(sql.Identifier(what), sql.Identifier(catalog))
        return {str(name) for (name,) in self.rows(query)}

    def holds(self, database: str) -> bool:
        return database in self.names("datname") and self.rows(_HOLDS, database=database)[0][0] is True

    def has_table(self, database: str, schema: str, table: str) -> bool:
        return self.rows(_TABLE, (schema, table), database=database)[0][0] != 0

    def count(self, database: str, schema: str, table: str) -> int | None:
        """Of its rows; None: there is no such table."""
        if not self.has_table(database, schema, table):
            return None
        query = sql.SQL("select count(*) from only {}").format(sql.Identifier(schema, table))
        return int(str(self.rows(query, database=database)[0][0]))

    def large_objects(self, database: str) -> int:
        return int(str(self.rows("select count(*) from pg_catalog.pg_largeobject_metadata", database=database)[0][0]))

    def make(self, name: str, properties: JsonObject, owner: str | None) -> None:
        """An empty database with the properties of another one."""
        parts = [
            sql.SQL("create database {} template template0 encoding {} lc_collate {} lc_ctype {}").format(
                sql.Identifier(name), *(sql.Literal(properties[each]) for each in ("encoding", "collate", "ctype"))
            )
        ]
        if properties["provider"] == "i":
            parts.append(sql.SQL("locale_provider icu icu_locale {}").format(sql.Literal(properties["locale"])))
        elif properties["provider"] == "b":
            parts.append(sql.SQL("locale_provider builtin builtin_locale {}").format(sql.Literal(properties["locale"])))
        if owner is not None:
            parts.append(sql.SQL("owner {}").format(sql.Identifier(owner)))
        self.execute(sql.SQL(" ").join(parts), beside=name)

    def drop(self, name: str, *, force: bool = False) -> None:
        """
        Raises:
            GiveUp: ``database_in_use``.
        """
        how = sql.SQL("drop database if exists {} with (force)" if force else "drop database if exists {}")
        try:
            self.execute(how.format(sql.Identifier(name)), beside=name)
        except TryAgain as error:
            if error.code == "object_in_use":
                raise _in_use(name, error) from error
            raise

    def rename(self, name: str, becomes: str) -> None:
        change = sql.SQL("alter database {} rename to {}").format(sql.Identifier(name), sql.Identifier(becomes))
        self.execute(change, beside=becomes)

    def beside(self, name: str) -> str:
        """A database from which statements about that one can be given."""
        return _ELSE if self._client.database == name else self._client.database

    def execute(self, statement: sql.Composed | str, beside: str | None = None, database: str | None = None) -> None:
        with self._asked(self.beside(beside) if beside is not None else database) as connection:
            connection.execute(statement)

    def rows(
        self, query: sql.Composed | str, values: Sequence[object] | None = None, database: str | None = None
    ) -> list[tuple[object, ...]]:
        with self._asked(database) as connection:
            return connection.execute(query, values).fetchall()

    @contextmanager
    def _asked(self, database: str | None) -> Iterator[Connection]:
        with self._client.connect(database) as connection:
            try:
                yield connection
            except psycopg.Error as error:
                raise statement_failure(error, self._client.address) from error


def _in_use(name: str, error: TryAgain) -> GiveUp:
    return GiveUp(
        "database_in_use",
        found=f"the empty database {name} is to give way, and {error.found}",
        expected="that nobody is connected to it",
        hint=f"see who is in pg_stat_activity, and end that; or remove it yourself: DROP DATABASE {name}",
    )
