"""When a declared drill is to be held, and whether it was. Pure: periods, windows, and what follows from the drills there were.

Each drill has *periods*: days, weeks, months or quarters of a time zone, or what lies between two moments of a cron expression.
One drill that passed and began in a period meets it. A period that ended unmet leaves it overdue until one passes again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from understudy.plan.schedule import ScheduledBackup, is_of_a_clock_ahead, newest_due, next_due
from understudy.vocabulary.identifiers import BackupKind, ResourceName

MOST_ATTEMPTS = 3
"""Of one period, by the calendar. What failed so often needs a person, and a drill by hand counts as well."""

_TICK = timedelta(microseconds=1)
_FORESEEN = 1000
"""Windows and periods that are looked through for the next turn; a year of days is less."""


@dataclass(frozen=True, slots=True)
class CalendarEntry:
    """A drill as the stack file declares it, as far as time is concerned."""

    name: str
    every: str
    """``daily``, ``weekly``, ``monthly``, ``quarterly``; else a cron expression."""
    timezone: str
    window: str | None = None
    """``HH:MM-HH:MM``, local time: when it may begin, each day; the end is not part of it. None: at any time."""


@dataclass(frozen=True, slots=True)
class Span:
    """From ``start``, which belongs to it, to ``end``, which does not. In UTC."""

    start: datetime
    end: datetime

    def holds(self, moment: datetime) -> bool:
        return self.start <= moment < self.end


@dataclass(frozen=True, slots=True)
class Standing:
    """How a drill of the calendar stands at a moment."""

    period: Span
    """The one that it is now."""
    met: bool
    """Whether one that passed began in it."""
    overdue_since: datetime | None
    """The end of the first period that was not met since the last that was; None: there is none."""
    last_passed: datetime | None
    """When the newest that passed began."""


def period_at(entry: CalendarEntry, moment: datetime) -> Span:
    """The period that holds the moment."""
    if entry.every not in _FIRST_DAYS:
        cron = _as_schedule(entry)
        return Span(newest_due(cron, moment).occurrence, next_due(cron, moment).occurrence)
    zone = ZoneInfo(entry.timezone)
    today = moment.astimezone(zone).date()
    first = _first_day(entry.every, today)
    while _midnight(first, zone) > moment:  # midnight was put back behind it: it is still the day before, once more
        first = _first_day(entry.every, first - timedelta(days=1))
    following = _next_first_day(entry.every, first)
    while _midnight(following, zone) <= moment:  # a day that was left out at the date line
        first, following = following, _next_first_day(entry.every, following)
    return Span(_midnight(first, zone), _midnight(following, zone))


def standing(entry: CalendarEntry, now: datetime, passed: Collection[datetime], since: datetime | None) -> Standing:
    """
    Args:
        passed: When each drill that fits and passed was begun. What a clock that ran ahead has noted does not count.
        since: When the calendar saw the entry first; None: it is seen now. Nothing is asked of the time before.
    """
    known = [each for each in passed if not is_of_a_clock_ahead(each, now)]
    last = max(known, default=None)
    period = period_at(entry, now)
    asked_from = _first_period(entry, now, since)
    if last is not None:
        asked_from = max(asked_from, period_at(entry, period_at(entry, last).end), key=lambda each: each.start)
    return Standing(
        period=period,
        met=any(period.holds(each) for each in known),
        overdue_since=asked_from.end if asked_from.end <= now else None,
        last_passed=last,
    )


def next_turn(
    entry: CalendarEntry,
    now: datetime,
    passed: Collection[datetime],
    attempts: Collection[datetime],
    since: datetime | None,
) -> datetime | None:
    """When the calendar begins the drill next: ``now``, where it is to begin at once. None: in no window to be foreseen.

    Once in each window, until one passed; what was missed is thus made up once, and only in a window.

    Args:
        attempts: When the calendar has begun it, whatever came of it.
    """
    known = [each for each in passed if not is_of_a_clock_ahead(each, now)]
    tried = [each for each in attempts if not is_of_a_clock_ahead(each, now)]
    at = max(now, _first_period(entry, now, since).start)
    for _ in range(_FORESEEN):
        window = _window_from(entry, at)
        if window is None:
            return None
        moment = max(window.start, at)
        period = period_at(entry, moment)
        within = Span(max(window.start, period.start), min(window.end, period.end))
        if any(period.holds(each) for each in known) or sum(map(period.holds, tried)) >= MOST_ATTEMPTS:
            at = period.end
        elif any(within.holds(each) for each in tried):
            at = within.end
        else:
            return moment
    return None


def window_times(text: str) -> tuple[time, time]:
    """``01:00-05:00`` as times of day; an end of 24:00 is midnight.

    Raises:
        ValueError: it has another form.
    """
    opens, _, closes = text.partition("-")
    return time.fromisoformat(opens), time.fromisoformat("00:00" if closes == "24:00" else closes)


def _first_period(entry: CalendarEntry, now: datetime, since: datetime | None) -> Span:
    """What is asked for first. A day or a quarter that has begun can be met still; what a cron expression said before can't."""
    seen = now if since is None or is_of_a_clock_ahead(since, now) else min(since, now)
    period = period_at(entry, seen)
    return period if entry.every in _FIRST_DAYS or period.start == seen else period_at(entry, period.end)


def _window_from(entry: CalendarEntry, moment: datetime) -> Span | None:
    """The first window that ends after the moment."""
    if entry.window is None:
        return period_at(entry, moment)
    return next((each for each in _windows(entry, entry.window, moment) if moment < each.end), None)


def _windows(entry: CalendarEntry, window: str, moment: datetime) -> Iterator[Span]:
    """From the day before the moment on. One that the clocks leave out, because they are put forward, is not there that day."""
    zone = ZoneInfo(entry.timezone)
    opens, closes = window_times(window)
    day = moment.astimezone(zone).date() - timedelta(days=1)
    for _ in range(4):
        closing = day + timedelta(days=1) if closes <= opens else day
        span = Span(_at(day, opens, zone), _at(closing, closes, zone))
        if span.start < span.end:
            yield span
        day += timedelta(days=1)


def _first_day(every: str, day: date) -> date:
    return _FIRST_DAYS[every](day)


def _next_first_day(every: str, first: date) -> date:
    return _first_day(every, first + _LONGER_THAN[every])


_FIRST_DAYS: Mapping[str, Callable[[date], date]] = {
    "daily": lambda day: day,
    "weekly": lambda day: day - timedelta(days=day.weekday()),
    "monthly": lambda day: day.replace(day=1),
    "quarterly": lambda day: day.replace(month=day.month - (day.month - 1) % 3, day=1),
}
_LONGER_THAN = {
    "daily": timedelta(days=1),
    "weekly": timedelta(days=7),
    "monthly": timedelta(days=31),
    "quarterly": timedelta(days=92),
}
"""From the first day of a period into the next one, and never beyond it."""


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return _at(day, time(0), zone)


def _at(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The first moment at which the clocks there show it; where they leave it out, the moment at which they do."""
    return datetime.combine(day, at, zone).astimezone(UTC)


def _as_schedule(entry: CalendarEntry) -> ScheduledBackup:
    return ScheduledBackup(ResourceName("drills"), BackupKind.INCREMENTAL, entry.every, entry.timezone)
