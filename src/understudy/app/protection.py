"""What the records say of a resource's protection, whatever its kind: when the next backup is due, and what ended how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from understudy.app.installation import Installation
from understudy.app.scheduling import USABLE_BACKUP, scheduled_backups
from understudy.plan.plan import Procedure
from understudy.plan.schedule import next_due
from understudy.records.run import RunRecord, RunState
from understudy.vocabulary.identifiers import ResourceName, RunId


@dataclass(frozen=True, slots=True)
class EndedRun:
    run: RunId
    procedure: str
    subject: str
    ended: datetime


def next_backup(installation: Installation, name: ResourceName) -> datetime | None:
    now = installation.clock.now()
    return min((next_due(entry, now) for entry in scheduled_backups(installation, name)), default=None)


def is_recoverable(installation: Installation, name: ResourceName, newest_ended: datetime | None) -> bool:
    """By what ``serve`` found in the repository, unless a backup was completed since."""
    seen = installation.records.observed(name, USABLE_BACKUP)
    if seen is None or (newest_ended is not None and newest_ended > seen.at):
        return newest_ended is not None
    return bool(seen.value["there"])


def failed_since(
    installation: Installation, name: ResourceName, procedures: Sequence[Procedure], since: datetime | None
) -> EndedRun | None:
    run = installation.records.history.newest(procedures, RunState.FAILED, name)
    failed = None if run is None else ended_run(run)
    return failed if failed is not None and (since is None or failed.ended > since) else None


def ended_run(run: RunRecord) -> EndedRun:
    return EndedRun(run.run, run.procedure, run.subject, run.ended or run.submitted)
