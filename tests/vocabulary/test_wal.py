"""Positions in the WAL, the names of its files, and the ancestry of timelines."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.vocabulary.wal import (
    Lsn,
    Timeline,
    TimelineFork,
    WalSegment,
    history_file_name,
    is_segment_name,
    parse_history_file,
    segments_covering,
    timeline_of_history_file,
)

MIB = 1024 * 1024
positions = st.integers(0, 2**64 - 1)
lsns = positions.map(Lsn)
timelines = st.integers(1, 2**32 - 1).map(Timeline)
segment_sizes = st.sampled_from([2**power * MIB for power in range(11)])
"""All that ``initdb --wal-segsize`` takes: 1 MiB to 1 GiB."""


@st.composite
def segments(draw, size_bytes=None):
    size = size_bytes or draw(segment_sizes)
    return WalSegment.holding(draw(timelines), draw(lsns), size)


@st.composite
def ancestries(draw):
    parents = sorted(draw(st.sets(timelines, max_size=8)))
    reasons = st.text(st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters="#"), max_size=40)
    return tuple(TimelineFork(Timeline(parent), draw(lsns), draw(reasons).strip()) for parent in parents)


@given(lsns)
def test_a_position_comes_back_from_its_text(lsn):
    assert Lsn.parse(str(lsn)) == lsn
    assert Lsn.parse(f"  {str(lsn).lower()}\n") == lsn


@pytest.mark.parametrize(
    ("text", "position"),
    [("0/0", 0), ("0/3000060", 0x3000060), ("16/B374D848", 0x16_B374_D848), ("FFFFFFFF/FFFFFFFF", 2**64 - 1)],
)
def test_a_position_is_written_as_the_server_writes_it(text, position):
    assert Lsn.parse(text) == Lsn(position)
    assert str(Lsn(position)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "0/",
        "/0",
        "3000060",
        "0/3000060/1",
        "0/G",
        "-1/0",
        "0/-1",
        "+0/1",
        "0x0/1",
        "0/1_0",
        "0/ 1",
        "0/100000000",
        "٣/0",
    ],
)
def test_what_is_no_position_is_refused(text):
    with pytest.raises(ValueError, match="not a WAL position"):
        Lsn.parse(text)


@given(positions, positions)
def test_positions_are_ordered_as_the_log_is_written(one, other):
    assert (Lsn(one) < Lsn(other)) == (one < other)
    assert Lsn(one).bytes_since(Lsn(other)) == max(0, one - other)


@given(segments())
def test_a_segment_comes_back_from_its_name(segment):
    assert WalSegment.parse(segment.name, segment.size_bytes) == segment
    assert is_segment_name(segment.name)
    assert len(segment.name) == 24


@pytest.mark.parametrize(
    ("megabytes", "position", "name"),
    [
        (16, 0x0, "000000010000000000000000"),
        (16, 0x3000060, "000000010000000000000003"),
        (16, 0xFF_FFFFFF, "0000000100000000000000FF"),
        (16, 0x1_0000_0000, "000000010000000100000000"),
        (1, 0xFFFFFFFF, "000000010000000000000FFF"),
        (64, 0xFFFFFFFF, "00000001000000000000003F"),
        (1024, 0x1_0000_0000, "000000010000000100000000"),
    ],
)
def test_segments_are_named_as_the_server_names_them(megabytes, position, name):
    assert WalSegment.holding(Timeline(1), Lsn(position), megabytes * MIB).name == name


@given(segments())
def test_one_segment_ends_where_the_next_begins(segment):
    assert segment.following.start == segment.end
    assert segment.end.bytes_since(segment.start) == segment.size_bytes
    assert segment < segment.following


@given(timelines, lsns, segment_sizes)
def test_a_segment_holds_the_position_that_it_was_asked_for(timeline, lsn, size_bytes):
    segment = WalSegment.holding(timeline, lsn, size_bytes)
    assert segment.start <= lsn < segment.end


@given(st.data(), segment_sizes)
def test_segments_and_their_names_are_ordered_alike(data, size_bytes):
    one, other = data.draw(segments(size_bytes)), data.draw(segments(size_bytes))
    assert (one < other) == (one.name < other.name)


@given(timelines, lsns, st.integers(0, 64), st.integers(0, 2**20), segment_sizes)
def test_a_range_is_covered_without_holes_and_without_more(timeline, start, segments_more, bytes_more, size_bytes):
    stop = start + (segments_more * size_bytes + bytes_more)
    covering = segments_covering(timeline, start, stop, size_bytes)
    assert covering[0].start <= start < covering[0].end
    assert covering[-1].start < max(stop, start + 1) <= covering[-1].end
    assert all(earlier.following == later for earlier, later in pairwise(covering))


@pytest.mark.parametrize(
    "name",
    ["", "0000000100000000000000", "0000000100000000000000ag", "00000001000000000000000a", "000000010000000000000001\n",
     "000000010000000000000001.partial", "00000002.history"],
)  # fmt: skip
def test_what_is_no_segment_is_refused(name):
    assert not is_segment_name(name)
    with pytest.raises(ValueError, match="not the name of a WAL segment"):
        WalSegment.parse(name)


@given(timelines)
def test_a_timeline_comes_back_from_the_name_of_its_history(timeline):
    assert timeline_of_history_file(history_file_name(timeline)) == timeline


@pytest.mark.parametrize("name", ["", "2.history", "00000002.history\n", "0000000a.history", "00000002.history.bak"])
def test_what_is_no_history_file_begins_no_timeline(name):
    assert timeline_of_history_file(name) is None


@given(ancestries(), st.sampled_from(["\t", " ", "  \t"]))
def test_an_ancestry_comes_back_from_its_file(forks, blank):
    lines = [f"{fork.parent}{blank}{fork.at}{blank}{fork.reason}" for fork in forks]
    assert parse_history_file("\n".join(lines)) == forks
    assert parse_history_file("# by hand\n\n" + "\r\n".join(lines) + "\n\n") == forks


def test_a_file_as_the_server_writes_it_is_read():
    text = "1\t0/5000148\tno recovery target specified\n\n2\t0/70000A0\tbefore 2026-11-23 03:00:00+00\n"
    assert parse_history_file(text) == (
        TimelineFork(Timeline(1), Lsn(0x5000148), "no recovery target specified"),
        TimelineFork(Timeline(2), Lsn(0x70000A0), "before 2026-11-23 03:00:00+00"),
    )


@given(ancestries().filter(lambda forks: len(forks) > 1), st.data())
def test_timelines_that_do_not_rise_are_refused(forks, data):
    at = data.draw(st.integers(0, len(forks) - 2))
    lines = [f"{fork.parent}\t{fork.at}\t{fork.reason}" for fork in forks]
    lines[at], lines[at + 1] = lines[at + 1], lines[at]
    with pytest.raises(ValueError, match="must rise"):
        parse_history_file("\n".join(lines))


@pytest.mark.parametrize("line", ["1", "one\t0/5000148\tx", "-1\t0/1\tx", "²\t0/1\tx", "1\t5000148\tx", "1 no recovery target"])
def test_a_line_of_another_form_is_refused(line):
    with pytest.raises(ValueError, match="not a"):
        parse_history_file(f"{line}\n")
