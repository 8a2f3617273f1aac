"""Records that real servers wrote, cut off and damaged anywhere. What there is to find comes from ``pg_waldump``."""

import functools
import re
from functools import cached_property
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.servers.flavours import Flavour
from tests.servers.postgres import PostgresServer
from understudy.repository.wal_records import WAL_PAGE_BYTES, Behind, SegmentPages, WalRecords
from understudy.vocabulary.wal import Lsn, WalSegment

MIB = 1024 * 1024
SERVERS = [(Flavour.WHEEL_18, 1), (Flavour.DEBIAN_15, 1), (Flavour.WHEEL_16, 4)]

_LOOKED_AT_ONCE_BYTES = 64 * 1024
HEADER_ONLY = 24
"""So long is a switch of segments, and nothing else: it ends where the next segment begins."""


def pages_of(fetch, segment_bytes):
    """Of whole segments, each made once."""
    segment = functools.cache(fetch)
    return SegmentPages(lambda number, offset, size: segment(number)[offset : offset + size], segment_bytes)


class WrittenWal:
    """Consecutive segments of one server, and the records in them as its own program lists them."""

    def __init__(self, content, starts, segment_bytes, listed):
        """``listed``: begin and length of each record, as offsets in ``content``; the last one is whole, too."""
        self.content = content
        self.starts = starts
        self.segment_bytes = segment_bytes
        self.listed = listed

    def records(self, changed=(0, b""), upto=None):
        """Over what is there but for ``changed``, which lies at its offset; only over the first ``upto`` bytes, as a tail holds
        them: up to the last that is not zero."""
        whole = len(self.content)
        held = whole if upto is None else self._last_byte_before(upto, changed)

        def fetch(number):
            offset = number * self.segment_bytes - self.starts.position
            segment = bytearray(self.content[offset : offset + self.segment_bytes])
            _lay_over(segment, offset, changed)
            if held < offset + len(segment):
                cut = max(0, held - offset)
                segment[cut:] = bytes(len(segment) - cut)
            return bytes(segment)

        return WalRecords(pages_of(fetch, self.segment_bytes), self.starts + held)

    def _last_byte_before(self, upto, changed):
        stop = min(upto, len(self.content))
        while stop:
            start = max(0, stop - _LOOKED_AT_ONCE_BYTES)
            piece = bytearray(self.content[start:stop])
            _lay_over(piece, start, changed)
            if last := len(piece.rstrip(b"\0")):
                return start + last
            stop = start
        return 0

    def at(self, offset):
        return self.starts + offset

    def bytes_of(self, index):
        """The offsets of a record's own bytes, without the headers of the pages that it spans."""
        begin, length = self.listed[index]
        own = []
        while length:
            if begin % WAL_PAGE_BYTES == 0:
                begin += 24 if (self.starts.position + begin) % self.segment_bytes else 40
            piece = min(length, WAL_PAGE_BYTES - begin % WAL_PAGE_BYTES)
            own.append(range(begin, begin + piece))
            begin, length = begin + piece, length - piece
        return own

    def end_of(self, index):
        return self.bytes_of(index)[-1].stop

    @cached_property
    def begins(self):
        return [begin for begin, _ in self.listed]

    @cached_property
    def spanning(self):
        """Records that lie on several pages."""
        return [index for index in range(len(self.listed)) if len(self.bytes_of(index)) > 1]


def _lay_over(piece, offset, changed):
    """The part of the change that falls into this piece of the whole, which begins at ``offset``."""
    at, put = changed
    begin, stop = max(at, offset), min(at + len(put), offset + len(piece))
    if begin < stop:
        piece[begin - offset : stop - offset] = put[begin - at : stop - at]


