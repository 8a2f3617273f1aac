"""What ``understudy check`` finds of the calendar of drills. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from understudy.judge.preflight import Finding, Grade


@dataclass(frozen=True, slots=True)
class CalendarFacts:
    drill: str
    command: str
    """What holds it by hand."""
    last_passed: datetime | None
    overdue_since: datetime | None
    met: bool
    due_by: datetime
    """The end of the period that it is now."""


def judge_drill(facts: CalendarFacts) -> Finding:
    """A drill that is overdue keeps nobody from recovering, so it fails nothing; but what it would have proven is not proven."""
    subject, aspect = f"drill {facts.drill}", "calendar"
    last = f"passed last {facts.last_passed.isoformat(timespec='seconds')}" if facts.last_passed else "never passed"
    if facts.overdue_since is not None:
        return Finding(
            subject, aspect, Grade.WARNING,
            f"overdue since {facts.overdue_since.isoformat(timespec='seconds')}: {last}",
            "one that passed in each period that the calendar names",
            f"hold it now: {facts.command}; keep serve running, so that the calendar holds it",
        )  # fmt: skip
    by = "" if facts.met else f", and due by {facts.due_by.isoformat(timespec='seconds')}"
    return Finding(subject, aspect, Grade.OK, f"{last}{by}")
