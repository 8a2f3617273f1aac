"""Exposure against an oracle that knows every commit."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from understudy.judge.exposure import ExposureGap, KnownExposure, UnknownExposure, WalPosition, WalSample, exposure
from understudy.vocabulary.wal import Lsn, Timeline

START = datetime(2026, 11, 23, 3, tzinfo=UTC)


def at(seconds):
    return START + timedelta(seconds=seconds)


def position(lsn, timeline=1):
    return WalPosition(Timeline(timeline), Lsn(lsn))


def sample(seconds, lsn, timeline=1):
    return WalSample(at(seconds), position(lsn, timeline))


@st.composite
def histories(draw):
    """Commits with rising times and positions; samples taken at some moments; a safe position; now."""
    commits, seconds, lsn = [], 0, 100
    for _ in range(draw(st.integers(0, 12))):
        seconds += draw(st.integers(0, 5))
        lsn += draw(st.integers(1, 50))
        commits.append((seconds, lsn))
    now = seconds + draw(st.integers(0, 10))
    moments = sorted(draw(st.lists(st.integers(0, now), max_size=8)))
    samples = [(moment, max((lsn for when, lsn in commits if when <= moment), default=100)) for moment in moments]
    safe = draw(st.integers(90, lsn + 10))
    return commits, samples, safe, now


@given(histories())
def test_exposure_is_never_less_than_the_true_age_of_the_oldest_unsafe_commit(history):
    commits, samples, safe, now = history
    answer = exposure([sample(*each) for each in samples], position(safe), at(now))
    unsafe = [when for when, lsn in commits if lsn > safe]
    truth = now - min(unsafe) if unsafe else 0
    if isinstance(answer, KnownExposure):
        assert answer.seconds >= truth
        covered = [moment for moment, lsn in samples if lsn <= safe]
        assert answer.seconds == now - covered[-1]
        following = [moment for moment, lsn in samples if lsn > safe]
        if following:
            assert answer.seconds - truth <= following[0] - covered[-1]
        assert answer.size_bytes == max(0, samples[-1][1] - safe)
    else:
        assert not any(lsn <= safe for _, lsn in samples)


@given(histories(), st.integers(1, 50))
def test_more_that_is_safe_never_means_more_exposure(history, more):
    _, samples, safe, now = history
    before = exposure([sample(*each) for each in samples], position(safe), at(now))
    after = exposure([sample(*each) for each in samples], position(safe + more), at(now))
    if isinstance(before, KnownExposure):
        assert isinstance(after, KnownExposure)
        assert after.seconds <= before.seconds
        assert after.size_bytes <= before.size_bytes


@given(histories())
def test_dropping_samples_never_makes_exposure_look_smaller(history):
    _, samples, safe, now = history
    all_of_them = exposure([sample(*each) for each in samples], position(safe), at(now))
    every_other = exposure([sample(*each) for each in samples[::2]], position(safe), at(now))
    if isinstance(every_other, KnownExposure):
        assert isinstance(all_of_them, KnownExposure)
        assert all_of_them.seconds <= every_other.seconds


def test_what_is_not_known_has_a_reason():
    assert exposure([], position(5), at(0)) == UnknownExposure(ExposureGap.NEVER_SAMPLED, 0.0)
    assert exposure([sample(0, 5)], None, at(9)) == UnknownExposure(ExposureGap.NOTHING_SAFE, 9.0)
    assert exposure([sample(2, 50)], position(49), at(9)) == UnknownExposure(ExposureGap.OLDER_THAN_SAMPLES, 7.0)
    backwards = [sample(0, 50), sample(1, 40)]
    assert exposure(backwards, position(60), at(9)) == UnknownExposure(ExposureGap.WENT_BACKWARDS, 9.0)


def test_a_new_timeline_is_exposed_since_the_last_sample_of_the_old_one_that_is_safe():
    samples = [sample(0, 100), sample(10, 200), sample(20, 210, timeline=2), sample(30, 300, timeline=2)]
    assert exposure(samples, position(400), at(40)) == KnownExposure(30.0, None)
    assert exposure(samples, position(150), at(40)) == KnownExposure(40.0, None)
    assert exposure(samples, position(250, timeline=2), at(40)) == KnownExposure(20.0, 50)


def test_an_idle_server_is_exposed_since_it_was_last_asked():
    assert exposure([sample(0, 100), sample(10, 100)], position(100), at(12)) == KnownExposure(2.0, 0)
