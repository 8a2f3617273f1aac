from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.plan.schedule import ScheduledBackup, due_since, newest_due, next_due, to_make_up
from understudy.vocabulary.identifiers import BackupKind, ResourceName

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]
CRONS = ["0 3 * * *", "30 2 * * *", "0 3 * * sun", "*/15 * * * *", "0 0 1 * *", "0 3 * * mon-sat"]
moments = st.integers(0, 4 * 366 * 24 * 60).map(
    lambda minutes: datetime(2024, 1, 1, 0, 0, 7, tzinfo=UTC) + timedelta(minutes=minutes)
)
entries = st.builds(
    ScheduledBackup, st.just(ResourceName("orders")), st.sampled_from(BackupKind), st.sampled_from(CRONS), st.sampled_from(ZONES)
)


def at(text):
    return datetime.fromisoformat(text)


jitters = st.timedeltas(timedelta(0), timedelta(days=3)).map(lambda each: each - each % timedelta(seconds=1))
spread = st.builds(
    ScheduledBackup,
    st.sampled_from([ResourceName("orders"), ResourceName("documents")]),
    st.just(BackupKind.FULL),
    st.sampled_from([*CRONS, "10,40 2 * * *", "30 1-3 * * *"]),
    st.sampled_from(ZONES),
    name=st.sampled_from(["full", "incremental", "schedule"]),
    stack=st.text("abc", min_size=1, max_size=3),
    jitter=jitters,
)
CHANGES = ["2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01"]
"""Nights on which clocks are changed in one of the zones."""
around_changes = st.builds(
    lambda day, minutes: datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(minutes=minutes),
    st.sampled_from(CHANGES),
    st.integers(-36 * 60, 36 * 60),
)
any_moments = moments | around_changes


def entry(cron="0 3 * * *", timezone="UTC"):
    return ScheduledBackup(ResourceName("orders"), BackupKind.FULL, cron, timezone)


@settings(deadline=None, max_examples=60)
@given(entries | spread, any_moments)
def test_the_newest_due_moment_is_not_after_now_and_the_next_is(entry, now):
    assert newest_due(entry, now).at <= now < next_due(entry, now).at


@settings(deadline=None, max_examples=60)
@given(entries | spread, any_moments)
def test_a_moment_that_comes_next_is_the_newest_once_it_is_there(entry, now):
    coming = next_due(entry, now)
    assert newest_due(entry, coming.at) == coming


@settings(deadline=None, max_examples=60)
@given(entries | spread, any_moments, st.timedeltas(timedelta(0), timedelta(days=40)))
def test_whatever_was_missed_is_made_up_once(entry, handled, away):
    now = handled + away
    due = to_make_up(entry, handled, now)
    if due is None:
        assert due_since(entry, handled) > now
        return
    assert handled < due.occurrence
    assert due_since(entry, handled) <= due.at <= now
    assert to_make_up(entry, due.occurrence, now) is None
    assert next_due(entry, now, due.occurrence) == next_due(entry, now)


@settings(deadline=None, max_examples=60)
@given(entries | spread, any_moments)
def test_due_moments_never_stand_still_nor_go_backwards(entry, now):
    first = next_due(entry, now)
    assert next_due(entry, first.at).occurrence > first.occurrence
    assert next_due(entry, first.at).at > first.at


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-07-01T12:00:00+02:00", "2026-07-01T03:00:00+02:00"),
        ("2026-12-01T12:00:00+01:00", "2026-12-01T03:00:00+01:00"),
        ("2026-07-01T02:59:59+02:00", "2026-06-30T03:00:00+02:00"),
        ("2026-07-01T03:00:00+02:00", "2026-07-01T03:00:00+02:00"),
    ],
)
def test_the_hour_is_that_of_the_time_zone_in_summer_and_in_winter(now, due):
    assert newest_due(entry(timezone="Europe/Berlin"), at(now)).at == at(due)


