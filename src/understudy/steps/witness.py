"""How a step says what it saw: one start, one claim, one ending."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from understudy.ports.clock import Clock
from understudy.vocabulary.evidence import Evidence, Outcome
from understudy.vocabulary.json import Json, JsonObject


@dataclass(frozen=True, slots=True)
class Witness:
    """Opened when a step begins; ``done`` or ``skipped`` ends it."""

    clock: Clock
    subject: str
    claim: str
    started: datetime

    @classmethod
    def of(cls, clock: Clock, subject: str, claim: str) -> Witness:
        return cls(clock, subject, claim, clock.now())

    def claiming(self, claim: str) -> Witness:
        """The same of what came instead of what was to be."""
        return replace(self, claim=claim)

    def done(self, recorded: JsonObject | None = None, *, hint: str = "", **measured: Json) -> Evidence:
        """Done, with what was measured or read back now, or ``recorded`` by an attempt before."""
        proof = {**(recorded or {}), **measured}
        return Evidence(self.subject, self.claim, Outcome.DONE, self.started, self.clock.now(), proof, hint)

    def skipped(self, reason: str, *, hint: str = "", **proof: Json) -> Evidence:
        """There was nothing to do, or it may be left out; ``reason`` says why that is right."""
        recorded: JsonObject = {"reason": reason, **proof}
        return Evidence(self.subject, self.claim, Outcome.SKIPPED, self.started, self.clock.now(), recorded, hint)
