"""Records that make tablespaces, wherever they lie in the WAL. That real servers write them so: ``test_old_tablespaces``."""

import struct

import google_crc32c
import pytest

from understudy.repository.wal_tablespaces import TablespaceSearch
from understudy.vocabulary.wal import Timeline, WalSegment

PAGE = 8192
SEGMENT_BYTES = 4 * PAGE
PATH = "/srv/late"
HEADER_BYTES = 24
ROWS, TABLESPACES = 10, 5
"""Resource managers."""


def record(manager, data, info=0):
    data = (struct.pack("<BB", 255, len(data)) if len(data) < 256 else struct.pack("<BI", 254, len(data))) + data
    header = struct.pack("<IIQBBxx", HEADER_BYTES + len(data), 7, 0, info, manager)
    content = header + struct.pack("<I", google_crc32c.extend(google_crc32c.value(data), header)) + data
    return content.ljust(-(-len(content) // 8) * 8, b"\0")


def creation(path=PATH):
    return record(TABLESPACES, struct.pack("<I", 16400) + path.encode() + b"\0")


def rows(length):
    """A record of so many bytes in all, a multiple of 8."""
    data_bytes = length - HEADER_BYTES - 5
    return record(ROWS, bytes(data_bytes))


def segments_of(records):
    """What a server would write from the beginning of segment 1 on, as (segment, how its bytes are read)."""
    stream, begins = b"".join(records), []
    at = 0
    for each in records:
        begins.append(at)
        at += len(each)
    pages, taken = [], 0
    while taken < len(stream) or len(pages) % (SEGMENT_BYTES // PAGE):
        first = len(pages) % (SEGMENT_BYTES // PAGE) == 0
        rest = next((begin - taken for begin in begins if begin >= taken), len(stream) - taken)
        info = (2 if first else 0) | (1 if rest and taken < len(stream) else 0)
        header = struct.pack("<HHIQI", 0xD116, info, 1, SEGMENT_BYTES + len(pages) * PAGE, max(0, rest))
        header = header.ljust(40 if first else 24, b"\0")
        body = stream[taken : taken + PAGE - len(header)]
        taken += len(body)
        pages.append((header + body).ljust(PAGE, b"\0"))
    whole = b"".join(pages)
    contents = [whole[start : start + SEGMENT_BYTES] for start in range(0, len(whole), SEGMENT_BYTES)]
    return [(WalSegment(Timeline(1), 1 + number, SEGMENT_BYTES), reader(each)) for number, each in enumerate(contents)]


def reader(content):
    return lambda offset, size: content[offset : offset + size]


def found_in(segments):
    search = TablespaceSearch(SEGMENT_BYTES)
    return [path for segment, read in segments for path in search.made_in(segment, read)]


def bodies(pages):
    """How many bytes of records so many pages of a segment hold."""
    return pages * (PAGE - 24) - 16


AROUND_A_BORDER = range(-len(creation()) - 8, 16, 8)


@pytest.mark.parametrize("pages", [1, 4], ids=["page", "segment"])
@pytest.mark.parametrize("offset", AROUND_A_BORDER)
def test_a_tablespace_is_found_wherever_its_record_lies_and_whichever_segment_comes_first(pages, offset):
    segments = segments_of([rows(bodies(pages) + offset), creation(), rows(bodies(4))])
    assert set(found_in(segments)) == {PATH}
    assert set(found_in(reversed(segments))) == {PATH}


def test_a_long_path_is_found_and_several_on_one_page():
    long = "/" + "d" * 900
    assert set(found_in(segments_of([rows(800), creation(long), creation(), rows(64)]))) == {long, PATH}


def test_one_that_is_dropped_makes_none():
    dropped = record(TABLESPACES, struct.pack("<I", 16400) + b"/srv/late\0", info=0x10)
    assert found_in(segments_of([rows(800), dropped, rows(64)])) == []


@pytest.mark.parametrize("before", [800, bodies(1) - 4096])
def test_a_row_that_holds_the_bytes_of_such_a_record_makes_none(before):
    """Else whoever may write a row could have any directory renamed."""
    data = bytes(3) + creation() * 200  # where records may begin, behind a header of 24 bytes and one of 5
    assert found_in(segments_of([rows(before), record(ROWS, data), rows(64)])) == []


def test_a_record_whose_checksum_disagrees_makes_none():
    damaged = bytearray(creation())
    damaged[30] ^= 1
    assert found_in(segments_of([rows(800), bytes(damaged), rows(64)])) == []
