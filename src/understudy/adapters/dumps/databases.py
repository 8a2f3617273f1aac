"""One database while it is dumped: a snapshot that pg_dump shares, and what is counted in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from understudy.adapters.dumps.client import PostgresClient
from understudy.adapters.postgres.connection import Connection
from understudy.adapters.postgres.failures import statement_failure
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.json import JsonObject

_WHICH = """
select datname, has_database_privilege(datname, 'connect') from pg_catalog.pg_database
where datallowconn and not datistemplate order by 1
"""
_PROPERTIES = """
select pg_catalog.pg_get_userbyid(datdba), pg_catalog.pg_encoding_to_char(encoding), datcollate, datctype,
       coalesce(to_jsonb(d) ->> 'datlocprovider', 'c'),
       coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale')
from pg_catalog.pg_database d where datname = current_database()
"""
_CONTENT_BYTES = """
select coalesce(sum(pg_catalog.pg_table_size(c.oid)), 0)::bigint from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and (c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
       or c.oid = 'pg_catalog.pg_largeobject'::regclass)
"""
_NAMES = """
select c.oid::bigint, n.nspname, c.relname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.oid = any(%s)
"""


@dataclass(frozen=True, slots=True)
class DatabaseProperties:
    """By which an empty database like it is made."""

    owner: str
    encoding: str
    collate: str
    ctype: str
    provider: str
    """``c``, ``i`` or ``b``: of libc, ICU, or built in."""
    locale: str | None

    def to_json(self) -> JsonObject:
        return {
            "owner": self.owner,
            "encoding": self.encoding,
            "collate": self.collate,
            "ctype": self.ctype,
            "provider": self.provider,
            "locale": self.locale,
        }


def choose_databases(client: PostgresClient, wanted: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Those to dump, and those that are left out, each with the reason.

    Raises:
        GiveUp: ``database_missing``: of those that are ``wanted``.
    """
    with client.connect() as connection:
        try:
            found = {str(name): bool(lets_in) for name, lets_in in connection.execute(_WHICH).fetchall()}
        except psycopg.Error as error:
            raise statement_failure(error, client.address) from error
    if wanted is None:
        closed = [f"{name}: the role may not connect to it" for name, lets_in in found.items() if not lets_in]
        return [name for name, lets_in in found.items() if lets_in], closed
    for name in wanted:
        if name not in found:
            raise GiveUp(
                "database_missing",
                found=f"{client.address} has no database {name!r} that accepts connections; it has {', '.join(found)}",
                expected="every database that the stack file lists",
                hint="correct databases in the stack file",
            )
    return list(wanted), []


_TABLE = """
select count(*) from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = %s and c.relname = %s and c.relkind in ('r', 'p')
"""
_UNREADABLE = """
select n.nspname || '.' || c.relname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and not (has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select'))
order by 1 limit 10
"""


def unreadable_tables(client: PostgresClient, database: str) -> list[str]:
    """The first ten that pg_dump would fail on."""
    with client.connect(database) as connection:
        try:
            return [str(name) for (name,) in connection.execute(_UNREADABLE).fetchall()]
        except psycopg.Error as error:
            raise statement_failure(error, client.address) from error


class DatabaseSnapshot:
    """Everything is asked in one state of the database."""

    def __init__(self, client: PostgresClient, connection: Connection, name: str) -> None:
        self._client = client
        self._connection = connection
        self.name = name

    def exported(self) -> str:
        """What another connection sees the same state by."""
        return str(self._rows("select pg_catalog.pg_export_snapshot()")[0][0])

    def properties(self) -> DatabaseProperties:
        owner, encoding, collate, ctype, provider, locale = self._rows(_PROPERTIES)[0]
        named = (str(owner), str(encoding), str(collate), str(ctype), str(provider))
        return DatabaseProperties(*named, None if locale is None else str(locale))

    def content_bytes(self) -> int:
        """Of its tables, without indexes: about what a dump of it takes."""
        return int(str(self._rows(_CONTENT_BYTES)[0][0]))

    def large_objects(self) -> int:
        return int(str(self._rows("select count(*) from pg_catalog.pg_largeobject_metadata")[0][0]))

    def names(self, oids: Sequence[int]) -> dict[int, tuple[str, str]]:
        """Schema and name of each table."""
        found = self._rows(_NAMES, (list(oids),))
        return {int(str(oid)): (str(schema), str(name)) for oid, schema, name in found}

    def has_table(self, schema: str, name: str) -> bool:
        return self._rows(_TABLE, (schema, name))[0][0] != 0

    def count_rows(self, schema: str, name: str) -> int:
        query = sql.SQL("select count(*) from only {}").format(sql.Identifier(schema, name))
        return int(str(self._rows(query)[0][0]))

    def _rows(self, query: str | sql.Composed, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        try:
            return self._connection.execute(query, values or None).fetchall()
        except psycopg.Error as error:
            raise statement_failure(error, self._client.address) from error


@contextmanager
def snapshot_of(client: PostgresClient, name: str) -> Iterator[DatabaseSnapshot]:
    """Rows that row-level security hides are an error, as they are for pg_dump, and not left out in silence.

    Raises as ``PostgresClient.connect``.
    """
    connection = client.connect(name)
    try:
        try:
            connection.execute("set row_security = off")
            connection.execute("begin transaction isolation level repeatable read, read only")
        except psycopg.Error as error:
            raise statement_failure(error, client.address) from error
        yield DatabaseSnapshot(client, connection, name)
    finally:
        connection.close()
