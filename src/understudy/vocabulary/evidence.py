"""What a step saw. ``DONE`` without proof cannot be constructed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from understudy.vocabulary.json import JsonObject


class Outcome(StrEnum):
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One claim about one subject, and what proves it.

    ``proof`` holds what was measured or read back; it is never empty when the outcome is ``DONE``. A step returns done or
    skipped; failed and unknown are what the runner makes of exceptions.
    """

    subject: str
    claim: str
    outcome: Outcome
    started: datetime
    ended: datetime
    proof: JsonObject
    hint: str = ""

    def __post_init__(self) -> None:
        if self.outcome is Outcome.DONE and not self.proof:
            raise ValueError(f"{self.subject}: {self.claim!r} is called done without proof")
        if self.started.tzinfo is None or self.ended.tzinfo is None:
            raise ValueError(f"{self.subject}: evidence carries times with an offset")

    @property
    def duration(self) -> timedelta:
        return self.ended - self.started
