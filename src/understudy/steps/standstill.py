"""How long work that goes on by itself has come no further."""

from __future__ import annotations

from datetime import timedelta

from understudy.ports.clock import Clock


class Standstill:
    """Shown, look by look, by what the work's progress can be told; counts from the last look at which any of it had changed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._signs: object = None
        self._since = clock.monotonic_seconds()

    def lasts(self, signs: object) -> timedelta:
        """``signs`` are compared with those of the look before."""
        now = self._clock.monotonic_seconds()
        if signs != self._signs:
            self._signs, self._since = signs, now
        return timedelta(seconds=now - self._since)
