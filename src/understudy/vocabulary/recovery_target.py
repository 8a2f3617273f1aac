"""The moment that a recovery aims at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from understudy.vocabulary.wal import Lsn


class TargetKind(StrEnum):
    LATEST = "latest"
    TIME = "time"
    LSN = "lsn"
    TRANSACTION = "transaction"
    NAME = "name"
    IMMEDIATE = "immediate"


@dataclass(frozen=True, slots=True)
class RecoveryTarget:
    """A kind, and its value as text: an ISO 8601 time with offset, an LSN, a transaction id, a restore point's name.

    Source: PostgreSQL manual, "Recovery Target". ``LATEST`` has no counterpart there: replay goes on to the last byte that the
    repository holds, and Understudy, not the server, decides that this was the end.
    """

    kind: TargetKind
    value: str = ""

    def __post_init__(self) -> None:
        match self.kind:
            case TargetKind.LATEST | TargetKind.IMMEDIATE:
                if self.value:
                    raise ValueError(f"a target of kind {self.kind} takes no value, found {self.value!r}")
            case TargetKind.TIME:
                time_with_offset(self.value)
            case TargetKind.LSN:
                Lsn.parse(self.value)
            case TargetKind.TRANSACTION:
                if not (self.value.isascii() and self.value.isdigit()):
                    raise ValueError(f"not a transaction id: {self.value!r}; expected digits, as txid_current() prints them")
            case TargetKind.NAME:
                if not self.value or len(self.value.encode()) > 63:
                    raise ValueError(f"not the name of a restore point: {self.value!r}; expected 1 to 63 bytes")

    @property
    def time(self) -> datetime:
        """Of a target of kind ``TIME``, in UTC."""
        return time_with_offset(self.value)

    @property
    def settings(self) -> dict[str, str]:
        """The server's recovery settings for this target; none for ``LATEST``."""
        match self.kind:
            case TargetKind.LATEST:
                return {}
            case TargetKind.IMMEDIATE:
                return {"recovery_target": "immediate"}
            case TargetKind.TIME:
                return {"recovery_target_time": self.time.strftime("%Y-%m-%d %H:%M:%S.%f+00")}
            case TargetKind.LSN:
                return {"recovery_target_lsn": self.value}
            case TargetKind.TRANSACTION:
                return {"recovery_target_xid": self.value}
            case TargetKind.NAME:
                return {"recovery_target_name": self.value}

    def __str__(self) -> str:
        return f"{self.kind} {self.value}".rstrip()


LATEST = RecoveryTarget(TargetKind.LATEST)


_SHORTEST = timedelta(microseconds=1)


def strictly_before(moment: datetime) -> RecoveryTarget:
    """The last moment before it: servers stamp commits, and everything else here is stamped, in whole microseconds."""
    return RecoveryTarget(TargetKind.TIME, (moment.astimezone(UTC) - _SHORTEST).isoformat())


def left_out_from(target: RecoveryTarget) -> datetime:
    """Of a target that ``strictly_before`` made: the moment that was meant."""
    return target.time + _SHORTEST


def time_with_offset(text: str) -> datetime:
    """In UTC. Without an offset a time means something else on every machine; guessing has cost people data.

    Raises:
        ValueError: it is none, or lacks the offset.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"not a time: {text!r}; expected ISO 8601 with an offset, like 2026-11-23T03:00:00+00:00") from None
    if moment.tzinfo is None:
        raise ValueError(f"a time without an offset: {text!r}; append +00:00 for UTC, or your own offset, or Z")
    return moment.astimezone(UTC)
