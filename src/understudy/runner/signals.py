"""What the threads of a runner tell one another: stop, this run was cancelled, something has ended."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable

from understudy.ports.clock import Clock
from understudy.records.records import Records
from understudy.vocabulary.errors import Cancelled
from understudy.vocabulary.identifiers import RunId, StepKey

LOOK_SECONDS = 0.2
"""How often what other processes ask for (cancel, approve) is looked for."""

_REPORT_SECONDS = 0.2


class RunnerStopped(BaseException):
    """This process gives the run up as it stands, to be resumed; no outcome of anything.

    Not an ``Exception``: the engine must leave its workflows pending, and no step may take it for a fault of its own.
    """


class RunSignals:
    """Shared by the threads of one runner; each wait ends early when what it waits for can no longer come."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._changes = 0
        self._stopping = False
        self._cancelled: frozenset[RunId] = frozenset()

    def stop(self) -> None:
        """From now on every wait and every cancellation point raises ``RunnerStopped``."""
        self._stopping = True
        self.notify()

    def set_cancelled(self, runs: frozenset[RunId]) -> None:
        if runs != self._cancelled:
            self._cancelled = runs
            self.notify()

    def notify(self) -> None:
        """Something has changed: whoever waits looks again."""
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def is_cancelled(self, run: RunId) -> bool:
        return run in self._cancelled

    def raise_if_stopping(self) -> None:
        if self._stopping:
            raise RunnerStopped

    def wait_until(self, fulfilled: Callable[[], bool], seconds: float | None = None) -> bool:
        """Look at every notice, and every ``LOOK_SECONDS``, until ``fulfilled`` or ``seconds`` have passed.

        Returns whether it was fulfilled. Raises ``RunnerStopped``.
        """
        begun = self._clock.monotonic_seconds()
        while True:
            self.raise_if_stopping()
            changes = self._changes
            if fulfilled():
                return True
            left = LOOK_SECONDS if seconds is None else begun + seconds - self._clock.monotonic_seconds()
            if left <= 0:
                return False
            with self._changed:
                # A notice between the look and here is not missed: the count has moved on.
                self._changed.wait_for(lambda seen=changes: self._changes != seen, min(LOOK_SECONDS, left))  # type: ignore[misc]


class RunCancellation:
    """``ports.Cancellation`` of one step. Clean-up (``heeds_cancel`` False) is not cancelled, but stops with its process."""

    def __init__(self, signals: RunSignals, run: RunId, heeds_cancel: bool) -> None:
        self._signals = signals
        self._run = run
        self._heeds_cancel = heeds_cancel

    def raise_if_requested(self) -> None:
        self._signals.raise_if_stopping()
        if self._heeds_cancel and self._signals.is_cancelled(self._run):
            raise Cancelled


class RecordedProgress:
    """``ports.Progress`` of one step: into the records, at most five times a second."""

    def __init__(self, records: Records, clock: Clock, run: RunId, step: StepKey) -> None:
        self._records = records
        self._clock = clock
        self._run = run
        self._step = step
        self._lock = threading.Lock()
        self._activity = ""
        self._reported: float | None = None

    def report(self, activity: str, done: int, total: int | None = None, unit: str = "bytes") -> None:
        now = self._clock.monotonic_seconds()
        with self._lock:
            soon = self._reported is not None and now - self._reported < _REPORT_SECONDS
            if soon and activity == self._activity and done != total:
                return
            self._activity, self._reported = activity, now
        try:
            self._records.report_progress(self._run, self._step, activity, done, total, unit)
        except sqlite3.Error:
            # Lossy by promise: work does not fail because nobody could be told of it.
            return