def test_an_hour_that_the_clocks_skip_still_brings_a_backup_that_day():
    """Clocks went from 02:00 to 03:00 on 29 March 2026 in Berlin."""
    night = entry("30 2 * * *", "Europe/Berlin")
    before, after = at("2026-03-28T12:00:00+01:00"), at("2026-03-29T12:00:00+02:00")
    assert to_make_up(night, before, after) is not None


def test_an_hour_that_comes_twice_brings_one_backup_that_night():
    """Clocks went from 03:00 back to 02:00 on 25 October 2026 in Berlin."""
    night = entry("30 2 * * *", "Europe/Berlin")
    handled, taken = at("2026-10-24T12:00:00+02:00"), 0
    now, end = handled, at("2026-10-25T12:00:00+01:00")
    while now <= end:
        due = to_make_up(night, handled, now)
        if due is not None:
            handled, taken = due.occurrence, taken + 1
        now += timedelta(minutes=5)
    assert taken == 1
    assert newest_due(night, end).at.astimezone(ZoneInfo("Europe/Berlin")).day == 25


def test_in_an_hour_that_comes_twice_the_newest_is_the_last_of_its_first_round():
    night = entry("10,40 2 * * *", "Europe/Berlin")
    assert newest_due(night, at("2026-10-25T02:20:00+01:00")).at == at("2026-10-25T02:40:00+02:00")


@settings(deadline=None, max_examples=60)
@given(spread, any_moments)
def test_with_a_jitter_a_schedule_comes_due_within_it_and_before_it_comes_due_again(entry, now):
    due = next_due(entry, now)
    assert timedelta(0) <= due.at - due.occurrence
    assert due.at - due.occurrence < entry.jitter or due.at == due.occurrence
    assert due.at < next_due(entry, due.at).occurrence


@settings(deadline=None, max_examples=60)
@given(spread, any_moments, jitters)
def test_another_jitter_moves_no_occurrence_and_brings_none_twice(entry, now, jitter):
    other = replace(entry, jitter=jitter)
    handled = newest_due(entry, now).occurrence
    due = to_make_up(other, handled, now)
    assert due is None or due.occurrence > handled
    assert next_due(other, now, handled).occurrence > handled


@settings(deadline=None, max_examples=60)
@given(spread, any_moments)
def test_the_jitter_is_the_same_at_each_occurrence_but_where_the_next_one_is_nearer(entry, now):
    entry = replace(entry, cron="30 12 * * *", jitter=timedelta(hours=1))
    first = next_due(entry, now)
    second = next_due(entry, first.at)
    assert first.at - first.occurrence == second.at - second.occurrence


def test_what_is_new_between_its_hour_and_its_moment_waits_for_the_next_hour():
    daily = replace(entry(), jitter=timedelta(hours=12), stack="shop", name="full")
    due = next_due(daily, at("2026-11-23T00:00:00+00:00"))
    new = due.at - timedelta(minutes=1)
    assert due.occurrence < new
    assert to_make_up(daily, new, due.at) is None
    assert next_due(daily, new, new).occurrence == due.occurrence + timedelta(days=1)


def test_many_stacks_on_one_store_spread_over_the_jitter_and_each_is_known_beforehand():
    daily = replace(entry(), jitter=timedelta(hours=1), name="full")
    midnight = at("2026-11-23T00:00:00+00:00")
    minutes = [next_due(replace(daily, stack=f"shop-{number}"), midnight).at.minute for number in range(400)]
    by_quarter = [sum(minute // 15 == quarter for minute in minutes) for quarter in range(4)]
    assert min(by_quarter) > 60
    assert len({next_due(replace(daily, name=name), midnight) for name in ("full", "incremental", "schedule")}) == 3
    written_down = next_due(replace(daily, stack="shop"), midnight).at
    assert written_down == at("2026-11-23T03:02:47.199621+00:00")
