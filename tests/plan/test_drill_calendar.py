from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.plan.drill_calendar import MOST_ATTEMPTS, CalendarEntry, next_turn, period_at, standing

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Beirut",
    "America/Santiago",
    "America/Havana",
    "Pacific/Apia",
]
"""Beirut's and Santiago's clocks are changed at midnight, Havana's an hour after it."""
WINDOWS = [None, "01:00-05:00", "23:00-03:00", "02:15-02:45", "00:00-24:00", "12:30-12:40"]
CRONS = ["0 3 * * *", "0 2 * * sat", "30 2 1 * *", "0 */6 * * *"]
CHANGES = ["2026-03-08", "2026-03-29", "2026-04-05", "2026-09-06", "2026-10-25", "2026-11-01", "2011-12-30"]

whenever = st.integers(0, 3 * 366 * 24 * 3600).map(lambda seconds: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))
around_changes = st.builds(
    lambda day, minutes: datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(minutes=minutes),
    st.sampled_from(CHANGES),
    st.integers(-40 * 60, 40 * 60),
)
moments = whenever | around_changes
named = st.builds(
    CalendarEntry,
    st.just("d"),
    st.sampled_from(["daily", "weekly", "monthly", "quarterly"]),
    st.sampled_from(ZONES),
    st.sampled_from(WINDOWS),
)
entries = named | st.builds(CalendarEntry, st.just("d"), st.sampled_from(CRONS), st.sampled_from(ZONES), st.sampled_from(WINDOWS))
pasts = st.lists(st.integers(0, 400 * 24 * 60), max_size=6)


def at(text):
    return datetime.fromisoformat(text)