def write_wal(flavour, segment_megabytes):
    """Small records and some that span pages and segments; a segment that is left early; zeros at the end of records."""
    with PostgresServer(flavour, segment_megabytes=segment_megabytes, settings={"wal_keep_size": "1GB"}) as server:
        first = WalSegment.parse(server.sql("select pg_walfile_name(pg_switch_wal() + 1)")[0][0], segment_megabytes * MIB)
        server.sql("create table t (id bigint, filler text); create index on t (id)")
        server.sql("insert into t select n, repeat('x', n % 700) from generate_series(1, 1500) n; checkpoint")
        server.sql("update t set id = id + 1 where id % 3 = 0")
        server.sql(f"select pg_logical_emit_message(false, 'big', repeat('y', {5 * MIB // 2}))")
        server.sql("select pg_switch_wal()")
        server.sql("insert into t values (0, 'behind the switch'); checkpoint")
        server.sql("select pg_logical_emit_message(false, 'zeros', decode(repeat('00', 20000), 'hex'))")
        server.sql("select pg_logical_emit_message(false, 'more', repeat('z', 30000)); insert into t values (-1, '')")
        last = WalSegment.parse(server.sql("select pg_walfile_name(pg_current_wal_flush_lsn())")[0][0], segment_megabytes * MIB)
        server.stop()
        names = [segment.name for segment in first.through(last)]
        content = b"".join((server.data / "pg_wal" / name).read_bytes() for name in names)
        listing = server.program("pg_waldump", "-p", str(server.data / "pg_wal"), names[0], names[-1], check=False).stdout
    found = re.findall(r"len \(rec/tot\): +\d+/ *(\d+),.* lsn: (\S+),", listing)
    listed = tuple((Lsn.parse(lsn).position - first.start.position, int(total)) for total, lsn in found)
    return WrittenWal(content, first.start, segment_megabytes * MIB, listed)


@pytest.fixture(scope="module", params=SERVERS, ids=lambda each: f"{each[0].value}-{each[1]}MB")
def written(request):
    wal = write_wal(*request.param)
    assert len(wal.listed) > 3000
    assert len(wal.spanning) > 50
    assert any(len(wal.bytes_of(index)) > 300 for index in wal.spanning), "one spans segments"
    return wal


anything = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def any_record(wal):
    return st.one_of(st.integers(0, len(wal.listed) - 1), st.sampled_from(wal.spanning), st.just(len(wal.listed) - 1))


