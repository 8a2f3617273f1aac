"""Time, as the rest of the product may know it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The only source of time and the only way to wait; tests own it."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""
        ...

    def monotonic_seconds(self) -> float:
        """Never goes backwards; for durations."""
        ...

    def wait(self, seconds: float) -> None:
        """Block this thread for so long. Polling loops call this between two looks, never in place of one."""
        ...
