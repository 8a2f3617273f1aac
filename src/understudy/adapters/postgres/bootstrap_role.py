"""The name of the bootstrap superuser (oid 10), read from a data directory.

It is ``postgres`` only by custom, nobody can be asked for it before the first connection, and the first connection needs it.

Sources: ``src/backend/utils/cache/relmapper.c`` (``pg_filenode.map``: magic, count, pairs of oid and file number),
``storage/bufpage.h``, ``storage/itemid.h`` and ``access/htup_details.h`` (heap pages); ``pg_authid`` begins with ``oid`` and
``rolname`` since PostgreSQL 12.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

CUSTOMARY_NAME = "postgres"

_PG_AUTHID = 1260
_BOOTSTRAP_OID = 10
_MAP_MAGIC = 0x592717
_PAGE_BYTES = 8192
_PAGE_HEADER_BYTES = 24
_LINE_POINTER_NORMAL = 1
_XMAX_INVALID = 0x0800
_NAME_BYTES = 64


def bootstrap_superuser(directory: str) -> str:
    """The role's name; ``postgres`` when the catalog cannot be read (yet)."""
    shared = Path(directory) / "global"
    try:
        content = (shared / str(_file_number((shared / "pg_filenode.map").read_bytes()))).read_bytes()
    except (OSError, ValueError):
        return CUSTOMARY_NAME
    name = CUSTOMARY_NAME
    for offset in range(0, len(content) - _PAGE_BYTES + 1, _PAGE_BYTES):
        for found in _live_names(content[offset : offset + _PAGE_BYTES]):
            name = found
    return name


def _file_number(mapping: bytes) -> int:
    """
    Raises:
        ValueError: the map is cut off, or has no entry for ``pg_authid``.
    """
    try:
        magic, count = struct.unpack_from("=ii", mapping)
        pairs = dict(struct.unpack_from("=II", mapping, 8 + 8 * index) for index in range(count))
    except struct.error as error:
        raise ValueError("pg_filenode.map is cut off") from error
    if magic != _MAP_MAGIC or _PG_AUTHID not in pairs:
        raise ValueError("pg_filenode.map does not map pg_authid")
    return int(pairs[_PG_AUTHID])


def _live_names(page: bytes) -> Iterator[str]:
    """Names in the row versions of oid 10 that nobody replaced."""
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
        if len(values) < 4 + _NAME_BYTES or struct.unpack_from("=I", values)[0] != _BOOTSTRAP_OID:
            continue
        if xmax == 0 or infomask & _XMAX_INVALID:
            yield values[4 : 4 + _NAME_BYTES].rstrip(b"\0").decode(errors="replace")
