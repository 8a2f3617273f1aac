"""What a database is read in: pieces that several connections can share, each a query over a part of one relation.

What ``pg_dump`` reads of user data, and the rows of materialized views, which it leaves out. Not read: unlogged tables, which
come back empty; foreign tables, whose rows are elsewhere; temporary ones; generated columns that are not stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

RANGES_SINCE_MAJOR = 14
"""Before it, a range of row ids is found by reading the whole table."""

_PIECE_BYTES = 64 << 20

SESSION = (
    b"SET search_path TO ''",
    # Nothing ends a long read, nothing hides damage, and no index stands in for its table.
    b"""
    SELECT set_config(name, value, false)
      FROM (VALUES ('statement_timeout', '0'), ('lock_timeout', '0'), ('transaction_timeout', '0'),
                   ('idle_in_transaction_session_timeout', '0'), ('idle_session_timeout', '0'), ('row_security', 'off'),
                   ('ignore_checksum_failure', 'off'), ('zero_damaged_pages', 'off'), ('max_parallel_workers_per_gather', '0'),
                   ('enable_indexscan', 'off'), ('enable_indexonlyscan', 'off'), ('enable_bitmapscan', 'off'),
                   ('enable_tidscan', 'on'), ('jit', 'off')) AS wanted (name, value)
      JOIN pg_settings USING (name)""",
)

# The names stay as the server's bytes: in a database of encoding SQL_ASCII they may be anything.
RELATIONS = b"""
SELECT format('%I.%I', n.nspname, c.relname),
       c.relkind,
       pg_relation_size(c.oid) + coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)), 0) AS size_bytes,
       CASE WHEN a.amname = 'heap' THEN pg_relation_size(c.oid) / current_setting('block_size')::int END,
       (SELECT string_agg(format('%I', attname), ', ' ORDER BY attnum) FROM pg_attribute
         WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated <> 'v')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_am a ON a.oid = c.relam
 WHERE c.relkind IN ('r', 'm', 'S') AND c.relpersistence = 'p' AND c.relispopulated
   AND n.nspname NOT IN ('pg_catalog', 'information_schema')
 ORDER BY size_bytes DESC, 1"""

LARGE_OBJECTS = b"""
SELECT count(*), pg_relation_size('pg_largeobject'), (SELECT count(*) FROM pg_class WHERE relkind = 'f')
  FROM pg_largeobject_metadata"""

LARGE_OBJECT_BOUNDS = b"""
SELECT oid FROM (SELECT oid, row_number() OVER (ORDER BY oid) AS number FROM pg_largeobject_metadata) AS numbered
 WHERE number % 1000 = 0 ORDER BY oid"""


@dataclass(frozen=True, slots=True)
class ReadPiece:
    name: str
    """For people."""
    query: bytes
    settings: bytes
    """How the rows are to be found."""
    size_bytes: int
    counts_rows: bool = False


_IN_ORDER = b"SET LOCAL enable_seqscan TO on"
_BY_ROW_ID = b"SET LOCAL enable_seqscan TO off"
_BY_INDEX = b"SET LOCAL enable_seqscan TO off; SET LOCAL enable_indexscan TO on"


def relation_pieces(row: Sequence[bytes | None], major: int) -> Iterator[ReadPiece]:
    """Of one row of ``RELATIONS``. The last range has no end, so that nothing behind it is missed."""
    relation, kind, size, blocks, columns = row
    name, size_bytes = (relation or b"").decode(errors="replace"), int(size or 0)
    query = b"SELECT %s FROM ONLY %s" % (columns or b"", relation or b"")
    count = min(int(blocks or 1), -(-size_bytes // _PIECE_BYTES)) if major >= RANGES_SINCE_MAJOR else 1
    if count <= 1:
        yield ReadPiece(name, query, _IN_ORDER, size_bytes, kind != b"S")
        return
    step = -(-int(blocks or 1) // count)
    starts = range(0, int(blocks or 1), step)
    for start in starts:
        where = b" WHERE ctid >= '(%d,0)'" % start
        if start != starts[-1]:
            where += b" AND ctid < '(%d,0)'" % (start + step)
        yield ReadPiece(f"{name} from block {start} on", query + where, _BY_ROW_ID, size_bytes // len(starts), counts_rows=True)


def large_object_pieces(bounds: Sequence[int], size_bytes: int) -> Iterator[ReadPiece]:
    """A thousand objects each, through their index, as whoever opens one finds it."""
    yield ReadPiece(
        "pg_largeobject_metadata", b"SELECT oid, lomowner, lomacl FROM pg_catalog.pg_largeobject_metadata", _IN_ORDER, 0
    )
    starts = [0, *bounds]
    for start, end in zip(starts, [*bounds, None], strict=True):
        query = b"SELECT loid, pageno, data FROM pg_catalog.pg_largeobject WHERE loid >= %d" % start
        if end is not None:
            query += b" AND loid < %d" % end
        yield ReadPiece(f"large objects from {start} on", query, _BY_INDEX, size_bytes // len(starts))
