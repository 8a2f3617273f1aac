"""When the newest transaction committed, from the records of a segment. Of a real server: ``tests/cli/test_adopting.py``."""

import struct
from datetime import UTC, datetime, timedelta

from tests.repository.test_wal_tablespaces import SEGMENT_BYTES, record, rows, segments_of
from understudy.repository.wal_commits import newest_commit

TRANSACTIONS, COMMIT, ABORT, PREPARED = 1, 0x00, 0x20, 0x30
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def ended(moment, info=COMMIT, beyond=b""):
    return record(
        TRANSACTIONS, struct.pack("<q", (moment - datetime(2000, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)) + beyond, info
    )


def newest_in(*records):
    [(_, read)] = segments_of(records)
    return newest_commit(read(offset, 1000) for offset in range(0, SEGMENT_BYTES, 1000))


def test_the_newest_commit_of_a_segment_is_found_on_whichever_page_it_lies():
    later = NOON + timedelta(seconds=1, microseconds=5)
    assert newest_in(ended(NOON)) == NOON
    assert newest_in(rows(8000), ended(NOON), rows(10000), ended(later), rows(64)) == later
    assert newest_in(ended(later), ended(NOON)) == later
    assert newest_in(ended(NOON, info=PREPARED | 0x80, beyond=bytes(300))) == NOON


def test_what_is_no_commit_or_damaged_tells_nothing():
    assert newest_in(rows(64)) is None
    assert newest_in(ended(NOON, info=ABORT)) is None
    damaged = bytearray(ended(NOON))
    damaged[26] ^= 1
    assert newest_in(bytes(damaged)) is None
    assert newest_commit([bytes(SEGMENT_BYTES)]) is None
