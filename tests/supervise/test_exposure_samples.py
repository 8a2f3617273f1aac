"""Dropping samples never makes exposure look smaller than it is."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from understudy.judge.exposure import ExposureGap, KnownExposure, SetBack, UnknownExposure, WalPosition, WalSample, exposure
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


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=60), st.lists(st.integers(0, 100), max_size=5), st.integers(4, 12))
def test_after_a_server_was_set_back_nothing_is_known_whatever_is_forgotten(growth, safes, most):
    """Neither thinning nor forgetting hides a fall, and no position that was safe before covers what came after it."""
    kept, everything, lsn, fell = WalSamples(most=most), [], 50, False
    for second, more in enumerate(growth):
        lsn, before = max(0, lsn + more), lsn
        fell = fell or (bool(everything) and lsn < before)
        sample = WalSample(START + timedelta(seconds=second), position(lsn))
        kept.add(sample)
        everything.append(sample)
        for safe in safes:
            kept.forget_covered(position(safe))
    now = START + timedelta(seconds=100)
    assert (kept.set_back is not None) == fell
    for safe in safes:
        judged = kept.exposure(position(safe), now)
        if fell:
            assert isinstance(judged, UnknownExposure)
            assert judged.gap is ExposureGap.WENT_BACKWARDS
            assert judged == UnknownExposure(ExposureGap.WENT_BACKWARDS, (now - kept.set_back.seen).total_seconds())


def taken(*positions):
    kept = WalSamples()
    for second, each in enumerate(positions):
        kept.add(WalSample(START + timedelta(seconds=second), each))
    return kept


def test_the_next_timeline_or_a_new_beginning_ends_what_is_unknown_and_what_was_before_covers_nothing():
    one, two = (lambda lsn: position(lsn)), (lambda lsn: WalPosition(Timeline(2), Lsn(lsn)))
    now = START + timedelta(seconds=100)
    kept = taken(one(90), one(40), one(95))
    assert isinstance(kept.exposure(one(95), now), UnknownExposure), "also when it is past the old position again"
    kept.begin_anew()
    assert kept.exposure(one(95), now) == KnownExposure(98.0, 0)
    assert isinstance(kept.exposure(one(90), now), UnknownExposure)
    kept = taken(one(90), one(40), two(60))
    assert kept.exposure(two(60), now) == KnownExposure(98.0, 0)
    assert taken(two(60), one(90)).set_back == SetBack(START + timedelta(seconds=1), Timeline(2)), "the old server answers"