def label(every, moment, zone):
    """What people call the period, by the calendar alone."""
    day = moment.astimezone(ZoneInfo(zone)).date()
    return {
        "daily": (day,),
        "weekly": tuple(day.isocalendar())[:2],
        "monthly": (day.year, day.month),
        "quarterly": (day.year, (day.month + 2) // 3),
    }[every]


@settings(deadline=None, max_examples=150)
@given(named, moments)
def test_a_period_is_what_the_calendar_of_the_zone_calls_one(entry, moment):
    period = period_at(entry, moment)
    assert period.holds(moment)
    here = label(entry.every, moment, entry.timezone)
    for step in range(13):
        inside = period.start + (period.end - period.start - timedelta(microseconds=1)) * step / 12
        assert label(entry.every, inside, entry.timezone) == here
    before, after = period.start - timedelta(microseconds=1), period.end
    assert label(entry.every, after, entry.timezone) > here or _put_back(after, entry.timezone)
    assert label(entry.every, before, entry.timezone) < here or _put_back(before, entry.timezone)


def _put_back(moment, zone):
    """Within a day of a change of clocks a local date may come twice."""
    day = timedelta(days=1)
    return (moment - day).astimezone(ZoneInfo(zone)).utcoffset() != (moment + day).astimezone(ZoneInfo(zone)).utcoffset()


@settings(deadline=None, max_examples=100)
@given(entries, moments)
def test_periods_follow_one_another_without_a_gap_and_without_overlap(entry, moment):
    period = period_at(entry, moment)
    following, before = period_at(entry, period.end), period_at(entry, period.start - timedelta(microseconds=1))
    assert following.start == period.end
    assert before.end == period.start
    assert period_at(entry, period.start) == period


@settings(deadline=None, max_examples=150)
@given(entries, moments, pasts, pasts)
def test_a_turn_is_in_a_window_of_an_unmet_period_and_never_the_second_in_one(entry, now, passed, tried):
    passes, attempts = ([now - timedelta(minutes=each) for each in minutes] for minutes in (passed, tried))
    since = now - timedelta(days=500)
    turn = next_turn(entry, now, passes, attempts, since)
    if turn is None:
        return
    assert turn >= now
    period = period_at(entry, turn)
    assert not any(period.holds(each) for each in passes)
    assert sum(map(period.holds, attempts)) < MOST_ATTEMPTS
    if entry.window is not None:
        assert _shows(entry, turn) or _put_back(turn, entry.timezone)
        for each in attempts:
            if period.holds(each) and entry.window != "00:00-24:00":
                between = (each + timedelta(minutes=minute) for minute in range(int((turn - each) / timedelta(minutes=1)) + 1))
                assert not all(_shows(entry, moment) for moment in between), "it is another window"


def _shows(entry, moment):
    """Whether the clocks there show a time of the window."""
    opens, closes = entry.window.split("-")
    shown = f"{moment.astimezone(ZoneInfo(entry.timezone)):%H:%M}"
    return opens <= shown < closes if opens < closes else shown >= opens or shown < closes


@settings(deadline=None, max_examples=100)
@given(named, moments, st.integers(0, 3))
def test_a_calendar_that_is_served_misses_no_period_that_has_a_window(entry, start, seed):
    """Play it: whoever begins at each turn, and passes, is never overdue."""
    now, passes = start, []
    since = start
    for _ in range(4):
        turn = next_turn(entry, now, passes, passes, since)
        assert turn is not None
        assert standing(entry, turn, passes, since).overdue_since is None or entry.window is not None
        passes.append(turn)
        assert standing(entry, turn, passes, since).met
        later = next_turn(entry, turn + timedelta(seconds=seed), passes, passes, since)
        assert later >= period_at(entry, turn).end
        now = later


@settings(deadline=None, max_examples=150)
@given(named, moments, pasts, st.integers(0, 400))
def test_overdue_is_what_a_count_of_the_periods_says(entry, now, passed, days):
    """The oracle walks from the first period on and looks at each."""
    passes, since = [now - timedelta(minutes=each) for each in passed], now - timedelta(days=days)
    period, first_unmet = period_at(entry, since), None
    while period.end <= now:
        if any(period.holds(each) for each in passes):
            first_unmet = None
        elif first_unmet is None:
            first_unmet = period.end
        period = period_at(entry, period.end)
    if any(period.holds(each) for each in passes):
        first_unmet = None
    found = standing(entry, now, passes, since)
    assert found.overdue_since == first_unmet
    assert found.met == any(period.holds(each) for each in passes)


QUARTERLY = CalendarEntry("restore", "quarterly", "Europe/Berlin", "01:00-05:00")


def test_a_quarter_is_met_by_one_that_passed_inside_it_alone():
    passed = [at("2026-03-31T23:59:00+02:00")]
    found = standing(QUARTERLY, at("2026-06-30T12:00:00+02:00"), passed, at("2026-01-02T00:00:00+01:00"))
    assert not found.met
    assert found.overdue_since is None, "it can be met still"
    found = standing(QUARTERLY, at("2026-07-11T00:00:00+02:00"), passed, at("2026-01-02T00:00:00+01:00"))
    assert found.overdue_since == at("2026-07-01T00:00:00+02:00")
    found = standing(QUARTERLY, at("2026-07-11T00:00:00+02:00"), [*passed, at("2026-07-01T00:00:00+02:00")], None)
    assert found.met
    assert found.overdue_since is None


def test_a_drill_that_failed_is_held_again_in_the_next_windows_and_then_left_to_a_person():
    now, attempts, turns = at("2026-10-05T12:00:00+00:00"), [], []
    for _ in range(4):
        turn = next_turn(QUARTERLY, now, [], attempts, now)
        turns.append(turn.astimezone(ZoneInfo("Europe/Berlin")).strftime("%m-%d %H:%M"))
        attempts.append(turn)
        now = turn + timedelta(minutes=10)
    assert turns == ["10-06 01:00", "10-07 01:00", "10-08 01:00", "01-01 01:00"]


def test_what_an_outage_took_is_made_up_once_and_only_in_a_window():
    daily = CalendarEntry("check", "daily", "UTC", "01:00-05:00")
    since, passed = at("2026-11-01T00:00:00+00:00"), [at("2026-11-02T01:00:00+00:00")]
    back = at("2026-11-10T14:00:00+00:00")
    assert standing(daily, back, passed, since).overdue_since == at("2026-11-04T00:00:00+00:00")
    turn = next_turn(daily, back, passed, passed, since)
    assert turn == at("2026-11-11T01:00:00+00:00")
    assert next_turn(daily, turn, [*passed, turn], [*passed, turn], since) == at("2026-11-12T01:00:00+00:00")


def test_with_a_cron_expression_nothing_is_due_that_it_said_before_it_was_declared():
    weekly = CalendarEntry("check", "0 2 * * sat", "UTC")
    seen = at("2026-11-25T10:00:00+00:00")  # a Wednesday
    assert next_turn(weekly, seen, [], [], seen) == at("2026-11-28T02:00:00+00:00")
    assert standing(weekly, at("2026-12-05T01:59:00+00:00"), [], seen).overdue_since is None
    assert standing(weekly, at("2026-12-05T02:00:00+00:00"), [], seen).overdue_since == at("2026-12-05T02:00:00+00:00")
    late = at("2026-11-29T17:00:00+00:00")
    assert next_turn(weekly, late, [], [], seen) == late, "made up at once, where no window says when"


def test_what_a_clock_that_ran_ahead_has_noted_stops_no_calendar():
    ahead = [at("2027-02-01T01:00:00+00:00")]
    now = at("2026-11-10T02:00:00+00:00")
    assert next_turn(QUARTERLY, now, ahead, ahead, ahead[0]) == now
    assert not standing(QUARTERLY, now, ahead, ahead[0]).met
    little = [now + timedelta(minutes=30)]
    assert standing(QUARTERLY, now, little, now).met, "a clock that goes back by little has it held once"
