"""One step of a run, in this process: approval and delays, when signals come at an awkward moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.runner.stage import NoteStep, lines, plan_of, world_of
from understudy.adapters.clock.system import SystemClock
from understudy.plan.plan import Approval, Plan, PlannedStep
from understudy.records.records import Records
from understudy.records.run import StepState
from understudy.runner.plan_json import plan_outline
from understudy.runner.signals import RunSignals
from understudy.runner.step_execution import StepExecution
from understudy.runner.submission import hand_over
from understudy.steps.codec import step_from_json


class TakesItBack(RunSignals):
    """As soon as somebody has heeded a wish to end, it says that there is none, as a look that began earlier would."""

    def wait_until(self, fulfilled: Callable[[], bool], seconds: float | None = None) -> bool:
        found = super().wait_until(fulfilled, seconds)
        self.set_cancelled(frozenset())
        return found


def execution(state: Path, records: Records, plan: Plan, signals: RunSignals) -> StepExecution:
    """Of the only step of a new run."""
    clock = SystemClock()
    run = hand_over(records, clock, plan)
    [outline] = plan_outline(records.plan(run))
    return StepExecution(run, outline, records, clock, signals, lambda *wiring: world_of(state, *wiring), step_from_json)


def test_what_asks_a_person_does_not_run_unapproved_although_the_wish_to_end_it_is_taken_back(
    tmp_path: Path, records: Records, notes: Path
) -> None:
    signals = TakesItBack(SystemClock())
    asked = execution(
        tmp_path / "state", records, plan_of(PlannedStep(NoteStep("a", str(notes)), approval=Approval("Really?"))), signals
    )
    signals.set_cancelled(frozenset({asked.run}))
    assert asked.carry_out().state is StepState.SKIPPED
    assert lines(notes) == []
