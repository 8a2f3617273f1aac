"""Collations that sort by other rules here than where the data come from, and the indexes that were built by the old ones.

Source: PostgreSQL manual, "ALTER COLLATION", notes on versions. The database's default collation has a recorded version since
PostgreSQL 15, and no entry in ``pg_depend``. Other kinds of object that depend on an order (range partitions, constraints) are
not listed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from understudy.ports.instance import ChangedCollation, CollationChanges

_NAMED_INDEXES = 100
"""So many are named; all are counted."""

_DEFAULT_SINCE_MAJOR = 15
_USED = """
used AS MATERIALIZED (
    SELECT unnest(indcollation) AS oid FROM pg_index
    UNION SELECT refobjid FROM pg_depend WHERE refclassid = 'pg_collation'::regclass)"""
_NAMED = """
SELECT c.oid, format('collation %I.%I', n.nspname, c.collname) AS name, c.collversion AS recorded,
       pg_collation_actual_version(c.oid) AS actual
  FROM pg_collation c JOIN used ON used.oid = c.oid JOIN pg_namespace n ON n.oid = c.collnamespace
 WHERE c.collversion IS NOT NULL"""
_DEFAULT = """
UNION ALL
SELECT 100, format('default of database %I', datname), datcollversion, pg_database_collation_actual_version(oid)
  FROM pg_database WHERE datname = current_database() AND datcollversion IS NOT NULL"""
_CHANGED = "WITH {used}, versions AS ({versions}), changed AS (SELECT * FROM versions WHERE recorded IS DISTINCT FROM actual)"
_COLLATIONS = "SELECT name, recorded, actual FROM changed ORDER BY name"
_INDEXES = """
SELECT format('%I.%I', n.nspname, c.relname)
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid AND c.relkind = 'i' JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE EXISTS (
       SELECT FROM changed
        WHERE changed.oid = ANY (i.indcollation)
           OR concat(i.indexprs, i.indpred) ~ format('coll(id|Oid) %s\\M', changed.oid))
 ORDER BY 1"""
"""Expressions and predicates compare by a collation that neither ``indcollation`` nor ``pg_depend`` tells; their trees do."""


def changed_collations(query: Callable[[str], Sequence[Sequence[str | None]]], major: int) -> CollationChanges:
    """``query`` asks the database in question."""
    versions = _NAMED + (_DEFAULT if major >= _DEFAULT_SINCE_MAJOR else "")
    changed = _CHANGED.format(used=_USED, versions=versions)
    collations = tuple(
        ChangedCollation(str(name), str(recorded), actual) for name, recorded, actual in query(changed + _COLLATIONS)
    )
    indexes = [str(name) for (name,) in query(changed + _INDEXES)] if collations else []
    return CollationChanges(collations, tuple(indexes[:_NAMED_INDEXES]), len(indexes))
