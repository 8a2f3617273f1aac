"""Values into words that people read: the only place where durations and phases become text."""

from __future__ import annotations

from datetime import datetime, timedelta

from understudy.judge.measured import MeasuredRecovery
from understudy.judge.recovery_point import RecoveryPointSource
from understudy.vocabulary.disruption import KnownBy
from understudy.vocabulary.phases import Phase

PHASE_NAMES = {
    Phase.DETECT: "until the first step",
    Phase.FENCE: "fence the old server",
    Phase.SHIP: "ship the last WAL",
    Phase.PROVISION: "provision",
    Phase.RESTORE: "restore base backup",
    Phase.REPLAY: "replay WAL",
    Phase.PROMOTE: "promote",
    Phase.VERIFY: "verify",
    Phase.CUT_OVER: "open, write and read back",
    Phase.DEPLOY: "start services",
    Phase.WAITING: "between steps",
    Phase.PROTECT: "protect again",
    Phase.CLEAN_UP: "clean up",
}
SOURCES = {
    RecoveryPointSource.HEARTBEAT: "by heartbeat",
    RecoveryPointSource.LAST_REPLAYED_COMMIT: "by the last replayed commit",
    RecoveryPointSource.BACKUP: "by the backup: no commit followed it",
    RecoveryPointSource.SNAPSHOT: "by when the snapshot was begun",
    RecoveryPointSource.NONE: "nothing to tell it by",
}
SINCE = {
    KnownBy.PERSON: "as --since says",
    KnownBy.WATCH: "when serve last saw the server answer",
    KnownBy.COMMAND: "when the command was begun",
    KnownBy.COPIES: "when copies of what it depends on were up",
}


_IN_ANY_RUN = {Phase.RESTORE: "restore", Phase.PROTECT: "protect"}


def unjudged_loss(part: MeasuredRecovery) -> str:
    """Of a part of which no loss is judged, why."""
    return "as asked for" if part.is_kept else "keeps nothing"


def phase_name(phase: Phase) -> str:
    """Also where what is restored is no database, and where what protects follows no recovery."""
    return _IN_ANY_RUN.get(phase, PHASE_NAMES[phase])


def duration(value: timedelta | float | None) -> str:
    """``0.42 s``, ``12.3 s``, ``4 min 05 s``, ``3 h 10 min``."""
    if value is None:
        return "unknown"
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if seconds < 9.995:
        return f"{seconds:.2f} s"
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def in_days(value: timedelta) -> str:
    """As ``duration``, and whole days of what is longer than two."""
    return f"{value.days} days" if value >= timedelta(days=2) else duration(value)


def moment(value: datetime | None) -> str:
    return value.isoformat(timespec="seconds") if value else "never"


def words(code: str) -> str:
    """A stable code, such as ``awaiting_approval``, as people say it."""
    return code.replace("_", " ")
