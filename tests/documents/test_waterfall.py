"""Where bars lie, held against what the steps say."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.documents.sample_runs import BEGAN, never_begun, recorded, run_record, seconds, step
from understudy.documents.waterfall import NARROWEST, Axis, axis_of, grouped
from understudy.records.run import RunState, StepState
from understudy.vocabulary.phases import Phase

LEFT, WIDTH = 100.0, 400.0
milliseconds = st.integers(0, 5_000_000).map(lambda each: each / 1000)
spans = st.lists(st.tuples(milliseconds, milliseconds), min_size=1, max_size=12)
END = 1e-6


def groups_of(*steps, now=100, run=None):
    return grouped([recorded(run or run_record(), steps)], BEGAN, BEGAN + seconds(now))


@given(spans)
def test_every_bar_lies_within_the_frame_in_proportion_to_what_it_took(given_spans):
    steps = [step(f"orders/step-{number}", start, start + took) for number, (start, took) in enumerate(given_spans)]
    [group] = groups_of(*steps)
    axis = axis_of([group], None, LEFT, WIDTH)
    longest = max([start + took for start, took in given_spans] + [0.001])
    units_per_second = WIDTH / (longest * 1.02)
    for bar in group.bars:
        start, took = given_spans[int(bar.step.key.rpartition("-")[2])]
        x, width = axis.span(bar.start, bar.end)
        assert x >= LEFT - END and x + width <= LEFT + WIDTH + END
        if took * units_per_second > NARROWEST + 0.01:
            assert x == pytest.approx(LEFT + start * units_per_second, abs=0.01)
            assert width == pytest.approx(took * units_per_second, abs=0.01)
        else:
            assert width == pytest.approx(NARROWEST, abs=0.02)


@given(spans)
def test_what_began_earlier_lies_no_further_to_the_right(given_spans):
    [group] = groups_of(*(step(f"orders/step-{number}", start, start + took) for number, (start, took) in enumerate(given_spans)))
    edges = [axis_of([group], None, LEFT, WIDTH).span(bar.start, bar.end)[0] for bar in group.bars]
    assert all(left <= right + NARROWEST for left, right in pairwise(edges))


@pytest.mark.parametrize(("objective", "is_within"), [(5, True), (14, True), (3600, False)])
def test_the_axis_grows_for_an_objective_that_is_near_and_not_for_one_that_would_squash_the_bars(objective, is_within):
    axis = axis_of(groups_of(step("orders/restore-base-backup", 0, 10)), seconds(objective), LEFT, WIDTH)
    assert axis.holds(seconds(objective)) is is_within
    assert axis.x(seconds(10)) >= LEFT + WIDTH * 0.6


@given(st.floats(0.001, 1e7))
def test_marks_are_few_begin_at_nothing_and_lie_on_the_axis(length):
    axis = Axis(length, LEFT, WIDTH)
    marks = axis.marks()
    assert marks[0] == timedelta()
    assert len(marks) <= 10
    assert all(axis.holds(mark) for mark in marks)
    steps = {round((b - a).total_seconds(), 6) for a, b in pairwise(marks)}
    assert len(steps) <= 1


def test_what_was_never_begun_has_no_bar():
    assert groups_of(never_begun("orders/replay-wal")) == []


def test_a_step_that_a_passing_fault_held_up_shows_since_when_it_was_tried():
    [group] = groups_of(step("orders/restore-base-backup", 5, 8, tried=2))
    [bar] = group.bars
    assert (bar.tried_at, bar.start, bar.end) == (seconds(2), seconds(5), seconds(8))


def test_what_passes_before_the_only_try_is_no_try():
    """A step is written down as begun a moment before it begins to work."""
    [group] = groups_of(replace(step("orders/restore-base-backup", 5, 8), started=BEGAN + seconds(4.9)))
    assert group.bars[0].tried_at == group.bars[0].start == seconds(5)


def test_a_step_under_way_ends_where_the_page_was_made():
    [group] = groups_of(step("orders/replay-wal", 5, 5, StepState.RUNNING), now=20, run=run_record(state=RunState.RUNNING))
    [bar] = group.bars
    assert (bar.start, bar.end, bar.open_end) == (seconds(5), seconds(20), True)


def test_steps_are_grouped_by_resource_over_all_runs_of_the_request():
    first = recorded(run_record(), [step("stack/check-prerequisites", 0, 1), step("docs/restore-snapshot", 1, 2)])
    second = recorded(run_record(), [step("docs/restore-snapshot", 3, 4), step("pics/restore-snapshot", 4, 5)])
    found = grouped([first, second], BEGAN, BEGAN)
    assert [(group.resource, [(bar.number, bar.start) for bar in group.bars]) for group in found] == [
        ("stack", [(1, seconds(0))]),
        ("docs", [(1, seconds(1)), (2, seconds(3))]),
        ("pics", [(2, seconds(4))]),
    ]


def test_a_phase_that_this_version_does_not_know_is_said_to_be_unknown():
    [group] = groups_of(step("orders/of-another-version", 0, 1), step("orders/replay-wal", 1, 2))
    assert [bar.phase for bar in group.bars] == [None, Phase.REPLAY]
