"""How much is done at once follows the processors of this process, and stops where memory would run out."""

import os

import pytest

from understudy.repository.at_once import parts_packed, parts_read, processors, segments_opened, threads_compressing


def test_the_processors_are_those_that_this_process_may_use():
    allowed = os.sched_getaffinity(0)
    assert processors() == max(2, len(allowed))
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert processors() == 2
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize("bounded", [parts_packed, threads_compressing, parts_read, segments_opened])
def test_two_processors_are_both_used_and_64_take_no_more_memory_than_is_there(bounded):
    assert bounded(2) == 2
    assert bounded(2) < bounded(64) == bounded(1000) <= 8
