"""Ratios are of the same round, and a target is met by the median, in the direction that is better."""

import pytest
from bench.statistics import Spread, is_met, ratios
from hypothesis import given
from hypothesis import strategies as st

SECONDS = st.floats(min_value=0.001, max_value=1e6)


@given(st.lists(st.tuples(SECONDS, SECONDS, st.floats(min_value=0.1, max_value=100)), min_size=1))
def test_a_disturbance_of_a_whole_round_cancels_out(rounds):
    calm = ratios([ours for ours, _, _ in rounds], [theirs for _, theirs, _ in rounds])
    disturbed = ratios([ours * slower for ours, _, slower in rounds], [theirs * slower for _, theirs, slower in rounds])
    assert disturbed == pytest.approx(calm)


def test_figures_of_different_rounds_are_not_compared():
    with pytest.raises(ValueError):
        ratios([1.0, 2.0], [1.0])


@given(st.lists(SECONDS, min_size=1))
def test_the_median_lies_within_the_spread(values):
    spread = Spread.of(values)
    assert spread.least <= spread.median <= spread.most


def test_lower_is_better_for_times_and_higher_for_throughput():
    assert is_met(0.7, 0.75, higher_is_better=False)
    assert not is_met(0.8, 0.75, higher_is_better=False)
    assert is_met(0.95, 0.93, higher_is_better=True)
    assert not is_met(0.9, 0.93, higher_is_better=True)
