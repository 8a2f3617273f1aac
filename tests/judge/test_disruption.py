"""Since when a recovery counts: what a person says, else what the watch saw, else the command's own start."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.judge.disruption import LONGEST_BLINDNESS, Watched, beside_a_server_that_lives, disruption_of
from understudy.vocabulary.disruption import Disruption, KnownBy, disruption_from_json, disruption_to_json

BEGAN = datetime(2026, 11, 23, 3, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
AT_THE_START = Disruption.exactly(BEGAN, KnownBy.COMMAND)


def watched(answered, silent=None):
    """So long before the command was begun."""
    return Watched(BEGAN - answered, None if silent is None else BEGAN - silent)


def test_what_a_person_says_counts_whatever_a_watch_saw():
    told = BEGAN - 7 * MINUTE
    found = disruption_of(BEGAN, told, watched(3 * MINUTE, 3 * MINUTE - SECOND), BEGAN)
    assert found == Disruption.exactly(told, KnownBy.PERSON)


def test_time_counts_from_the_last_answer_and_loss_until_the_first_look_at_which_nobody_answered():
    found = disruption_of(BEGAN, None, watched(30 * MINUTE, 30 * MINUTE - 2 * SECOND), BEGAN - SECOND)
    assert found == Disruption(BEGAN - 30 * MINUTE, KnownBy.WATCH, BEGAN - 30 * MINUTE + 2 * SECOND)


def test_a_watch_that_sees_the_server_yet_says_that_the_loss_is_one_that_it_survives():
    assert disruption_of(BEGAN, None, watched(SECOND), BEGAN - SECOND) == AT_THE_START


def test_a_look_that_hangs_at_a_host_that_is_off_is_no_end_of_the_watch():
    again = disruption_of(BEGAN, None, watched(30 * MINUTE, 30 * MINUTE - 20 * SECOND), BEGAN - 20 * SECOND)
    assert again == Disruption(BEGAN - 30 * MINUTE, KnownBy.WATCH, BEGAN - 30 * MINUTE + 20 * SECOND)
    at_first = disruption_of(BEGAN, None, watched(15 * SECOND), BEGAN - 15 * SECOND)
    assert at_first == Disruption(BEGAN - 15 * SECOND, KnownBy.WATCH, BEGAN)


def test_a_watch_that_died_with_the_server_leaves_open_until_when_work_was_committed():
    found = disruption_of(BEGAN, None, watched(4 * MINUTE), BEGAN - 4 * MINUTE)
    assert found == Disruption(BEGAN - 4 * MINUTE, KnownBy.WATCH, BEGAN)
    ended_later = disruption_of(BEGAN, None, watched(30 * MINUTE, 30 * MINUTE - SECOND), BEGAN - 3 * MINUTE)
    assert ended_later == Disruption(BEGAN - 30 * MINUTE, KnownBy.WATCH, BEGAN)


@pytest.mark.parametrize(
    ("seen", "reported"),
    [
        (Watched(), None),
        (Watched(), BEGAN),
        (watched(-SECOND), BEGAN + SECOND),
        (watched(11 * MINUTE), BEGAN - 11 * MINUTE),
        (watched(60 * MINUTE, 60 * MINUTE - SECOND), BEGAN - 11 * MINUTE),
        (watched(60 * MINUTE, 10 * MINUTE), BEGAN - SECOND),
    ],
    ids=[
        "nobody watched",
        "nobody ever answered",
        "it answered after the start",
        "serve ended long ago",
        "serve saw it gone and ended long ago",
        "serve was away while it went",
    ],
)
def test_where_nobody_looked_for_long_only_the_commands_start_is_known(seen, reported):
    assert disruption_of(BEGAN, None, seen, reported) == AT_THE_START


@pytest.mark.parametrize(
    ("told", "seen", "counts_from"),
    [
        (None, watched(5 * MINUTE), BEGAN),
        (None, watched(5 * MINUTE, 4 * MINUTE), BEGAN - 5 * MINUTE),
        (BEGAN - 7 * MINUTE, watched(5 * MINUTE), BEGAN - 7 * MINUTE),
    ],
    ids=["serve ended in good order", "serve saw it gone, and it came back", "a person knows better"],
)
def test_where_the_old_server_is_found_alive_only_silence_that_was_seen_counts_from_before(told, seen, counts_from):
    reported = BEGAN - 5 * MINUTE if seen.silent is None else BEGAN - SECOND
    known = disruption_of(BEGAN, told, seen, reported)
    found = beside_a_server_that_lives(known, seen)
    assert found.at == counts_from
    assert found in (known, AT_THE_START)


def test_an_answer_ends_a_silence_and_the_first_silent_look_counts():
    seen = Watched().saw_answer(BEGAN).saw_silence(BEGAN + SECOND).saw_silence(BEGAN + MINUTE)
    assert seen == Watched(BEGAN, BEGAN + SECOND)
    assert seen.saw_answer(BEGAN + 2 * MINUTE) == Watched(BEGAN + 2 * MINUTE)


ages = st.timedeltas(timedelta(0), timedelta(hours=1))


@given(ages, st.none() | ages, ages)
def test_it_never_counts_from_behind_the_start_and_never_ends_before_it_begins(answered, silent, reported):
    after = None if silent is None else min(silent, answered)
    found = disruption_of(BEGAN, None, watched(answered, after), BEGAN - min(reported, after or answered))
    assert found.at <= found.latest <= BEGAN
    if found.known_by is KnownBy.WATCH:
        assert found.at == BEGAN - answered
        assert (after or min(reported, answered)) >= timedelta(0)
        assert min(reported, after or answered) <= LONGEST_BLINDNESS


@given(st.sampled_from(KnownBy), ages)
def test_it_comes_back_from_json_equal(known_by, uncertain):
    found = Disruption(BEGAN, known_by, BEGAN + uncertain)
    assert disruption_from_json(disruption_to_json(found)) == found
