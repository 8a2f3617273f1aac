import json
import struct
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.adapters.postgres.spool import StreamStart, WalSpool, set_aside_bytes
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import SystemIdentifier
from understudy.vocabulary.wal import Lsn, Timeline, WalSegment

SEGMENT_BYTES = 1024 * 1024
SYSTEM = SystemIdentifier("7000000000000000001")


def segment(timeline: int, number: int) -> WalSegment:
    return WalSegment(Timeline(timeline), number, SEGMENT_BYTES)


@pytest.fixture
def spool(tmp_path):
    made = WalSpool(tmp_path / "spool")
    made.prepare(SYSTEM, SEGMENT_BYTES)
    return made


def put(spool: WalSpool, *names: str) -> None:
    for name in names:
        (spool.wal / name).write_bytes(b"w".ljust(SEGMENT_BYTES, b"\0"))


def test_an_empty_spool_starts_nowhere(spool):
    assert spool.stream_start() is None


def test_it_tells_whose_wal_it_is(spool, tmp_path):
    assert spool.facts(0).system_identifier == SYSTEM
    assert WalSpool(tmp_path / "never-prepared").facts(0).system_identifier is None


def test_the_stream_goes_on_at_the_partial_segment_else_behind_the_newest_complete_one(spool):
    put(spool, segment(1, 5).name, segment(1, 6).name)
    assert spool.stream_start() == StreamStart(1, segment(1, 7).start)
    put(spool, segment(1, 7).name + ".partial")
    assert spool.stream_start() == StreamStart(1, segment(1, 7).start)


def test_the_position_decides_before_the_timeline_and_leftovers_do_not_count(spool):
    put(spool, segment(1, 5).name, segment(1, 6).name + ".partial", segment(2, 6).name, segment(2, 7).name + ".partial")
    facts = spool.facts(0)
    assert facts.segments == (segment(1, 5), segment(2, 6))
    assert facts.partial == segment(2, 7)
    (spool.wal / f"{segment(2, 7).name}.partial").unlink()
    assert spool.facts(0).partial is None
    assert spool.stream_start() == StreamStart(2, segment(2, 7).start)


def test_names_that_are_nobodys_segment_are_left_alone(spool):
    put(spool, segment(1, 5).name, "archive_status", "00000001.history", "00000002.history", segment(1, 4).name + ".zst.age")
    facts = spool.facts(10)
    assert facts.segments == (segment(1, 5),)
    assert facts.histories == (1, 2)
    assert facts.limit_bytes == 10


def test_the_newest_complete_segment_is_never_forgotten(spool):
    put(spool, *(segment(1, number).name for number in (3, 4, 5)))
    spool.forget([segment(1, number) for number in (3, 4, 5, 9)])
    assert spool.facts(0).segments == (segment(1, 5),)


def test_a_segment_of_another_size_is_damaged(spool):
    (spool.wal / segment(1, 5).name).write_bytes(b"w" * 1000)
    with pytest.raises(GiveUp) as refused:
        b"".join(spool.read_segment(segment(1, 5)))
    assert refused.value.code == "segment_damaged"


def test_a_partial_segment_of_another_size_is_emptied_only_when_it_holds_nothing(spool):
    padded, written = (spool.wal / f"{segment(1, number).name}.partial" for number in (5, 6))
    padded.write_bytes(bytes(7000))
    written.write_bytes(b"w" * 7000)
    spool.mend_unpadded()
    assert padded.stat().st_size == 0
    assert written.stat().st_size == 7000


def test_another_systems_wal_is_refused(spool):
    with pytest.raises(GiveUp) as refused:
        spool.prepare(SystemIdentifier("7000000000000000002"), SEGMENT_BYTES)
    assert refused.value.code == "system_identifier_changed"


