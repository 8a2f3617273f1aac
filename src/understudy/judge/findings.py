"""Whether a finding is open, overdue or closed, and whether a run is its retest. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from understudy.records.findings import FindingRecord


class FindingState(StrEnum):
    OPEN = "open"
    OVERDUE = "overdue"
    """Its day has passed, and nobody has closed it."""
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Retest:
    """A run, as far as it can be one."""

    scenario: str
    """What it was about: a scenario, or a resource."""
    measured: bool
    """Whether it is a drill or a recovery."""
    submitted: datetime
    succeeded: bool
    met: bool | None
    """Whether every objective is known to be met; None while that is not known."""


def finding_state(finding: FindingRecord, today: date) -> FindingState:
    """``today`` in UTC, as the due date is; on the day itself it is not overdue."""
    if finding.closing is not None:
        return FindingState.CLOSED
    return FindingState.OVERDUE if today > finding.due else FindingState.OPEN


def why_no_retest(finding: FindingRecord, run: Retest) -> str | None:
    """What keeps the run from showing that the finding is mended; None where it does."""
    if not run.measured:
        return "it is neither a drill nor a recovery"
    if run.submitted <= finding.opened:
        return f"it began at {run.submitted.isoformat(timespec='seconds')}, before the finding was opened"
    if finding.scenario and run.scenario != finding.scenario:
        return f"it was about {run.scenario}, and the finding about {finding.scenario}"
    if not run.succeeded:
        return "it did not succeed"
    if not run.met:
        return "not every objective is known to be met by it"
    return None
