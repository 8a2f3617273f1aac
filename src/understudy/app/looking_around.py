"""Where programs are started for a look, which is no run."""

from __future__ import annotations

import os
from pathlib import Path

from understudy.adapters.streams.workplace import Workplace
from understudy.ports.clock import Clock
from understudy.vocabulary.errors import TryAgain


class _Unwatched:
    """Nobody watches a look."""

    def report(self, activity: str, done: int, total: int | None = None, unit: str = "bytes") -> None:
        pass

    def held_up(self, reason: TryAgain | None) -> None:
        pass

    def raise_if_requested(self) -> None:
        pass


def workplace_of_a_look(clock: Clock) -> Workplace:
    return Workplace(f"check-{os.getpid()}", Path("/"), clock, _Unwatched(), _Unwatched())
