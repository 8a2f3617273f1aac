"""Tablespaces that WAL makes, found in its bytes before a server replays it: it makes them where its source had them. Pure.

Source: ``XLOG_TBLSPC_CREATE`` in ``commands/tablespace.h``, ``access/xlogrecord.h``; alike in PostgreSQL 13 to 18. The record has
no blocks: a header of 24 bytes, a data header, then ``xl_tblspc_create_rec``: the oid, and the path, which ends with a zero byte.

A segment is searched for the few bytes that are always the same, which takes a hundredth of what reading each record would. What
is found counts where its checksum agrees and where the records of its page lead to it: rows may hold any bytes.
"""

from __future__ import annotations

import re
import struct
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator

import google_crc32c

from understudy.repository.wal_records import WAL_PAGE_BYTES
from understudy.vocabulary.wal import WalSegment

ReadBytes = Callable[[int, int], bytes]
"""Of one segment: so many bytes from an offset on."""

_CREATE = re.compile(rb"\x05\x00\x00.{4}(?:\xff.|\xfe.{4}).{4}(/[^\x00]+)\x00", re.DOTALL)
"""From the resource manager on, which is ``RM_TBLSPC_ID``: padding, checksum, data header, oid, path."""
_MANAGER_OFFSET = 17
_CREATES = 0x00
"""``XLOG_TBLSPC_CREATE``, in the upper half of the record's info."""
_HEADER = struct.Struct("<IIQBBxxI")
_CHECKED_HEADER_BYTES = 20
_ALIGNMENT = 8
_PAGE_HEADER = struct.Struct("<HHIQI")
_PAGE_HEADER_BYTES = 24
_FIRST_PAGE_HEADER_BYTES = 40
_BEGINS_WITH_REST = 0x0001
_PAGES_AT_ONCE = 128
_NEIGHBOURS = 64
"""So many segments behind the newest one are still waited for: they are fetched side by side, and far from so many."""


class TablespaceSearch:
    """In the segments of one replay, in whatever order they come. Several threads may look at once."""

    def __init__(self, segment_bytes: int) -> None:
        self._segment_bytes = segment_bytes
        self._lock = threading.Lock()
        self._edges: dict[int, dict[int, tuple[bytes, bytes]]] = {}
        """First and last page of what was seen, by the segment's number and its timeline: a record may begin in one segment
        and end in the next, whichever of them comes first."""

    def made_in(self, segment: WalSegment, read: ReadBytes) -> tuple[str, ...]:
        """The paths of the tablespaces that this segment makes, or together with one beside it that was looked at before."""
        found: dict[str, None] = {}
        step = (_PAGES_AT_ONCE - 1) * WAL_PAGE_BYTES  # one page is looked at twice, for a record that goes on there
        for offset in range(0, self._segment_bytes, step):
            content = read(offset, min(_PAGES_AT_ONCE * WAL_PAGE_BYTES, self._segment_bytes - offset))
            found |= dict.fromkeys(_made_on(content, first_of_segment=0 if offset == 0 else None))
        for joined in self._joined(segment, read):
            found |= dict.fromkeys(_made_on(joined, first_of_segment=1))
        return tuple(found)

    def _joined(self, segment: WalSegment, read: ReadBytes) -> list[bytes]:
        """The two pages at each border with a segment that is known."""
        first, last = read(0, WAL_PAGE_BYTES), read(self._segment_bytes - WAL_PAGE_BYTES, WAL_PAGE_BYTES)
        with self._lock:
            before = self._edges.get(segment.number - 1, {})
            behind = self._edges.get(segment.number + 1, {})
            self._edges.setdefault(segment.number, {})[segment.timeline] = (first, last)
            for number in [each for each in self._edges if each < segment.number - _NEIGHBOURS]:
                del self._edges[number]
            return [end + first for _, end in before.values()] + [last + begin for begin, _ in behind.values()]


def _made_on(content: bytes, first_of_segment: int | None) -> Iterator[str]:
    """On consecutive pages, by records that begin and end there.

    Args:
        first_of_segment: Which of the pages begins a segment, if one does: its header is longer.
    """
    pages = range(len(content) // WAL_PAGE_BYTES)
    bodies, starts, length = [], [], 0
    for page in pages:
        header = _FIRST_PAGE_HEADER_BYTES if page == first_of_segment else _PAGE_HEADER_BYTES
        bodies.append(content[page * WAL_PAGE_BYTES + header : (page + 1) * WAL_PAGE_BYTES])
        starts.append(length)
        length += len(bodies[-1])
    stream = b"".join(bodies)
    match = _CREATE.search(stream)
    while match is not None:
        begins = match.start() - _MANAGER_OFFSET
        if begins >= 0 and _is_create(stream, begins):
            page = bisect_right(starts, begins) - 1
            if _leads_to(content[page * WAL_PAGE_BYTES :], bodies[page], begins - starts[page]):
                yield match.group(1).decode(errors="surrogateescape")
        match = _CREATE.search(stream, match.start() + 1)


def _is_create(stream: bytes, begins: int) -> bool:
    """Whether a whole record lies there, right by its checksum."""
    total, _, _, info, _, checksum = _HEADER.unpack_from(stream, begins)
    if info & 0xF0 != _CREATES or begins % _ALIGNMENT or not _HEADER.size < total <= len(stream) - begins:
        return False
    data = google_crc32c.value(stream[begins + _HEADER.size : begins + total])
    return bool(google_crc32c.extend(data, stream[begins : begins + _CHECKED_HEADER_BYTES]) == checksum)


def _leads_to(page: bytes, body: bytes, wanted: int) -> bool:
    """Whether a record begins at this offset behind the page's header, as the records before it on the page say."""
    _, info, _, _, rest_bytes = _PAGE_HEADER.unpack_from(page)
    at = _aligned(rest_bytes) if info & _BEGINS_WITH_REST else 0
    while at < wanted:
        length = int.from_bytes(body[at : at + 4], "little")
        if length < _HEADER.size:
            return False
        at += _aligned(length)
    return at == wanted


def _aligned(count: int) -> int:
    return -(-count // _ALIGNMENT) * _ALIGNMENT
