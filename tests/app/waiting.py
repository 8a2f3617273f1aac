"""What a person, or time, does while a recovery waits for its address."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from tests.restore_matrix.estate import SilentWatcher
from understudy.adapters.clock.system import SystemClock
from understudy.app.run_view import RunView
from understudy.records.run import RecordedError


class Mover(SilentWatcher):
    """Does ``move`` once the run says that it waits for its address, and keeps what was told."""

    def __init__(self, move: Callable[[], object]) -> None:
        self._move = move
        self.told: RecordedError | None = None

    def show(self, view: RunView) -> None:
        for step in view.steps:
            if step.key.endswith("/check-address") and step.error is not None and self.told is None:
                self.told = step.error
                self._move()


class AheadClock(SystemClock):
    """The real clock, which a test puts forward."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def put_forward(self, by: timedelta) -> None:
        self._ahead += by

    def monotonic_seconds(self) -> float:
        return super().monotonic_seconds() + self._ahead.total_seconds()
