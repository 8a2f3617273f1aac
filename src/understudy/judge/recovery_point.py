"""How much of the newest work a recovery lost, and how well that is known.

Nobody keeps a ledger of a real database's commits, so the loss is a bound in time: the work of so many seconds at most. The demo
and the tests keep ledgers of their own, and compare commit by commit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from understudy.judge.run_measurement import ObjectiveVerdict

_ITS_OWN_COMMIT = timedelta(seconds=1)
"""A heartbeat is committed a little later than the time that it holds."""


class RecoveryPointSource(StrEnum):
    """Of the first two the later one tells, because whatever was committed before either came back; else the next one."""

    HEARTBEAT = "heartbeat"
    """The newest row of those that are written at an interval, or its own commit. The loss is at most its age at the disruption,
    and while all is well that is no more than the interval and what was not in a repository."""
    LAST_REPLAYED_COMMIT = "last_replayed_commit"
    """The newest commit that came back. A database where nobody wrote looks as if it had lost the silence."""
    BACKUP = "backup"
    """No commit was replayed over the backup: what had been committed when it was begun is in it."""
    SNAPSHOT = "snapshot"
    """Of a directory or a bucket: what was written when the snapshot was begun is in it."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class RecoveryPoint:
    source: RecoveryPointSource
    at: datetime | None
    loss: timedelta | None
    """From the newest work that came back to the disruption: an upper bound of what was lost."""
    verdict: ObjectiveVerdict


def judge_recovery_point(
    heartbeat: datetime | None,
    last_commit: datetime | None,
    backup_started: datetime | None,
    disrupted: datetime,
    objective: timedelta | None,
) -> RecoveryPoint:
    """The bound, and whether it is within the objective.

    ``disrupted``: until when work can have been committed that was to come back.

    Beyond the objective a heartbeat proves a miss, also where a later commit makes the bound smaller: the next ones are missing.
    The last commit alone and the backup do not: the database may have been silent, so that is unknown, and a heartbeat in the
    stack file would tell.
    """
    if heartbeat is not None and (last_commit is None or last_commit - heartbeat <= _ITS_OWN_COMMIT):
        source, at = RecoveryPointSource.HEARTBEAT, max(heartbeat, last_commit or heartbeat)
    elif last_commit is not None:
        source, at = RecoveryPointSource.LAST_REPLAYED_COMMIT, last_commit
    elif backup_started is not None:
        source, at = RecoveryPointSource.BACKUP, backup_started
    else:
        return RecoveryPoint(RecoveryPointSource.NONE, None, None, ObjectiveVerdict.UNKNOWN)
    loss = max(timedelta(), disrupted - at)
    return RecoveryPoint(source, at, loss, _verdict(loss, objective, beats=heartbeat is not None))


def judge_snapshot_point(started: datetime | None, disrupted: datetime, objective: timedelta | None) -> RecoveryPoint:
    """As ``judge_recovery_point``: beyond the objective it is unknown, because perhaps nobody wrote after the snapshot."""
    if started is None:
        return RecoveryPoint(RecoveryPointSource.NONE, None, None, ObjectiveVerdict.UNKNOWN)
    loss = max(timedelta(), disrupted - started)
    return RecoveryPoint(RecoveryPointSource.SNAPSHOT, started, loss, _verdict(loss, objective, beats=False))


def _verdict(loss: timedelta, objective: timedelta | None, *, beats: bool) -> ObjectiveVerdict:
    if objective is None:
        return ObjectiveVerdict.NONE_SET
    if loss <= objective:
        return ObjectiveVerdict.MET
    return ObjectiveVerdict.MISSED if beats else ObjectiveVerdict.UNKNOWN
