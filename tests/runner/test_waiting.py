"""What a step waits for is remembered while it waits, and no longer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.app.waiting import AheadClock
from tests.records.cast import submission
from tests.runner.stage import CONDUCTS, NoteStep, plan_of, runner_for, world_of
from understudy.plan.plan import PlannedStep
from understudy.ports.world import World
from understudy.records.records import Records
from understudy.records.run import RecordedError, RunState, StepRecord, StepState
from understudy.runner.runner import Runner
from understudy.runner.signals import RecordedProgress
from understudy.runner.submission import hand_over
from understudy.vocabulary.errors import TryAgain
from understudy.vocabulary.identifiers import RunId, StepKey

RUN, A = RunId("r1"), StepKey("a")


def once(records: Records, run: RunId, reached: Callable[[StepRecord], bool]) -> StepRecord:
    pause = threading.Event()
    for _ in range(1000):
        if reached(step := records.step(run, A)):
            return step
        pause.wait(0.02)
    raise AssertionError(step)


def test_a_step_that_is_tried_again_says_why_since_when_and_when_next(
    tmp_path: Path, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    mended = threading.Event()

    def needs_ink(step: NoteStep, world: World) -> None:
        if not mended.is_set():
            raise TryAgain("pen_dry", found="the pen is dry", hint="fill it", after=timedelta(seconds=0.2))

    monkeypatch.setitem(CONDUCTS, "needs_ink", needs_ink)
    with runner_for(tmp_path / "state", records) as runner:
        run = runner.submit(plan_of(PlannedStep(NoteStep("a", str(tmp_path / "notes"), "needs_ink"))))
        first = once(records, run, lambda step: step.again_at is not None)
        later = once(records, run, lambda step: step.attempts >= 3 and step.again_at is not None)
        assert first.held_up_by == later.held_up_by == RecordedError("pen_dry", "the pen is dry", "", "fill it")
        assert first.held_up_since == later.held_up_since is not None
        assert first.again_at is not None
        assert later.again_at is not None
        assert first.again_at < later.again_at
        mended.set()
        assert runner.wait(run) is RunState.SUCCEEDED
    ended = records.step(run, A)
    assert (ended.held_up_by, ended.held_up_since, ended.error, ended.again_at) == (None, None, None, None)


def test_a_step_that_goes_on_trying_by_itself_says_what_it_waits_for_until_it_is_over(
    tmp_path: Path, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    mended, told = threading.Event(), threading.Event()

    def waits_within(step: NoteStep, world: World) -> None:
        for number in range(2):
            world.progress.held_up(TryAgain("store_unreachable", found=f"no route, for the {number}. time"))
        mended.wait(30)
        world.progress.held_up(None)
        told.wait(30)

    monkeypatch.setitem(CONDUCTS, "waits_within", waits_within)
    with runner_for(tmp_path / "state", records) as runner:
        run = runner.submit(plan_of(PlannedStep(NoteStep("a", str(tmp_path / "notes"), "waits_within"))))
        waiting = once(records, run, lambda step: step.error is not None and "1. time" in step.error.found)
        assert waiting.held_up_since is not None
        assert waiting.again_at is not None
        mended.set()
        once(records, run, lambda step: step.held_up_by is None)
        told.set()
        assert runner.wait(run) is RunState.SUCCEEDED


def test_what_held_up_an_earlier_attempt_is_over_once_the_next_one_still_comes_further_after_a_while(records: Records) -> None:
    clock = AheadClock()
    records.submit(submission())
    records.begin_step(RUN, A)
    records.postpone_step(RUN, A, clock.now(), RecordedError("store_unreachable", "no route"))
    records.begin_step(RUN, A)
    progress = RecordedProgress(records, clock, RUN, A)
    for done in range(4):
        progress.report("sending", done)
    assert records.step(RUN, A).held_up_by is not None, "it only fills buffers"
    clock.put_forward(timedelta(seconds=5))
    progress.report("sending", 3)
    assert records.step(RUN, A).held_up_by is not None, "it comes no further"
    progress.report("sending", 4)
    assert records.step(RUN, A).held_up_by is None
    assert records.step(RUN, A).held_up_since is None


def test_a_delay_of_an_earlier_process_is_cut_short_where_the_clock_was_put_back_since(tmp_path: Path, records: Records) -> None:
    clock = AheadClock()
    run = hand_over(records, clock, plan_of(PlannedStep(NoteStep("a", str(tmp_path / "notes")))))
    records.postpone_step(run, A, clock.now() + timedelta(days=3650), RecordedError("store_unreachable", "no route"))

    def ended(step: StepRecord) -> bool:
        clock.put_forward(timedelta(minutes=10))
        return step.state.is_final

    with Runner(tmp_path / "state", records, clock, lambda *wiring: world_of(tmp_path / "state", *wiring)) as runner:
        assert runner.pick_up() == (run,)
        assert once(records, run, ended).state is StepState.SUCCEEDED
