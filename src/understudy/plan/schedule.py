"""When a scheduled backup is due. Cron expressions in a time zone; a missed one is made up once, not once for each miss."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from croniter import croniter

from understudy.vocabulary.identifiers import BackupKind, ResourceName


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
    return found.astimezone(UTC)


def next_due(entry: ScheduledBackup, now: datetime) -> datetime:
    """The first moment after ``now`` at which it comes due, in UTC."""
    found: datetime = croniter(entry.cron, now.astimezone(ZoneInfo(entry.timezone))).get_next(datetime)
    return found.astimezone(UTC)


def to_make_up(entry: ScheduledBackup, handled: datetime, now: datetime) -> datetime | None:
    """The due moment that nobody has acted on since ``handled``; None when there is none. Only the newest counts."""
    due = newest_due(entry, now)
    return due if due > handled else None