def test_every_record_is_found_whole_and_the_next_one_where_it_ends(written):
    records = written.records(upto=written.end_of(len(written.listed) - 1))
    for index, (begin, following) in enumerate(pairwise(written.begins)):
        assert records.behind(written.at(begin)) is Behind.RECORD, index
        page = following - following % WAL_PAGE_BYTES
        header = 24 if (written.starts.position + page) % written.segment_bytes else 40
        end = page if following == page + header else following
        assert records.record_ends_at(written.at(end)) or end % written.segment_bytes == 0, index
    end = written.end_of(len(written.listed) - 1)
    assert records.record_ends_at(written.at(-(-end // 8) * 8))
    assert records.behind(written.at(-(-end // 8) * 8)) is Behind.NOTHING


@anything
@given(data=st.data())
def test_wal_that_was_cut_off_anywhere_is_never_called_damaged(written, data):
    """At a multiple of 8, as servers send it. Replay ends where the first record begins that is not there to its end."""
    index = data.draw(any_record(written))
    begin, end = written.begins[index], written.end_of(index)
    cut = data.draw(st.one_of(st.integers(begin // 8, -(-end // 8)).map(lambda n: n * 8), st.just(-(-begin // 8192) * 8192)))
    records = written.records(upto=cut)
    whole = not any(written.content[cut:end])
    expected = {Behind.RECORD} if whole else {Behind.CUT_OFF, Behind.NOTHING}
    assert records.behind(written.at(begin)) in expected
    if records.reaches > written.at(begin):
        assert records.behind(written.at(begin)) is not Behind.NOTHING
    if written.listed[index][1] > HEADER_ONLY:
        assert records.record_ends_at(written.at(-(-end // 8) * 8)) is whole


@anything
@given(data=st.data())
def test_a_flipped_bit_in_a_record_is_damage_where_another_record_follows(written, data):
    index = data.draw(any_record(written).filter(lambda each: each < len(written.listed) - 1))
    piece = data.draw(st.sampled_from(written.bytes_of(index)))
    at = data.draw(
        st.one_of(st.integers(piece.start, piece.stop - 1), st.integers(piece.start, min(piece.stop, piece.start + 24) - 1))
    )
    flipped = (at, bytes([written.content[at] ^ 1 << data.draw(st.integers(0, 7))]))
    last = data.draw(st.integers(index + 1, min(index + 40, len(written.listed) - 1)))
    records = written.records(flipped, upto=-(-written.end_of(last) // 8) * 8)
    assert records.behind(written.at(written.begins[index])) is Behind.DAMAGE
    assert not records.record_ends_at(written.at(-(-written.end_of(index) // 8) * 8))


@settings(anything, max_examples=25)
@given(data=st.data())
def test_the_whole_records_end_before_the_first_that_is_flipped_or_cut_off(written, data):
    index = data.draw(any_record(written).filter(lambda each: each > 0))
    _begin, end = written.begins[index], written.end_of(index)
    piece = data.draw(st.sampled_from(written.bytes_of(index)))
    at = data.draw(st.integers(piece.start, piece.stop - 1))
    if data.draw(st.booleans()):
        records = written.records((at, bytes([written.content[at] ^ 1 << data.draw(st.integers(0, 7))])))
    else:
        records = written.records(upto=at // 8 * 8)
    found = records.whole_until(records.first_behind(written.starts))
    before = written.at(-(-written.end_of(index - 1) // 8) * 8)
    if written.listed[index - 1][1] == HEADER_ONLY:
        before = written.at(-(-before.bytes_since(written.starts) // written.segment_bytes) * written.segment_bytes)
    if any(written.content[at // 8 * 8 : end]):
        assert found == before
    assert records.record_ends_at(before)


def test_the_records_of_a_segment_are_found_from_its_first_page_on(written):
    last = len(written.listed) - 1
    records = written.records(upto=written.end_of(last))
    for offset in range(0, written.end_of(last), written.segment_bytes):
        first = records.first_behind(written.at(offset))
        assert first.bytes_since(written.starts) in written.begins
        assert records.whole_until(first) == written.at(-(-written.end_of(last) // 8) * 8)


@anything
@given(data=st.data())
def test_a_flipped_bit_in_the_very_last_record_is_never_taken_for_the_end(written, data):
    index = data.draw(any_record(written))
    piece = data.draw(st.sampled_from(written.bytes_of(index)))
    at = data.draw(st.integers(piece.start, piece.stop - 1))
    flipped = (at, bytes([written.content[at] ^ 1 << data.draw(st.integers(0, 7))]))
    end = written.end_of(index)
    records = written.records(flipped, upto=-(-end // 8) * 8)
    found = records.behind(written.at(written.begins[index]))
    in_length = at - written.begins[index] < 4
    ends_in_zeros = -(-records.reaches.position // 8) * 8 < written.at(end).position
    assert found is Behind.DAMAGE or (found is Behind.CUT_OFF and (in_length or ends_in_zeros))


@anything
@given(data=st.data())
def test_zeros_in_place_of_records_are_damage_where_anything_follows(written, data):
    index = data.draw(any_record(written).filter(lambda each: each < len(written.listed) - 1))
    begin = written.begins[index]
    stop = data.draw(st.sampled_from([each.stop for each in written.bytes_of(index)]))
    records = written.records((begin, bytes(stop - begin)), upto=-(-written.end_of(index + 1) // 8) * 8)
    assert records.behind(written.at(begin)) is Behind.DAMAGE


def test_a_complete_segment_whose_end_is_zeros_is_damaged(written):
    """Without a switch there is no room left behind the last record of a complete segment."""
    index = next(n for n in written.spanning if written.bytes_of(n)[0].start // written.segment_bytes == 0 and n > 100)
    begin = written.begins[index]
    stop = written.segment_bytes
    content = written.content[:begin] + bytes(stop - begin)
    fetched = pages_of(lambda number: content, written.segment_bytes)
    assert WalRecords(fetched, written.at(stop)).behind(written.at(begin)) is Behind.DAMAGE
    assert WalRecords(fetched, written.at(begin)).behind(written.at(begin)) is Behind.NOTHING
