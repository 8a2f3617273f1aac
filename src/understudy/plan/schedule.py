"""When a scheduled backup is due. Cron expressions in a time zone; a missed one is made up once, not once for each miss.

What the expression says is an *occurrence*; with a jitter it comes due a little later, each schedule at a distance of its own.
What was acted on is remembered by its occurrence, so that another jitter neither brings it twice nor loses it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from croniter import croniter

from understudy.vocabulary.identifiers import BackupKind, ResourceName

_SET_BACK = timedelta(hours=1)
_TICK = timedelta(microseconds=1)
_SHARES = 2**32


@dataclass(frozen=True, slots=True)
class ScheduledBackup:
    resource: ResourceName
    kind: BackupKind
    cron: str
    timezone: str
    name: str = "schedule"
    """Its key in the stack file."""
    takes: str = "backup"
    """What it takes, for people."""
    stack: str = ""
    jitter: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Due:
    """Both in UTC."""

    occurrence: datetime
    """What the expression says."""
    at: datetime
    """When it comes due: not before its occurrence, and before the next one."""


def newest_due(entry: ScheduledBackup, now: datetime) -> Due:
    """What came due last, at or before ``now``."""
    due = _due(entry, _newest_occurrence(entry, now))
    return due if due.at <= now else _due(entry, _newest_occurrence(entry, due.occurrence - _TICK))


def next_due(entry: ScheduledBackup, now: datetime, handled: datetime | None = None) -> Due:
    """What comes due first after ``now``.

    Args:
        handled: The occurrence that was acted on last. Whatever stands at or before it never comes due any more.
    """
    over = newest_due(entry, now).occurrence
    if handled is not None and not is_of_a_clock_ahead(handled, now):
        over = max(over, handled)
    return _due(entry, _next_occurrence(entry, over))


def is_of_a_clock_ahead(handled: datetime, now: datetime) -> bool:
    """Whether ``handled`` was marked by a clock that has been set back since: until it came round nothing would be due.

    A clock that goes back by less is waited for, so that nothing is acted on twice.
    """
    return handled - now > _SET_BACK


def to_make_up(entry: ScheduledBackup, handled: datetime, now: datetime) -> Due | None:
    """What has come due and nobody has acted on since ``handled``; None when there is none. Only the newest counts."""
    due = newest_due(entry, now)
    return due if due.occurrence > handled else None


def due_since(entry: ScheduledBackup, handled: datetime) -> datetime:
    """When the first came due that nobody has acted on since ``handled``, in UTC."""
    return _due(entry, _next_occurrence(entry, handled)).at


def _due(entry: ScheduledBackup, occurrence: datetime) -> Due:
    """A share of the jitter, the same at each occurrence and after each start; of a gap that is shorter, the share of the gap,
    so that also these spread and none comes due after the one that follows.
    """
    if not entry.jitter:
        return Due(occurrence, occurrence)
    room = min(entry.jitter, _next_occurrence(entry, occurrence) - occurrence)
    return Due(occurrence, occurrence + timedelta(microseconds=room // _TICK * _share(entry) // _SHARES))


def _share(entry: ScheduledBackup) -> int:
    """By the names alone: so many stacks that keep their backups in one store spread out."""
    names = "\0".join((entry.stack, entry.resource, entry.name))
    return int.from_bytes(hashlib.sha256(names.encode()).digest()[:4])


def _newest_occurrence(entry: ScheduledBackup, now: datetime) -> datetime:
    local = now.astimezone(ZoneInfo(entry.timezone))
    found: datetime = croniter(entry.cron, local).get_prev(datetime)
    here = local.replace(second=0, microsecond=0)
    if croniter.match(entry.cron, here):
        found = here
    if _comes_again(entry, found):
        found = found.astimezone(local.tzinfo).replace(fold=0)
        while (following := _next_occurrence(entry, found)) <= now:  # 02:40, where it is 02:10 for the second time
            found = following
    return found.astimezone(UTC)


def _next_occurrence(entry: ScheduledBackup, after: datetime) -> datetime:
    moments = croniter(entry.cron, after.astimezone(ZoneInfo(entry.timezone)))
    found: datetime = moments.get_next(datetime)
    while _comes_again(entry, found):
        found = moments.get_next(datetime)
    return found.astimezone(UTC)


def _comes_again(entry: ScheduledBackup, due: datetime) -> bool:
    """Whether the clocks were put back and this hour is there for the second time, for a schedule that names its hours.

    Like cron(8), one that runs every hour anyway goes on in the second one; one at 02:30 has run.
    """
    names_hours = not entry.cron.split()[1].startswith("*")
    return names_hours and due.astimezone(UTC).astimezone(ZoneInfo(entry.timezone)).fold == 1
