"""Locks on stored objects, as object lock of S3 knows them: until a moment nobody removes the object, its owner included."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

_LONGEST_MARGIN = timedelta(days=10)


class LockMode(StrEnum):
    """Its value stands in the stack file."""

    GOVERNANCE = "governance"
    """Who has a right of its own for it (``s3:BypassGovernanceRetention``) may remove the object all the same. We never do."""
    COMPLIANCE = "compliance"
    """Nobody may, not even the account's owner."""


@dataclass(frozen=True, slots=True)
class Lock:
    """What an object is under."""

    mode: LockMode
    until: datetime

    def holds(self, now: datetime) -> bool:
        return self.until > now


@dataclass(frozen=True, slots=True)
class LockRule:
    """What every object is put under: at least for ``period`` from each use of it on."""

    mode: LockMode
    period: timedelta

    @property
    def margin(self) -> timedelta:
        """Locked for so much longer, so that what many snapshots share is not locked anew for each of them."""
        return min(self.period / 10, _LONGEST_MARGIN)

    def lock_from(self, now: datetime) -> Lock:
        return Lock(self.mode, (now + self.period + self.margin).replace(microsecond=0) + timedelta(seconds=1))

    def is_met(self, lock: Lock | None, now: datetime) -> bool:
        return lock is not None and lock.until >= now + self.period
