from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.plan.schedule import ScheduledBackup, newest_due, next_due, to_make_up
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


def entry(cron="0 3 * * *", timezone="UTC"):
    return ScheduledBackup(ResourceName("orders"), BackupKind.FULL, cron, timezone)


@given(entries, moments)
def test_the_newest_due_moment_is_not_after_now_and_the_next_is(entry, now):
    assert newest_due(entry, now) <= now < next_due(entry, now)


@given(entries, moments)
def test_a_moment_that_comes_next_is_the_newest_once_it_is_there(entry, now):
    coming = next_due(entry, now)
    assert newest_due(entry, coming) == coming


@given(entries, moments, st.timedeltas(timedelta(0), timedelta(days=40)))
def test_whatever_was_missed_is_made_up_once(entry, handled, away):
    now = handled + away
    due = to_make_up(entry, handled, now)
    if due is None:
        assert next_due(entry, handled) > now
        return
    assert handled < due <= now
    assert to_make_up(entry, due, now) is None


@given(entries, moments)
def test_due_moments_never_stand_still_nor_go_backwards(entry, now):
    first = next_due(entry, now)
    assert next_due(entry, first) > first


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
    assert newest_due(entry(timezone="Europe/Berlin"), at(now)) == at(due)


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
            handled, taken = due, taken + 1
        now += timedelta(minutes=5)
    assert taken == 1
    assert newest_due(night, end).astimezone(ZoneInfo("Europe/Berlin")).day == 25
