"""Applying one file of an incremental backup (PostgreSQL 17 and newer) onto the parent's file, while it streams.

Source: ``pg_combinebackup/reconstruct.c`` and ``basebackup_incremental.h``. ``INCREMENTAL.<name>`` holds, little-endian, a magic
number, a count of blocks, the truncation length in blocks, the blocks' numbers, zeros up to a multiple of the block size (only
when there are blocks), and the blocks. The restored file is as long as the truncation length, or as its highest block demands;
what neither this backup nor its parent holds is zero.

One application after another gives what ``pg_combinebackup`` gives from the whole chain at once, except in one place, where this
is the truer: when a file shrank before one incremental and grew again before the next by pages that never saw WAL, those pages
are zero on the server and here, while ``pg_combinebackup`` looks past the shrinking and takes the full backup's old ones.
"""

from __future__ import annotations

import os
import struct
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from understudy.repository.tar_stream import ByteReader
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.wal import Lsn, Timeline

PREFIX = "INCREMENTAL."
DEFAULT_BLOCK_BYTES = 8192
_MAGIC = 0xD3AE1F0D
_FIXED = struct.Struct("<III")
_SEGMENT_BYTES = 1024**3
"""A relation's file is never longer (``RELSEG_SIZE`` blocks)."""
_RUN_BYTES = 1024 * 1024
_PARENT_LINES = (b"INCREMENTAL FROM LSN: ", b"INCREMENTAL FROM TLI: ")


@dataclass(frozen=True, slots=True)
class IncrementalParent:
    """What a ``backup_label`` says of the backup that its own stands on: where that one started."""

    start: Lsn
    timeline: Timeline


def full_path(path: str) -> str | None:
    """The file that ``path`` is an increment of, or None when ``path`` is a whole file.

    Only directories that hold relations count, as for ``pg_combinebackup``: somebody's ``INCREMENTAL.conf`` elsewhere is a file.
    """
    directory, _, name = path.rpartition("/")
    if not name.startswith(PREFIX):
        return None
    if directory != "global" and not directory.startswith(("base/", "pg_tblspc/")):
        return None
    return f"{directory}/{name.removeprefix(PREFIX)}"


def apply_incremental(
    descriptor: int, path: str, size_bytes: int, content: Iterable[bytes], block_bytes: int = DEFAULT_BLOCK_BYTES
) -> int:
    """Bring the parent's file, open for writing as ``descriptor``, to the state that the incremental file describes.

    ``size_bytes`` is the length of ``content``. Applying the same content again changes nothing. ``content`` is consumed to
    its end unless this raises. Returns how many blocks it wrote.

    Raises:
        GiveUp: ``incremental_corrupt``; the file may be half changed by then.
    """
    reader = ByteReader(content)
    truncated_blocks, numbers = _read_header(reader, path, size_bytes, block_bytes)
    found_bytes = os.fstat(descriptor).st_size
    # Three steps, because blocks between the truncation length and a higher one that is listed must read as zero. Most files did
    # not change at all, and to set the length that they have would be a write to each of them.
    cut_bytes = min(found_bytes // block_bytes, truncated_blocks) * block_bytes
    wanted_bytes = max(truncated_blocks, max(numbers, default=-1) + 1) * block_bytes
    if cut_bytes != found_bytes:
        os.ftruncate(descriptor, cut_bytes)
    if wanted_bytes != cut_bytes:
        os.ftruncate(descriptor, wanted_bytes)
    for first, count in _runs(numbers, max(1, _RUN_BYTES // block_bytes)):
        _write_at(descriptor, _take(reader, count * block_bytes, path), first * block_bytes)
    for _surplus in reader.remainder():
        raise _corrupt(path, "bytes behind the last block", f"{size_bytes} bytes")
    return len(numbers)


def without_parent_lines(label: bytes) -> bytes:
    """A ``backup_label`` as it must lie beside restored full files: the server refuses to start with ``INCREMENTAL FROM``."""
    return b"".join(line for line in label.splitlines(keepends=True) if not line.startswith(_PARENT_LINES))


def parent_in_label(label: bytes) -> IncrementalParent | None:
    """What the ``INCREMENTAL FROM`` lines say; None in a full backup's label.

    Raises:
        ValueError: only one of the two lines is there, or one is damaged.
    """
    values = {line[:21]: line[21:].strip().decode("ascii") for line in label.splitlines() if line.startswith(_PARENT_LINES)}
    if not values:
        return None
    if len(values) != 2:
        raise ValueError("backup_label names its parent's position or timeline, but not both")
    start, timeline = (values[line[:21]] for line in _PARENT_LINES)
    return IncrementalParent(Lsn.parse(start), Timeline(int(timeline)))


def _read_header(reader: ByteReader, path: str, size_bytes: int, block_bytes: int) -> tuple[int, array[int]]:
    """The truncation length in blocks and the numbers of the blocks that follow; the reader stands before the first block."""
    magic, count, truncated_blocks = _FIXED.unpack(_take(reader, _FIXED.size, path))
    if magic != _MAGIC:
        raise _corrupt(path, f"the magic number {magic:#x}", f"{_MAGIC:#x}")
    limit = _SEGMENT_BYTES // block_bytes
    if count > limit or truncated_blocks > limit:
        raise _corrupt(path, f"{count} blocks, truncated to {truncated_blocks}", f"at most {limit}")
    header_bytes = _FIXED.size + 4 * count
    padding_bytes = -header_bytes % block_bytes if count else 0
    expected_bytes = header_bytes + padding_bytes + count * block_bytes
    if size_bytes != expected_bytes:
        raise _corrupt(path, f"{size_bytes} bytes for {count} blocks", f"{expected_bytes} with blocks of {block_bytes} bytes")
    numbers = array("I", struct.unpack(f"<{count}I", _take(reader, 4 * count, path)))
    if any(number >= limit for number in numbers):
        raise _corrupt(path, f"the block number {max(numbers)}", f"less than {limit}")
    _take(reader, padding_bytes, path)
    return truncated_blocks, numbers


def _take(reader: ByteReader, size_bytes: int, path: str) -> bytes:
    taken = reader.exactly(size_bytes)
    if len(taken) < size_bytes:
        raise _corrupt(path, f"an end after {len(taken)} of the next {size_bytes} bytes", "a whole file")
    return taken


def _runs(numbers: array[int], longest: int) -> Iterator[tuple[int, int]]:
    """Blocks that follow each other, as (first, count): one write each."""
    first, count = 0, 0
    for number in numbers:
        if count and number == first + count and count < longest:
            count += 1
            continue
        if count:
            yield first, count
        first, count = number, 1
    if count:
        yield first, count


def _write_at(descriptor: int, content: bytes, offset: int) -> None:
    view = memoryview(content)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view = view[written:]
        offset += written


def _corrupt(path: str, found: str, expected: str) -> GiveUp:
    return GiveUp(
        "incremental_corrupt",
        found=f"{path}: {found}",
        expected=expected,
        hint="restore the backup before this incremental one, or use another repository",
    )
