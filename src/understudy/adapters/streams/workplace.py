"""Where and for whom programs are started."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from understudy.ports.clock import Clock
from understudy.ports.running import Cancellation, Progress


@dataclass(frozen=True, slots=True)
class Workplace:
    """What an attempt of a step lends to an adapter that works for it."""

    run: str
    scratch: Path
    """The run's own directory, made by who needs it."""
    clock: Clock
    progress: Progress
    cancellation: Cancellation

    def mark(self, resource: str) -> str:
        """What every process wears that is started for the resource by this run, so that a later attempt finds it."""
        return f"{self.run}/{resource}"


@dataclass(frozen=True, slots=True)
class Errand:
    """What programs are started for: a resource, at a workplace, within a time."""

    workplace: Workplace
    resource: str
    time_limit: timedelta

    @property
    def mark(self) -> str:
        return self.workplace.mark(self.resource)
