"""The names of superusers and databases, read from a data directory.

The bootstrap superuser is ``postgres`` only by custom, and so is the database; nobody can be asked for either before the first
connection, and the first connection needs both.

Sources: ``src/backend/utils/cache/relmapper.c`` (``pg_filenode.map``: magic, count, pairs of oid and file number),
``storage/bufpage.h``, ``storage/itemid.h`` and ``access/htup_details.h`` (heap pages); ``pg_authid`` and ``pg_database`` begin
with ``oid`` and a name since PostgreSQL 12, ``pg_authid`` goes on with ``rolsuper``, ``rolinherit``, ``rolcreaterole``,
``rolcreatedb``, ``rolcanlogin``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CUSTOMARY_SUPERUSER = "postgres"
CUSTOMARY_DATABASES = ("postgres", "template1")
"""That ``initdb`` makes; both can be dropped."""

_PG_AUTHID = 1260
_PG_DATABASE = 1262
_BOOTSTRAP_OID = 10
_NOT_CONNECTABLE = "template0"
_MAP_MAGIC = 0x592717
_PAGE_BYTES = 8192
_PAGE_HEADER_BYTES = 24
_LINE_POINTER_NORMAL = 1
_XMAX_INVALID = 0x0800
_NAME_BYTES = 64
_IS_SUPERUSER, _MAY_LOG_IN = 0, 4
"""Which of the bytes behind a role's name."""


@dataclass(frozen=True, slots=True)
class _Row:
    oid: int
    name: str
    rest: bytes
    live: bool
    """As far as its page tells: a server at work may hold a newer one in memory."""


def superusers(directory: str) -> tuple[str, ...]:
    """Names, the one first that most likely lets us in; never empty.

    The bootstrap superuser (oid 10) where it may log in, then others that may; then those that may not, or no longer: what lies
    on disk can be older than what the server knows.
    """
    rows = [row for row in _rows(directory, _PG_AUTHID) if row.oid == _BOOTSTRAP_OID or row.rest[_IS_SUPERUSER]]
    rows.sort(key=lambda row: (not (row.live and row.rest[_MAY_LOG_IN]), not row.live, row.oid != _BOOTSTRAP_OID, row.oid))
    return tuple(dict.fromkeys(row.name for row in rows)) or (CUSTOMARY_SUPERUSER,)


def databases(directory: str) -> tuple[str, ...]:
    """Names, the customary ones first; never empty. Whether one can be connected to, the server says."""
    rows = sorted(_rows(directory, _PG_DATABASE), key=lambda row: (not row.live, row.oid))
    found = [row.name for row in rows if row.name != _NOT_CONNECTABLE]
    live = {row.name for row in rows if row.live}
    customary = [name for name in CUSTOMARY_DATABASES if name in live]
    return tuple(dict.fromkeys([*customary, *found, *CUSTOMARY_DATABASES]))


def _rows(directory: str, catalog: int) -> list[_Row]:
    """All row versions; none where the catalog cannot be read (yet)."""
    shared = Path(directory) / "global"
    try:
        content = (shared / str(_file_number((shared / "pg_filenode.map").read_bytes(), catalog))).read_bytes()
    except (OSError, ValueError):
        return []
    offsets = range(0, len(content) - _PAGE_BYTES + 1, _PAGE_BYTES)
    return [row for offset in offsets for row in _rows_of_page(content[offset : offset + _PAGE_BYTES])]


def _file_number(mapping: bytes, catalog: int) -> int:
    """
    Raises:
        ValueError: the map is cut off, or has no entry for the catalog.
    """
    try:
        magic, count = struct.unpack_from("=ii", mapping)
        pairs = dict(struct.unpack_from("=II", mapping, 8 + 8 * index) for index in range(count))
    except struct.error as error:
        raise ValueError("pg_filenode.map is cut off") from error
    if magic != _MAP_MAGIC or catalog not in pairs:
        raise ValueError(f"pg_filenode.map does not map {catalog}")
    return int(pairs[catalog])


def _rows_of_page(page: bytes) -> Iterator[_Row]:
    (lower,) = struct.unpack_from("=H", page, 12)
    for position in range(_PAGE_HEADER_BYTES, min(lower, _PAGE_BYTES - 3), 4):
        (pointer,) = struct.unpack_from("=I", page, position)
        start, flags, length = pointer & 0x7FFF, (pointer >> 15) & 3, pointer >> 17
        row = page[start : start + length]
        if flags != _LINE_POINTER_NORMAL or len(row) < 23:
            continue
        (xmax,) = struct.unpack_from("=I", row, 4)
        (infomask,) = struct.unpack_from("=H", row, 20)
        values = row[row[22] :]
        rest = values[4 + _NAME_BYTES :]
        if len(rest) <= _MAY_LOG_IN:
            continue
        name = values[4 : 4 + _NAME_BYTES].rstrip(b"\0").decode(errors="replace")
        yield _Row(struct.unpack_from("=I", values)[0], name, rest, live=xmax == 0 or bool(infomask & _XMAX_INVALID))
