"""The end of replay, read from what a server asked for."""

import pytest

from understudy.repository.wal_requests import WalRequest, end_reached, stuck_at


def segment(number, timeline=1):
    return f"{timeline:08X}{0:08X}{number:08X}"


def requests(*pairs):
    return [WalRequest(name, answer) for name, answer in pairs]


MOVING = requests(("00000002.history", 44), (segment(2), 0), (segment(3), 0), (segment(4), 0))


def test_the_end_is_reached_when_a_later_segment_is_asked_for():
    assert not end_reached(MOVING, segment(4))
    assert end_reached([*MOVING, WalRequest(segment(5), 44)], segment(4))
    assert end_reached([*MOVING, WalRequest(segment(5), 44), WalRequest("00000002.history", 44)], segment(4))


def test_a_later_segment_of_another_timeline_is_not_expected_either():
    assert end_reached([*MOVING, WalRequest(segment(5, timeline=2), 44)], segment(4))


def test_the_end_of_a_tail_is_reached_when_it_is_asked_for_again_and_again():
    again = WalRequest(segment(4), 0)
    assert not end_reached([*MOVING, again], segment(4))
    assert end_reached([*MOVING, again, again], segment(4))
    assert end_reached([*MOVING, again, WalRequest("00000002.history", 44), again], segment(4))
    assert stuck_at([*MOVING, again, again], segment(4)) is None


def test_a_fault_is_not_the_end():
    assert not end_reached([*MOVING, WalRequest(segment(5), 255)], segment(4))
    assert not end_reached([*MOVING, WalRequest(segment(4), 255), WalRequest(segment(4), 255)], segment(4))


def test_nothing_asked_for_is_no_end():
    assert not end_reached([], segment(4))
    assert stuck_at([], segment(4)) is None


def test_a_server_that_was_started_again_is_not_at_the_end_because_its_predecessor_was():
    at_the_end = [*MOVING, WalRequest(segment(5), 44)]
    assert not end_reached([*at_the_end, WalRequest(segment(3), 0, 2)], segment(4))
    assert not end_reached([*at_the_end, WalRequest("00000002.history", 44, 2)], segment(4))
    in_the_tail = [*MOVING, WalRequest(segment(4), 0), WalRequest(segment(4), 0)]
    assert not end_reached([*in_the_tail, WalRequest(segment(4), 0, 2)], segment(4))
    assert stuck_at([*in_the_tail, WalRequest(segment(4), 0, 2)], segment(9)) is None


@pytest.mark.parametrize("times", [1, 2])
def test_a_segment_asked_for_again_by_a_restart_is_not_stuck(times):
    assert stuck_at(MOVING[:2] + MOVING[1:2] * (times - 1), segment(4)) is None


def test_a_segment_before_the_last_that_is_asked_for_again_and_again_is_stuck():
    assert stuck_at([*MOVING, *MOVING[-1:] * 2], segment(9)) == segment(4)
    assert stuck_at([*MOVING, *MOVING[-1:] * 2, WalRequest(segment(5), 0)], segment(9)) is None


def test_a_record_that_cannot_be_read_and_spans_two_segments_is_asked_for_in_turn():
    turn = [WalRequest(segment(4), 0), WalRequest(segment(5), 0)]
    assert stuck_at([*MOVING, *turn, *turn], segment(9)) is None
    assert stuck_at([*MOVING, *turn, *turn, *turn], segment(9)) == segment(5)
    assert end_reached([*MOVING, *turn, *turn, *turn], segment(5))
    assert stuck_at([*MOVING, *turn, *turn, *turn], segment(5)) is None


def test_a_server_that_goes_back_to_where_it_begins_to_replay_is_not_stuck():
    back = [WalRequest(segment(number), 0) for number in (9, 5, 6, 7, 8, 9)]
    assert stuck_at(back, segment(12)) is None
    assert not end_reached(back, segment(9))
