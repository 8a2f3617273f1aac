"""Against an oracle that follows the WAL segment by segment, as a server would ask for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.plan.samples import SEGMENT_BYTES, contents
from understudy.repository.layout import TailSpan
from understudy.repository.replay_path import path_over
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.wal import Lsn, Timeline, TimelineFork, WalSegment, is_segment_name

HALF = SEGMENT_BYTES // 2


def position(halves):
    return Lsn(2 * SEGMENT_BYTES + halves * HALF)


@st.composite
def archives(draw):
    """One to three timelines in a line, forks in the middle or at the end of segments, WAL of each partly held."""
    forks, entered = [], draw(st.integers(0, 4))
    start = entered
    for parent in range(1, draw(st.integers(1, 3))):
        entered = draw(st.integers(max(entered, start + 1), entered + 5))
        forks.append(TimelineFork(Timeline(parent), position(entered)))
    last = len(forks) + 1
    held, tails = set(), []
    for timeline in range(1, last + 1):
        numbers = draw(st.sets(st.integers(2, 10)) | st.just(set(range(2, 11))))
        held |= {(timeline, number) for number in numbers}
        if draw(st.booleans()):
            tailed = WalSegment(Timeline(timeline), draw(st.integers(2, 10)), SEGMENT_BYTES)
            tails.append(TailSpan(tailed, 0, draw(st.sampled_from((100, HALF, SEGMENT_BYTES - 8192)))))
    return contents(*held, tails=tails, histories=range(2, last + 1)), tuple(forks), position(start), last


def walk(wal, forks, start, last):
    """The segment numbers that replay goes through, and the one that it lacks although WAL of the last timeline follows."""
    bounds = [(fork.parent, fork.at) for fork in forks]
    reach = wal.reaches(Timeline(last))
    entered_last = bounds[-1][1] if bounds else start
    end = max(entered_last, reach or Lsn(0))
    if end <= start:
        return [], None
    numbers = []
    for number in range(start.position // SEGMENT_BYTES, -(-end.position // SEGMENT_BYTES)):
        if not complete_enough(wal, bounds, start, last, number, end):
            return numbers, number
        numbers.append(number)
    return numbers, None


def complete_enough(wal, bounds, start, last, number, end):
    """Whether each stretch of this segment is held: by its own timeline, or where that is left, by the one entered last."""
    segment_start, segment_end = Lsn(number * SEGMENT_BYTES), Lsn((number + 1) * SEGMENT_BYTES)
    legs = [*bounds, (last, end)]
    entries = [start, *(left for _, left in bounds)]
    newest = max(index for index, entry in enumerate(entries) if index == 0 or entry < segment_end)
    entered = start
    for index, (timeline, left) in enumerate(legs):
        if max(entered, segment_start) < min(left, segment_end):
            left_within = index < len(bounds) and left < segment_end
            holder = legs[newest][0] if left_within else timeline
            if not holds_up_to(wal, holder, number, min(left, segment_end)):
                return False
        entered = left
    return True


def holds_up_to(wal, timeline, number, stop):
    segment = WalSegment(Timeline(timeline), number, SEGMENT_BYTES)
    if wal.holds(segment):
        return True
    reach = wal.tail_reaches().get(segment)
    return reach is not None and segment.start + (reach + 8191) // 8192 * 8192 >= stop


@given(archives())
def test_a_path_is_found_exactly_where_no_segment_is_missing(archive):
    wal, forks, start, last = archive
    numbers, missing = walk(wal, forks, start, last)
    try:
        path = path_over(wal, forks, Timeline(1), start, Timeline(last))
    except GiveUp as refused:
        assert refused.code == "wal_missing"
        assert missing is not None or not numbers
    else:
        assert missing is None
        found = [WalSegment.parse(name) for name in path.names if is_segment_name(name)]
        assert sorted({segment.number for segment in found}) == numbers
        assert path.last_segment == found[-1].name
        assert path.gap is None


@given(archives())
def test_up_to_a_gap_the_path_holds_what_lies_before_it(archive):
    wal, forks, start, last = archive
    numbers, missing = walk(wal, forks, start, last)
    try:
        path = path_over(wal, forks, Timeline(1), start, Timeline(last), up_to_gap=True)
    except GiveUp:
        assert not numbers
    else:
        assert {WalSegment.parse(name).number for name in path.names if is_segment_name(name)} >= set(numbers)
        assert (path.gap.number if path.gap else None) == missing


def test_a_hole_on_a_timeline_that_is_left_later_is_seen():
    """The new timeline's WAL must not hide that the old one's ends before the fork."""
    forks = (TimelineFork(Timeline(1), Lsn(5 * SEGMENT_BYTES + HALF)),)
    with pytest.raises(GiveUp) as refused:
        path_over(contents((1, 2), (1, 3), (2, 5), (2, 6), histories=(2,)), forks, Timeline(1), position(0), Timeline(2))
    assert refused.value.code == "wal_missing"
    assert "000000010000000000000004" in refused.value.found


def test_the_segment_of_the_fork_comes_from_the_new_timeline_only():
    """The old one's copy may go on behind the fork, with what the other side wrote."""
    forks = (TimelineFork(Timeline(1), Lsn(3 * SEGMENT_BYTES + HALF)),)
    both = contents((1, 2), (1, 3), (2, 3), (2, 4), histories=(2,))
    path = path_over(both, forks, Timeline(1), position(0), Timeline(2))
    assert path.names == ("00000002.history", *(f"0000000{tli}00000000{number:08X}" for tli, number in ((1, 2), (2, 3), (2, 4))))


def test_where_the_new_timeline_s_copy_of_that_segment_is_absent_replay_stops_before_it():
    forks = (TimelineFork(Timeline(1), Lsn(3 * SEGMENT_BYTES + HALF)),)
    only_old = contents((1, 2), (1, 3), (1, 4), histories=(2,))
    with pytest.raises(GiveUp) as refused:
        path_over(only_old, forks, Timeline(1), position(0), Timeline(2))
    assert refused.value.code == "wal_missing"
    path = path_over(only_old, forks, Timeline(1), position(0), Timeline(2), up_to_gap=True)
    assert path.last_segment == "000000010000000000000002"


def test_the_history_of_the_backup_s_own_timeline_is_on_the_way_because_the_server_asks_for_it():
    path = path_over(contents((2, 2), histories=(2,)), (), Timeline(2), position(0), Timeline(2))
    assert path.names[0] == "00000002.history"


def test_a_timeline_that_is_no_descendant_is_refused():
    forks = (TimelineFork(Timeline(1), position(1)),)
    with pytest.raises(GiveUp) as refused:
        path_over(contents((3, 2), histories=(3,)), forks, Timeline(2), position(0), Timeline(3))
    assert refused.value.code == "timeline_unknown"
