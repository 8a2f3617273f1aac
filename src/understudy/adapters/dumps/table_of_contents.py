"""What pg_restore lists of a dump, and what a table's file says by itself. Pure, but for reading the file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TABLE_DATA = re.compile(r"^(\d+); \d+ (\d+) TABLE DATA ", re.MULTILINE)
_PIECE_BYTES = 1024 * 1024
_END = b"\\.\n"
"""What COPY ends with; pg_dump writes two empty lines behind it."""


@dataclass(frozen=True, slots=True)
class TableData:
    """A file of the dump that holds the rows of one table."""

    file: str
    table_oid: int


def table_data(listed: str) -> Iterator[TableData]:
    """
    Args:
        listed: What ``pg_restore --list`` wrote: ``<id>; <catalog> <oid> TABLE DATA <schema> <name> <owner>``. The file is called
            by the id; names may hold anything, so the table is told by its oid.
    """
    for found in _TABLE_DATA.finditer(listed):
        yield TableData(f"{found[1]}.dat", int(found[2]))


@dataclass(frozen=True, slots=True)
class FileSeen:
    size_bytes: int
    sha256: str
    lines: int


def see_file(path: Path) -> FileSeen:
    """Raises OSError."""
    digest, size_bytes, lines = hashlib.sha256(), 0, 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
            size_bytes += len(piece)
            lines += piece.count(b"\n")
    return FileSeen(size_bytes, digest.hexdigest(), lines)


def rows_in(path: Path, seen: FileSeen) -> int | None:
    """Of a table's file in COPY's text format, where each row is a line. None: it does not end as COPY does, so it is cut off."""
    tail = _END + b"\n\n"
    if seen.size_bytes < len(tail):
        return None
    with path.open("rb") as file:
        file.seek(seen.size_bytes - len(tail))
        if file.read() != tail:
            return None
    return seen.lines - tail.count(b"\n")
