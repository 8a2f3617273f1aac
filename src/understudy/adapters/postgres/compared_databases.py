"""What is compared of two copies of a database: rows as digests that the server makes, in the order of their keys; definitions.

Nothing of the database is called: rows become text by ``record_out``, which asks the types' own output functions alone, and names
are looked for in ``pg_catalog`` only. Whoever was in the database may have left functions behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from understudy.adapters.postgres.local_session import LocalSession

_FETCHED_AT_ONCE = 2000
_SESSION = (
    "SET search_path TO pg_catalog",
    "SET datestyle TO 'ISO, YMD'",
    "SET intervalstyle TO 'postgres'",
    "SET timezone TO 'UTC'",
    "SET bytea_output TO 'hex'",
    "SET extra_float_digits TO 1",
    "SET row_security TO off",
    "SET statement_timeout TO 0",
    "SET client_encoding TO 'SQL_ASCII'",
)
"""The same on both sides: rows are compared as text."""
_OURS = "n.nspname !~ '^pg_(catalog|toast|temp)' AND n.nspname <> 'information_schema'"

_TABLES = f"""
SELECT format('%I.%I', n.nspname, c.relname),
       (SELECT string_agg(format('%I', attname), E'\\n' ORDER BY attnum) FROM pg_attribute
         WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
       (SELECT string_agg(format('%I', a.attname), E'\\n' ORDER BY k.place)
          FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place), pg_attribute a
         WHERE i.indrelid = c.oid AND i.indisprimary AND a.attrelid = c.oid AND a.attnum = k.attnum
           AND k.place <= i.indnkeyatts)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND {_OURS}
 ORDER BY 1"""  # noqa: S608 - of constants

ROLES = """
SELECT 'role ' || quote_ident(rolname), row(rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication,
       rolbypassrls, rolconnlimit, rolpassword, rolvaliduntil)::text
  FROM pg_authid WHERE rolname !~ '^pg_'
UNION ALL
SELECT 'membership of ' || quote_ident(m.rolname) || ' in ' || quote_ident(r.rolname), bool_or(a.admin_option)::text
  FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.member JOIN pg_roles r ON r.oid = a.roleid GROUP BY m.rolname, r.rolname
UNION ALL
SELECT 'settings of ' || coalesce('role ' || quote_ident(r.rolname), 'all roles')
       || coalesce(' in ' || quote_ident(d.datname), ''),
       s.setconfig::text
  FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase
UNION ALL
SELECT 'database ' || quote_ident(datname), row(pg_get_userbyid(datdba), datacl, datallowconn)::text FROM pg_database"""

_OBJECTS = f"""
SELECT CASE c.relkind WHEN 'S' THEN 'sequence ' WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view '
            WHEN 'f' THEN 'foreign table '
            WHEN 'i' THEN 'index ' WHEN 'I' THEN 'index ' ELSE 'table ' END || format('%I.%I', n.nspname, c.relname),
       row(pg_get_userbyid(c.relowner), c.relacl, c.relrowsecurity, c.relforcerowsecurity,
           CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid)
                WHEN c.relkind IN ('i', 'I') THEN pg_get_indexdef(c.oid) END,
           (SELECT string_agg(row(a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attacl,
                                  pg_get_expr(d.adbin, d.adrelid))::text, ' ' ORDER BY a.attnum)
              FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))::text
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'S', 'v', 'm', 'f', 'i', 'I') AND c.relpersistence <> 't' AND {_OURS}
UNION ALL
SELECT 'function ' || p.oid::regprocedure::text,
       row(pg_get_userbyid(p.proowner), p.proacl, p.prosecdef, p.proconfig, p.prolang, p.prosrc, p.probin, p.provolatile,
           pg_get_function_result(p.oid), pg_get_function_arguments(p.oid))::text
  FROM pg_proc p WHERE p.oid >= 16384
UNION ALL
SELECT 'schema ' || quote_ident(n.nspname), row(pg_get_userbyid(n.nspowner), n.nspacl)::text FROM pg_namespace n
 WHERE n.nspname !~ '^pg_(toast|temp)'
UNION ALL
SELECT 'trigger ' || quote_ident(t.tgname) || ' on ' || t.tgrelid::regclass::text,
       row(t.tgenabled, pg_get_triggerdef(t.oid))::text
  FROM pg_trigger t WHERE NOT t.tgisinternal
UNION ALL
SELECT 'event trigger ' || quote_ident(e.evtname), row(e.evtevent, e.evtenabled, e.evtfoid::regprocedure::text, e.evttags)::text
  FROM pg_event_trigger e
