"""When the newest transaction of a stored segment committed, read from its records. Pure.

Source: ``xl_xact_commit`` in ``access/xact.h``, ``access/xlogrecord.h``; alike in PostgreSQL 13 to 18. A commit's record refers
to no blocks: a header of 24 bytes, perhaps an origin and a transaction, the data header, then the time in microseconds since
2000.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import google_crc32c

from understudy.repository.wal_records import WAL_PAGE_BYTES

_PAGE_HEADER = struct.Struct("<HHIQI")
_PAGE_HEADER_BYTES, _FIRST_PAGE_HEADER_BYTES = 24, 40
_BEGINS_WITH_REST = 0x0001
_LONG_HEADER = 0x0002
"""``XLP_LONG_HEADER``: of a segment's first page."""
_RECORD_HEADER = struct.Struct("<IIQBBxxI")
_CHECKED_HEADER_BYTES = 20
_ALIGNMENT = 8
_TRANSACTIONS = 1
"""``RM_XACT_ID``."""
_OPERATION = 0x70
_COMMITS = (0x00, 0x30)
"""``XLOG_XACT_COMMIT``, ``XLOG_XACT_COMMIT_PREPARED``."""
_PASSED_OVER = {253: 3, 252: 5}
"""Bytes of what may stand before the data header: the origin, the transaction above a sub-transaction."""
_DATA_HEADERS = {255: 2, 254: 5}
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def newest_commit(pieces: Iterable[bytes]) -> datetime | None:
    """Of one segment, from its beginning on. A record that goes on on another page is left out, so that it may be somewhat later.

    None: it holds no commit.
    """
    newest: datetime | None = None
    for page in _pages(pieces):
        for moment in _commits_on(page):
            newest = moment if newest is None else max(newest, moment)
    return newest


def _pages(pieces: Iterable[bytes]) -> Iterator[bytes]:
    left = b""
    for piece in pieces:
        left += piece
        whole = len(left) - len(left) % WAL_PAGE_BYTES
        for start in range(0, whole, WAL_PAGE_BYTES):
            yield left[start : start + WAL_PAGE_BYTES]
        left = left[whole:]


def _commits_on(page: bytes) -> Iterator[datetime]:
    _, info, _, _, rest_bytes = _PAGE_HEADER.unpack_from(page)
    at = _FIRST_PAGE_HEADER_BYTES if info & _LONG_HEADER else _PAGE_HEADER_BYTES
    if info & _BEGINS_WITH_REST:
        at += -(-rest_bytes // _ALIGNMENT) * _ALIGNMENT
    while at + _RECORD_HEADER.size <= len(page):
        total, _, _, record_info, manager, checksum = _RECORD_HEADER.unpack_from(page, at)
        if total < _RECORD_HEADER.size or at + total > len(page):
            return
        if manager == _TRANSACTIONS and record_info & _OPERATION in _COMMITS:
            moment = _time_in(page[at : at + total], checksum)
            if moment is not None:
                yield moment
        at += -(-total // _ALIGNMENT) * _ALIGNMENT


def _time_in(record: bytes, checksum: int) -> datetime | None:
    data = google_crc32c.value(record[_RECORD_HEADER.size :])
    if google_crc32c.extend(data, record[:_CHECKED_HEADER_BYTES]) != checksum:
        return None
    at = _RECORD_HEADER.size
    while at < len(record) and record[at] in _PASSED_OVER:
        at += _PASSED_OVER[record[at]]
    at += _DATA_HEADERS.get(record[at], len(record)) if at < len(record) else 0
    if at + 8 > len(record):
        return None
    return _EPOCH + timedelta(microseconds=int.from_bytes(record[at : at + 8], "little", signed=True))
