"""Carries out one step: approval, attempts, and what becomes of its errors. Knows nothing of the engine."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from understudy.plan.plan import When
from understudy.ports.clock import Clock
from understudy.ports.running import Cancellation, Progress
from understudy.ports.step import Step
from understudy.ports.world import World
from understudy.records.records import Records
from understudy.records.run import RecordedError, StepConclusion, StepState
from understudy.runner.ordering import CANCELLED, PREDECESSOR_FAILED
from understudy.runner.plan_json import StepLoader, StepOutline
from understudy.runner.signals import RecordedProgress, RunCancellation, RunSignals
from understudy.vocabulary.canonical import canonical_json
from understudy.vocabulary.errors import Cancelled, GiveUp, TryAgain
from understudy.vocabulary.evidence import Evidence, Outcome
from understudy.vocabulary.identifiers import RunId, StepKey
from understudy.vocabulary.json import JsonObject

WorldFor = Callable[[RunId, Progress, Cancellation], World]

_log = logging.getLogger(__name__)

_FRAMES = 5
_LONGEST_EARLIER_DELAY_SECONDS = 300.0
"""No step asks for a longer one; a clock that was put back since would."""
_DEFECT_HINT = (
    "this is a defect of Understudy: report it with the proof's `where`; what the error said is in the log of the process that "
    "carried the run out (serve, or the command), and only there. Once it is mended, start again"
)


@dataclass(frozen=True, slots=True)
class StepExecution:
    """One step of one run, in this process."""

    run: RunId
    outline: StepOutline
    records: Records
    clock: Clock
    signals: RunSignals
    world_for: WorldFor
    load_step: StepLoader

    def carry_out(self) -> StepConclusion:
        """Run the step to its end and record that; or find it recorded. Raises ``RunnerStopped``."""
        earlier = self.records.conclusion(self.run, self.outline.key)
        if earlier is not None:
            return earlier
        return self.records.conclude_step(self.run, self.outline.key, self._conclusion())

    def leave_out(self, because: StepKey) -> StepConclusion:
        """Record that the step does not run, because a predecessor did not pass."""
        error = RecordedError(PREDECESSOR_FAILED, f"{because} did not succeed", hint=f"see why {because} failed")
        return self.records.conclude_step(self.run, self.outline.key, self._left_out(error))

    def _conclusion(self) -> StepConclusion:
        try:
            self._wait_for_earlier_delay()
            self._wait_for_approval()
        except Cancelled:
            return self._cancelled(self.clock.now())
        return self._attempts()

    def _attempts(self) -> StepConclusion:
        began = self.clock.monotonic_seconds()
        started = self.clock.now()
        while True:
            self.records.begin_step(self.run, self.outline.key)
            outcome = self._attempt(started)
            if isinstance(outcome, StepConclusion):
                return outcome
            step, passing = outcome
            tried = timedelta(seconds=self.clock.monotonic_seconds() - began)
            if tried + passing.after > step.time_limit:
                return self._failed(started, _too_long(passing, tried, step.time_limit))
            self.records.postpone_step(self.run, self.outline.key, self.clock.now() + passing.after, RecordedError.of(passing))
            try:
                self._pause(passing.after.total_seconds())
            except Cancelled:
                return self._cancelled(started)

    def _attempt(self, started: datetime) -> StepConclusion | tuple[Step, TryAgain]:
        """One call of the step: how it ended, or the passing fault after which it is called again."""
        try:
            step = self.load_step(self.outline.step)
        except ValueError as error:
            return self._failed(started, RecordedError("step_unreadable", str(error), hint="upgrade Understudy to the planner's"))
        try:
            progress = RecordedProgress(self.records, self.clock, self.run, self.outline.key)
            world = self.world_for(self.run, progress, self._cancellation())
            return _concluded(step.run(world))
        except TryAgain as passing:
            return step, passing
        except Cancelled:
            return self._cancelled(started)
        except GiveUp as error:
            return self._failed(started, RecordedError.of(error), error.proof)
        except Exception as error:
            # The outermost loop: whatever a step raises ends that step, is written down, and does not end the runner.
            _log.exception("%s of %s ended on an error that nobody foresaw", self.outline.key, self.run)
            return self._failed(started, _unexpected(error), {"where": _where(error)})

    def _wait_for_earlier_delay(self) -> None:
        """A delay that a process before this one did not live to wait out; not for longer where the clock was set back since."""
        again_at = self.records.step(self.run, self.outline.key).again_at
        if again_at is not None:
            self._pause(min((again_at - self.clock.now()).total_seconds(), _LONGEST_EARLIER_DELAY_SECONDS))

    def _wait_for_approval(self) -> None:
        """What asks a person does not run before one has agreed, whatever ended the waiting."""
        if self.outline.approval is not None and not self._approved():
            self.records.await_approval(self.run, self.outline.key)
            self.signals.wait_until(lambda: self._gives_way() or self._approved())
            if not self._approved():
                raise Cancelled
        self._cancellation().raise_if_requested()

    def _pause(self, seconds: float) -> None:
        self.signals.wait_until(self._gives_way, seconds)
        self._cancellation().raise_if_requested()

    def _approved(self) -> bool:
        return self.records.approval(self.run, self.outline.key) is not None

    def _gives_way(self) -> bool:
        return self._heeds_cancel and self.signals.is_cancelled(self.run)

    @property
    def _heeds_cancel(self) -> bool:
        return self.outline.when is not When.ALWAYS

    def _cancellation(self) -> RunCancellation:
        return RunCancellation(self.signals, self.run, self._heeds_cancel)

    def _cancelled(self, started: datetime) -> StepConclusion:
        """Left out when it never began; otherwise stopped midway, and nobody knows how far its effect went."""
        asked = self.records.run(self.run).cancel_requested_by or "a person"
        error = RecordedError(CANCELLED, f"{asked} asked to end the run")
        if self.records.step(self.run, self.outline.key).attempts == 0:
            return self._left_out(error)
        evidence = Evidence(
            self.run, self.outline.key, Outcome.UNKNOWN, started, self.clock.now(), {"code": CANCELLED, "found": error.found}
        )
        return StepConclusion(StepState.CANCELLED, evidence, error)

    def _left_out(self, error: RecordedError) -> StepConclusion:
        now = self.clock.now()
        proof: JsonObject = {"code": error.code, "found": error.found}
        return StepConclusion(StepState.SKIPPED, Evidence(self.run, self.outline.key, Outcome.SKIPPED, now, now, proof), error)

    def _failed(self, started: datetime, error: RecordedError, proof: JsonObject | None = None) -> StepConclusion:
        evidence = Evidence(
            subject=self.run,
            claim=self.outline.key,
            outcome=Outcome.FAILED,
            started=started,
            ended=self.clock.now(),
            proof={"code": error.code, "found": error.found, "expected": error.expected, **(proof or {})},
            hint=error.hint,
        )
        return StepConclusion(StepState.FAILED, evidence, error)


def _concluded(evidence: Evidence) -> StepConclusion:
    """Raises where the step broke its promise: an outcome that only the runner gives, or a proof that is no JSON."""
    canonical_json(evidence.proof)
    states = {Outcome.DONE: StepState.SUCCEEDED, Outcome.SKIPPED: StepState.SKIPPED}
    if evidence.outcome not in states:
        raise ValueError(f"a step returned evidence that is {evidence.outcome}; it raises instead")
    return StepConclusion(states[evidence.outcome], evidence)


def _too_long(passing: TryAgain, tried: timedelta, limit: timedelta) -> RecordedError:
    found = f"{passing.found} (still so after {tried.total_seconds():.0f} s; the limit is {limit.total_seconds():.0f} s)"
    return RecordedError(passing.code, found, passing.expected, passing.hint)


def _unexpected(error: Exception) -> RecordedError:
    """Its kind only: what an error says may hold a value that is secret, and records are copied to where others read them."""
    found = f"{type(error).__name__}: {error.strerror}" if isinstance(error, OSError) else type(error).__name__
    return RecordedError("unexpected_error", found, "that faults are foreseen", _DEFECT_HINT)


def _where(error: Exception) -> list[str]:
    """The innermost frames, without values: those may be secret."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