def test_what_lies_behind_the_common_history_is_named(spool):
    put(spool, *(segment(1, number).name for number in (3, 4, 5)), segment(1, 6).name + ".partial")
    inside_four = segment(1, 4).start + 100
    assert spool.behind(Timeline(1), inside_four) == (segment(1, 4), segment(1, 5), segment(1, 6))
    assert spool.behind(Timeline(1), segment(1, 6).start) == ()
    assert spool.behind(Timeline(1), Lsn(0)) == spool.behind(Timeline(1), None)


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=4))
def test_tails_read_while_the_segment_fills_add_up_to_its_content(tmp_path_factory, content, cuts):
    """However the writer and the reader interleave: what was returned never changes, and nothing is left out but zeros."""
    spool = WalSpool(tmp_path_factory.mktemp("spool"))
    spool.prepare(SYSTEM, SEGMENT_BYTES)
    read = b""
    for written in [*sorted(min(cut, len(content)) for cut in cuts), len(content)]:
        (spool.wal / f"{segment(1, 1).name}.partial").write_bytes(content[:written].ljust(SEGMENT_BYTES, b"\0"))
        read += b"".join(spool.read_tail(segment(1, 1), len(read)))
        assert content.startswith(read)
    (spool.wal / f"{segment(1, 1).name}.partial").rename(spool.wal / segment(1, 1).name)
    read += b"".join(spool.read_tail(segment(1, 1), len(read)))
    assert read.ljust(SEGMENT_BYTES, b"\0") == b"".join(spool.read_segment(segment(1, 1)))


def first_page(system: SystemIdentifier) -> bytes:
    """``XLogLongPageHeaderData`` of PostgreSQL 18."""
    return struct.pack("<HHIQI4xQII", 0xD118, 2, 1, 5 * SEGMENT_BYTES, 0, int(system), SEGMENT_BYTES, 8192).ljust(
        SEGMENT_BYTES, b"x"
    )


def test_a_note_of_whose_wal_it_is_that_a_power_cut_emptied_is_written_anew_from_the_wal(spool):
    (spool.wal / segment(1, 5).name).write_bytes(first_page(SYSTEM))
    (spool.wal / f"{segment(1, 6).name}.partial").write_bytes(bytes(SEGMENT_BYTES))
    note = spool.directory / "stream.json"
    for left in (b"", b'{"system_identifier": "74', b"[]"):
        note.write_bytes(left)
        assert spool.facts(0).segments == (segment(1, 5),)
        with pytest.raises(GiveUp) as refused:
            spool.prepare(SystemIdentifier("7000000000000000002"), SEGMENT_BYTES)
        assert refused.value.code == "system_identifier_changed"
        spool.prepare(SYSTEM, SEGMENT_BYTES)
        assert json.loads(note.read_bytes()) == {"system_identifier": SYSTEM, "segment_bytes": SEGMENT_BYTES}


def test_wal_of_two_clusters_without_a_note_is_left_to_a_person(spool):
    (spool.wal / segment(1, 5).name).write_bytes(first_page(SYSTEM))
    (spool.wal / segment(1, 6).name).write_bytes(first_page(SystemIdentifier("7000000000000000002")))
    (spool.directory / "stream.json").unlink()
    with pytest.raises(GiveUp) as refused:
        spool.prepare(SYSTEM, SEGMENT_BYTES)
    assert refused.value.code == "spool_damaged"
    assert SYSTEM in refused.value.found and "7000000000000000002" in refused.value.found


def test_an_empty_spool_whose_note_is_cut_off_is_noted_anew(spool):
    (spool.directory / "stream.json").write_bytes(b"")
    spool.prepare(SYSTEM, SEGMENT_BYTES)
    assert spool.segment_bytes == SEGMENT_BYTES


def test_another_file_under_a_segments_name_is_another_version(spool):
    put(spool, segment(1, 5).name, segment(1, 6).name)
    before = spool.facts(0).versions
    assert spool.facts(0).versions == before
    replacing = spool.wal / "new"
    replacing.write_bytes(bytes(SEGMENT_BYTES))
    replacing.replace(spool.wal / segment(1, 6).name)
    after = spool.facts(0).versions
    assert after[segment(1, 5)] == before[segment(1, 5)]
    assert after[segment(1, 6)] != before[segment(1, 6)]


def test_what_was_set_aside_is_counted(spool):
    assert set_aside_bytes(spool.directory) == 0
    put(spool, segment(1, 5).name)
    spool.quarantine([segment(1, 5)], "a test", datetime(2026, 11, 23, tzinfo=UTC))
    assert set_aside_bytes(spool.directory) == SEGMENT_BYTES + len("a test\n")
