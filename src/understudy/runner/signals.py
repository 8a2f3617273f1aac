"""What the threads of a runner tell one another: stop, this run was cancelled, something has ended."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress

from understudy.ports.clock import Clock
from understudy.records.records import Records
from understudy.records.run import RecordedError
from understudy.vocabulary.errors import Cancelled, TryAgain
from understudy.vocabulary.identifiers import RunId, StepKey

LOOK_SECONDS = 0.2
"""How often what other processes ask for (cancel, approve) is looked for."""

_REPORT_SECONDS = 0.2
_SETTLED_SECONDS = 3.0
"""An attempt that still comes further so long after its first report does not wait for what the one before it did."""


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
    """``ports.Progress`` of one attempt of a step: into the records, at most five times a second.

    What an earlier attempt waited for is over once this one still comes further after a while. That it has begun to does not say
    so: what is on its way to a store that is away fills buffers first.
    """

    def __init__(self, records: Records, clock: Clock, run: RunId, step: StepKey) -> None:
        self._records = records
        self._clock = clock
        self._run = run
        self._step = step
        self._lock = threading.Lock()
        self._activity = ""
        self._reported: float | None = None
        self._first_reported: float | None = None
        self._done = 0
        self._earlier_wait_stands = True
        self._reason: TryAgain | None = None

    def report(self, activity: str, done: int, total: int | None = None, unit: str = "bytes") -> None:
        now = self._clock.monotonic_seconds()
        with self._lock:
            goes_on = self._goes_on(done, now)
            soon = self._reported is not None and now - self._reported < _REPORT_SECONDS
            if soon and activity == self._activity and done != total and not goes_on:
                return
            self._activity, self._reported = activity, now
        # Lossy by promise: work does not fail because nobody could be told of it.
        with suppress(sqlite3.Error):
            if goes_on:
                self._records.go_on_with_step(self._run, self._step)
            self._records.report_progress(self._run, self._step, activity, done, total, unit)

    def held_up(self, reason: TryAgain | None) -> None:
        with self._lock:
            if reason is self._reason:
                return
            self._reason, self._earlier_wait_stands = reason, False
        with suppress(sqlite3.Error):
            if reason is None:
                self._records.go_on_with_step(self._run, self._step)
            else:
                self._records.postpone_step(self._run, self._step, self._clock.now() + reason.after, RecordedError.of(reason))

    def _goes_on(self, done: int, now: float) -> bool:
        """True once at most; never where the step itself says what it waits for."""
        grown, self._done = done > self._done, done
        if self._first_reported is None:
            self._first_reported = now
        if not self._earlier_wait_stands or not grown or now - self._first_reported < _SETTLED_SECONDS:
            return False
        self._earlier_wait_stands = False
        return True