UNION ALL
SELECT 'constraint ' || quote_ident(k.conname) || ' on '
       || coalesce(nullif(k.conrelid, 0)::regclass::text, k.contypid::regtype::text),
       pg_get_constraintdef(k.oid)
  FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace WHERE {_OURS}
UNION ALL
SELECT 'policy ' || quote_ident(y.polname) || ' on ' || y.polrelid::regclass::text,
       row(y.polcmd, y.polpermissive, y.polroles::regrole[], pg_get_expr(y.polqual, y.polrelid),
           pg_get_expr(y.polwithcheck, y.polrelid))::text
  FROM pg_policy y
UNION ALL
SELECT 'extension ' || quote_ident(x.extname), row(x.extversion, pg_get_userbyid(x.extowner))::text FROM pg_extension x
UNION ALL
SELECT 'default privileges of ' || coalesce(pg_get_userbyid(f.defaclrole)::text, '') || ' ' || f.defaclobjtype::text
       || coalesce(' in ' || f.defaclnamespace::regnamespace::text, ''), f.defaclacl::text
  FROM pg_default_acl f
UNION ALL
SELECT 'publication ' || quote_ident(pubname), row(pg_get_userbyid(pubowner), puballtables)::text FROM pg_publication"""  # noqa: S608 - of constants


@dataclass(frozen=True, slots=True)
class ComparedTable:
    """Names are quoted as SQL has them."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    """Of the primary key; empty where there is none."""


def databases(session: LocalSession) -> tuple[str, ...]:
    """Those that let anybody in."""
    rows = session.rows("SELECT datname FROM pg_catalog.pg_database WHERE datallowconn ORDER BY datname")
    return tuple(str(name) for (name,) in rows)


def prepare(session: LocalSession) -> None:
    for statement in _SESSION:
        session.rows(statement)


def tables(session: LocalSession) -> dict[str, ComparedTable]:
    found = (ComparedTable(str(name), _split(columns), _split(key)) for name, columns, key in session.rows(_TABLES))
    return {each.name: each for each in found}


def definitions(session: LocalSession, of_roles: bool) -> Iterator[tuple[bytes, str]]:
    """What is defined, each once, with all that is said of it; ascending. Held in memory: as many as there are objects."""
    rows = session.rows(ROLES if of_roles else _OBJECTS)
    yield from sorted((str(name).encode(errors="replace"), str(told)) for name, told in rows)


def sequence_values(session: LocalSession) -> Iterator[tuple[bytes, str]]:
    rows = session.rows("SELECT format('value of sequence %I.%I', schemaname, sequencename), last_value FROM pg_sequences")
    yield from sorted((str(name).encode(errors="replace"), str(value)) for name, value in rows)


def rows_by_key(session: LocalSession, table: ComparedTable, columns: Sequence[str]) -> Iterator[tuple[bytes, str]]:
    """Each row's key, as the text of a row, and its digest; ascending. The server sorts, on its disk where it must."""
    key, whole = _hexadecimal(table.key), _digest(columns)
    keyed = f"SELECT {key} AS k, {whole} AS d FROM ONLY {table.name} AS t"  # noqa: S608 - quoted names
    query = f'SELECT k, d FROM ({keyed}) AS keyed ORDER BY k COLLATE "C"'  # noqa: S608
    for found, digest in _streamed(session, query):
        yield bytes.fromhex(str(found)), str(digest)


def rows_by_digest(session: LocalSession, table: ComparedTable, columns: Sequence[str]) -> Iterator[tuple[bytes, int]]:
    """Of a table without a key: each digest, and how many rows have it; ascending."""
    query = (
        f"SELECT d, count(*) FROM (SELECT {_digest(columns)} AS d FROM ONLY {table.name} AS t) AS digests "  # noqa: S608 - quoted
        'GROUP BY d ORDER BY d COLLATE "C"'
    )
    for digest, count in _streamed(session, query):
        yield str(digest).encode(), int(str(count))


def _streamed(session: LocalSession, query: str) -> Iterator[Sequence[str | None]]:
    session.rows("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        session.rows(f"DECLARE compared NO SCROLL CURSOR FOR {query}")
        while fetched := session.rows(f"FETCH {_FETCHED_AT_ONCE} FROM compared"):
            yield from fetched
    finally:
        session.rows("ROLLBACK")


def _row(columns: Sequence[str]) -> str:
    listed = ", ".join(f"t.{each}" for each in columns)
    return f"convert_to(ROW({listed})::text, getdatabaseencoding())"


def _hexadecimal(columns: Sequence[str]) -> str:
    return f"encode({_row(columns)}, 'hex')"


def _digest(columns: Sequence[str]) -> str:
    return f"encode(sha256({_row(columns)}), 'hex')"


def _split(names: str | None) -> tuple[str, ...]:
    return tuple(names.split("\n")) if names else ()
