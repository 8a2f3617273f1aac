"""How far a warm copy is behind, against a count of its own."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from understudy.judge.warm_copy import Stored, still_needed, warm_lag
from understudy.vocabulary.wal import Lsn

_STEPS = st.lists(st.tuples(st.integers(1, 50), st.integers(1, 1000)), min_size=1, max_size=12)


def seen(steps):
    """Each so many seconds and bytes behind the one before."""
    found, at, reaches = [], 0, 0
    for seconds, size_bytes in steps:
        at, reaches = at + seconds, reaches + size_bytes
        found.append(Stored(float(at), Lsn(reaches)))
    return found


@given(_STEPS, st.integers(0, 15_000), st.integers(0, 100))
def test_the_lag_is_what_is_stored_and_not_replayed_since_the_oldest_of_it_was_seen(steps, replayed, later):
    stored = seen(steps)
    now = stored[-1].at_seconds + later
    lag = warm_lag(stored, Lsn(replayed), now)
    assert lag.size_bytes == max(0, stored[-1].reaches.position - replayed)
    moment = next((each.at_seconds for each in stored if each.reaches.position > replayed), now)
    assert lag.duration == timedelta(seconds=now - moment)
    assert (lag.size_bytes == 0) == (stored[-1].reaches.position <= replayed)


@given(_STEPS, st.integers(0, 15_000), st.integers(0, 15_000))
def test_what_is_let_go_of_changes_no_later_lag(steps, replayed, further):
    stored, now = seen(steps), 10_000.0
    kept = still_needed(stored, Lsn(replayed))
    assert kept[-1] == stored[-1]
    at = Lsn(max(replayed, further))
    assert warm_lag(kept, at, now) == warm_lag(stored, at, now)
    assert still_needed(stored, None) == tuple(stored)
