"""Dropping samples never makes exposure look smaller than it is."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from understudy.judge.exposure import KnownExposure, WalPosition, WalSample, exposure
from understudy.supervise.exposure_watch import WalSamples
from understudy.vocabulary.wal import Lsn, Timeline

START = datetime(2026, 11, 23, 3, tzinfo=UTC)


def position(lsn):
    return WalPosition(Timeline(1), Lsn(lsn))


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(0, 100), st.integers(4, 12))
def test_thinned_samples_give_a_bound_that_is_never_below_that_of_all(growth, safe, most):
    kept, everything, lsn = WalSamples(most=most), [], 0
    for second, more in enumerate(growth):
        lsn += more
        sample = WalSample(START + timedelta(seconds=second), position(lsn))
        kept.add(sample)
        everything.append(sample)
    assert len(kept.all()) <= most
    now = START + timedelta(seconds=100)
    thinned, full = exposure(kept.all(), position(safe), now), exposure(everything, position(safe), now)
    if isinstance(thinned, KnownExposure):
        assert isinstance(full, KnownExposure)
        assert thinned.seconds >= full.seconds
        assert thinned.size_bytes == full.size_bytes
    else:
        assert not isinstance(full, KnownExposure) or everything[0] is not kept.all()[0]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(0, 100))
def test_forgetting_what_is_covered_and_what_stood_still_changes_nothing(growth, safe):
    kept, everything, lsn = WalSamples(), [], 0
    for second, more in enumerate(growth):
        lsn += more
        sample = WalSample(START + timedelta(seconds=second), position(lsn))
        kept.add(sample)
        everything.append(sample)
    now = START + timedelta(seconds=100)
    kept.forget_covered(position(safe))
    full = exposure(everything, position(safe), now)
    if isinstance(full, KnownExposure):
        assert exposure(kept.all(), position(safe), now) == full
