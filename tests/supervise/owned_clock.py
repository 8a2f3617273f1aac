"""A clock that a test moves. Waiting on it moves it."""

from datetime import UTC, datetime, timedelta


class OwnedClock:
    def __init__(self, now: datetime | None = None) -> None:
        self._now = now or datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
        self._elapsed_seconds = 0.0

    def now(self) -> datetime:
        """Later with each look, as the real one: nobody may ask twice for one moment."""
        self._now += timedelta(microseconds=1)
        return self._now

    def monotonic_seconds(self) -> float:
        return self._elapsed_seconds

    def wait(self, seconds: float) -> None:
        self.pass_by(timedelta(seconds=seconds))

    def pass_by(self, duration: timedelta) -> None:
        self._now += duration
        self._elapsed_seconds += duration.total_seconds()

    def set_by(self, difference: timedelta) -> None:
        """The wall clock is put right, or wrong; no time passes."""
        self._now += difference
