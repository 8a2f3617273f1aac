"""When a scheduled backup is due. Cron expressions in a time zone; a missed one is made up once, not once for each miss."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from croniter import croniter

from understudy.vocabulary.identifiers import BackupKind, ResourceName

_SET_BACK = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ScheduledBackup:
    resource: ResourceName
    kind: BackupKind
    cron: str
    timezone: str


def newest_due(entry: ScheduledBackup, now: datetime) -> datetime:
    """The last moment at or before ``now`` at which the schedule came due, in UTC."""
    local = now.astimezone(ZoneInfo(entry.timezone))
    found: datetime = croniter(entry.cron, local).get_prev(datetime)
    here = local.replace(second=0, microsecond=0)
    if croniter.match(entry.cron, here):
        found = here
    if _comes_again(entry, found):
        found = found.astimezone(local.tzinfo).replace(fold=0)
    return found.astimezone(UTC)


def next_due(entry: ScheduledBackup, now: datetime) -> datetime:
    """The first moment after ``now`` at which it comes due, in UTC."""
    moments = croniter(entry.cron, now.astimezone(ZoneInfo(entry.timezone)))
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


def is_of_a_clock_ahead(handled: datetime, now: datetime) -> bool:
    """Whether ``handled`` was marked by a clock that has been set back since: until it came round nothing would be due.

    A clock that goes back by less is waited for, so that nothing is acted on twice.
    """
    return handled - now > _SET_BACK


def to_make_up(entry: ScheduledBackup, handled: datetime, now: datetime) -> datetime | None:
    """The due moment that nobody has acted on since ``handled``; None when there is none. Only the newest counts."""
    due = newest_due(entry, now)
    return due if due > handled else None
