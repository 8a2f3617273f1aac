"""What becomes of a plan: order, failure, clean-up, approval, cancelling."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.runner.stage import (
    CONDUCTS,
    SPOKEN,
    NoteStep,
    carried_out,
    exclusive,
    lines,
    plan_of,
    runner_for,
)
from tests.servers.tiny_disk import filled, tiny_file_system
from understudy.adapters.clock.system import SystemClock
from understudy.plan.plan import Approval, PlannedStep, When, in_sequence
from understudy.records.chained_form import RUN_ENDED
from understudy.records.export import export_run
from understudy.records.records import Records
from understudy.records.run import RunState, StepState
from understudy.runner.plan_json import plan_from_json, plan_to_json
from understudy.runner.runner import Runner
from understudy.runner.submission import hand_over
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.evidence import Outcome
from understudy.vocabulary.identifiers import Person, RunId, StepKey

__all__ = ["tiny_file_system"]

ANNA = Person("anna")


@pytest.fixture
def runner(tmp_path: Path, records: Records) -> Iterator[Runner]:
    with runner_for(tmp_path / "state", records) as runner:
        yield runner


def step(name: str, notes: Path, conduct: str = "well", limit_seconds: float = 30.0, **planned: object) -> PlannedStep:
    return PlannedStep(NoteStep(name, str(notes), conduct, limit_seconds), **planned)  # type: ignore[arg-type]


def states(records: Records, run: RunId) -> dict[str, StepState]:
    return {each.key: each.state for each in records.steps(run)}


def until(runner: Runner, records: Records, run: RunId, key: str, state: StepState) -> None:
    reached = threading.Event()
    for _ in range(1000):
        if records.step(run, StepKey(key)).state is state:
            return
        reached.wait(0.02)
    raise AssertionError(f"{key} is {records.step(run, StepKey(key)).state}, not {state}")


def test_steps_run_in_the_plans_order_and_leave_evidence(runner: Runner, records: Records, notes: Path) -> None:
    run, state = carried_out(runner, plan_of(*in_sequence(*(step(name, notes) for name in "abc"))))
    assert state is RunState.SUCCEEDED
    assert lines(notes) == ["a", "b", "c"]
    assert [each.step for each in records.chain()[0]] == ["a", "b", "c", RUN_ENDED]
    assert all(each.evidence and each.evidence.proof == {"line": each.key} for each in records.steps(run))
    assert records.holds() == ()


def test_independent_steps_run_at_the_same_time(runner: Runner, records: Records, notes: Path) -> None:
    first = step("waits", notes, "lingers_until_told")
    run = runner.submit(plan_of(first, step("tells", notes)))
    until(runner, records, run, "tells", StepState.SUCCEEDED)
    assert states(records, run)["waits"] is StepState.RUNNING
    Path(f"{notes}.go").touch()
    assert runner.wait(run) is RunState.SUCCEEDED


def test_after_a_failure_what_follows_is_left_out_and_clean_up_still_runs(runner: Runner, records: Records, notes: Path) -> None:
    plan = plan_of(*in_sequence(step("a", notes, "gives_up"), step("b", notes), step("clean", notes, when=When.ALWAYS)))
    run, state = carried_out(runner, plan)
    assert state is RunState.FAILED
    assert lines(notes) == ["a", "clean"]
    failed, left_out, clean = records.steps(run)
    assert failed.error is not None
    assert (failed.error.code, failed.error.hint) == ("paper_missing", "buy paper")
    assert failed.evidence is not None
    assert failed.evidence.outcome is Outcome.FAILED
    assert left_out.state is StepState.SKIPPED
    assert left_out.error is not None
    assert left_out.error.code == "predecessor_failed"
    assert clean.state is StepState.SUCCEEDED


def test_a_passing_fault_is_tried_again(runner: Runner, records: Records, notes: Path) -> None:
    run, state = carried_out(runner, plan_of(step("a", notes, "third_time_well")))
    assert state is RunState.SUCCEEDED
    assert lines(notes) == ["a", "a", "a"]
    assert records.steps(run)[0].attempts == 3
    assert records.steps(run)[0].error is None


def test_a_fault_that_does_not_pass_within_the_time_limit_fails_the_step(runner: Runner, records: Records, notes: Path) -> None:
    run, state = carried_out(runner, plan_of(step("a", notes, "tries_again", limit_seconds=0.5)))
    assert state is RunState.FAILED
    error = records.steps(run)[0].error
    assert error is not None
    assert error.code == "pen_dry"
    assert "limit" in error.found


def test_a_defect_of_a_step_is_recorded_and_does_not_end_the_runner(runner: Runner, records: Records, notes: Path) -> None:
    run, state = carried_out(runner, plan_of(step("a", notes, "breaks")))
    assert state is RunState.FAILED
    failed = records.steps(run)[0]
    assert failed.error is not None
    assert failed.error.code == "unexpected_error"
    assert "KeyError" in failed.error.found
    assert failed.evidence is not None
    assert "stage.py" in str(failed.evidence.proof["where"])
    assert carried_out(runner, plan_of(step("b", notes)))[1] is RunState.SUCCEEDED


def test_what_an_unforeseen_error_says_stands_in_the_local_log_and_in_no_record(
    runner: Runner, records: Records, notes: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run, _ = carried_out(runner, plan_of(step("a", notes, "blurts_a_secret_out")))
    failed = records.steps(run)[0]
    assert failed.error is not None
    assert failed.error.found == "ValueError"
    assert SPOKEN not in str(export_run(records, run))
    assert SPOKEN not in "".join(records._database._connection.iterdump())
    assert SPOKEN in caplog.text


def test_a_run_waits_for_approval(runner: Runner, records: Records, notes: Path) -> None:
    asks = step("b", notes, approval=Approval("Lose the last 3 s?"))
    run = runner.submit(plan_of(*in_sequence(step("a", notes), asks)))
    until(runner, records, run, "b", StepState.AWAITING_APPROVAL)
    assert records.run(run).state is RunState.AWAITING_APPROVAL
    assert lines(notes) == ["a"]
    runner.approve(run, StepKey("b"), ANNA, "Lose the last 3 s?")
    assert runner.wait(run) is RunState.SUCCEEDED
    approved = records.steps(run)[1].approval
    assert approved is not None
    assert approved.by == ANNA
    record = records.chain()[0][1].record
    assert record is not None
    assert dict(record["approval"])["by"] == ANNA  # type: ignore[arg-type, call-overload]


def test_another_process_can_approve(runner: Runner, records: Records, notes: Path, tmp_path: Path) -> None:
    run = runner.submit(plan_of(step("a", notes, approval=Approval("Really?"))))
    until(runner, records, run, "a", StepState.AWAITING_APPROVAL)
    elsewhere = Records(tmp_path / "state", SystemClock())
    elsewhere.approve(run, StepKey("a"), ANNA, "Really?")
    elsewhere.close()
    assert runner.wait(run) is RunState.SUCCEEDED


def test_an_approval_can_be_given_beforehand(runner: Runner, records: Records, notes: Path) -> None:
    plan = plan_of(step("a", notes, approval=Approval("Really?")))
    run, state = carried_out(runner, plan, approved_by=ANNA)
    assert state is RunState.SUCCEEDED
    assert records.steps(run)[0].approval is not None


def test_a_step_that_asks_nobody_cannot_be_approved(runner: Runner, notes: Path) -> None:
    run = runner.submit(plan_of(step("a", notes, "lingers_until_told")))
    with pytest.raises(Refusal, match="nothing_to_approve"):
        runner.approve(run, StepKey("a"), ANNA, "Really?")
    Path(f"{notes}.go").touch()
    runner.wait(run)


def test_cancelling_stops_the_running_step_and_still_cleans_up(runner: Runner, records: Records, notes: Path) -> None:
    plan = plan_of(*in_sequence(step("a", notes, "lingers"), step("b", notes), step("clean", notes, when=When.ALWAYS)))
    run = runner.submit(plan)
    until(runner, records, run, "a", StepState.RUNNING)
    runner.cancel(run, ANNA)
    assert runner.wait(run) is RunState.CANCELLED
    assert states(records, run) == {"a": StepState.CANCELLED, "b": StepState.SKIPPED, "clean": StepState.SUCCEEDED}
    stopped = records.steps(run)[0].evidence
    assert stopped is not None
    assert stopped.outcome is Outcome.UNKNOWN


def test_another_process_can_cancel_a_run_that_waits(runner: Runner, records: Records, notes: Path, tmp_path: Path) -> None:
    run = runner.submit(plan_of(step("a", notes, approval=Approval("Really?"))))
    until(runner, records, run, "a", StepState.AWAITING_APPROVAL)
    elsewhere = Records(tmp_path / "state", SystemClock())
    elsewhere.request_cancel(run, ANNA)
    elsewhere.close()
    assert runner.wait(run) is RunState.CANCELLED
    assert states(records, run) == {"a": StepState.SKIPPED}
    assert lines(notes) == []


def test_cancelling_ends_a_long_delay_at_once(
    runner: Runner, records: Records, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sleepy(step: NoteStep, world: object) -> None:
        from understudy.vocabulary.errors import TryAgain

        raise TryAgain("asleep", found="asleep", after=timedelta(hours=1))

    monkeypatch.setitem(CONDUCTS, "sleepy", sleepy)
    run = runner.submit(plan_of(step("a", notes, "sleepy", limit_seconds=10_000)))
    for _ in range(500):
        if records.step(run, StepKey("a")).again_at is not None:
            break
        threading.Event().wait(0.02)
    runner.cancel(run, ANNA)
    assert runner.wait(run, seconds=20) is RunState.CANCELLED


def test_a_busy_subject_refuses_a_second_run_and_names_the_first(runner: Runner, notes: Path) -> None:
    run = runner.submit(plan_of(step("a", notes, "lingers_until_told"), holds=exclusive("target:/srv/pg")))
    with pytest.raises(Refusal, match=run) as refused:
        runner.submit(plan_of(step("b", notes), holds=exclusive("target:/srv/pg")))
    assert refused.value.code == "busy"
    Path(f"{notes}.go").touch()
    runner.wait(run)
    assert carried_out(runner, plan_of(step("b", notes), holds=exclusive("target:/srv/pg")))[1] is RunState.SUCCEEDED


def test_work_that_another_process_hands_over_is_picked_up(runner: Runner, records: Records, notes: Path, tmp_path: Path) -> None:
    elsewhere = Records(tmp_path / "state", SystemClock())
    run = hand_over(elsewhere, SystemClock(), plan_of(step("a", notes)))
    elsewhere.close()
    assert runner.pick_up() == (run,)
    assert runner.wait(run) is RunState.SUCCEEDED
    assert runner.pick_up() == ()


def test_what_the_engine_warns_of_goes_where_our_own_warnings_go(runner: Runner, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("dbos").warning("the disk is slow")
    assert "the disk is slow" in caplog.messages


def test_a_second_controller_is_refused(runner: Runner, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="controller_busy"), runner_for(tmp_path / "state"):
        pass


def test_a_plan_of_a_newer_version_fails_the_run_and_says_so(runner: Runner, records: Records, notes: Path) -> None:
    plan = plan_of(step("a", notes))
    run = hand_over(records, SystemClock(), plan)
    _rewrite_plan(records, run, '"success"', '"on_sundays"')
    runner.pick_up()
    assert runner.wait(run) is RunState.FAILED
    error = records.run(run).error
    assert error is not None
    assert error.code == "plan_unreadable"


def test_a_step_of_a_newer_version_fails_and_clean_up_still_runs(runner: Runner, records: Records, notes: Path) -> None:
    run = hand_over(
        records, SystemClock(), plan_of(*in_sequence(step("a", notes, "gives_up"), step("z", notes, when=When.ALWAYS)))
    )
    _rewrite_plan(records, run, '"gives_up"', '"gives_up", "colour": "blue"')
    runner.pick_up()
    assert runner.wait(run) is RunState.FAILED
    error = records.steps(run)[0].error
    assert error is not None
    assert error.code == "step_unreadable"
    assert lines(notes) == ["z"]


def test_leaving_the_runner_gives_a_run_up_as_it_stands_and_the_next_one_resumes_it(tmp_path: Path, notes: Path) -> None:
    records = Records(tmp_path / "state", SystemClock())
    with runner_for(tmp_path / "state", records) as runner:
        run = runner.submit(plan_of(*in_sequence(step("a", notes), step("b", notes, "lingers_until_told"), step("c", notes))))
        until(runner, records, run, "b", StepState.RUNNING)
    assert records.run(run).state is RunState.INTERRUPTED
    Path(f"{notes}.go").touch()
    with runner_for(tmp_path / "state", records) as runner:
        assert [each.run for each in runner.interrupted()] == [run]
        runner.resume(run)
        assert runner.wait(run) is RunState.SUCCEEDED
    assert lines(notes) == ["a", "b", "b", "c"]
    records.close()


def test_cancelling_an_interrupted_run_cleans_up(tmp_path: Path, notes: Path) -> None:
    records = Records(tmp_path / "state", SystemClock())
    plan = plan_of(*in_sequence(step("a", notes, "lingers_until_told"), step("b", notes), step("z", notes, when=When.ALWAYS)))
    with runner_for(tmp_path / "state", records) as runner:
        run = runner.submit(plan)
        until(runner, records, run, "a", StepState.RUNNING)
    with runner_for(tmp_path / "state", records) as runner:
        runner.cancel(run, ANNA)
        assert runner.wait(run) is RunState.CANCELLED
    assert states(records, run) == {"a": StepState.CANCELLED, "b": StepState.SKIPPED, "z": StepState.SUCCEEDED}
    assert lines(notes) == ["a", "z"]
    records.close()


def test_a_full_state_directory_gives_the_run_up_to_be_resumed(
    tiny_file_system: Path, notes: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = tiny_file_system / "state"
    records = Records(state, SystemClock())
    caplog.set_level(logging.CRITICAL)
    with runner_for(state, records) as runner:
        run = runner.submit(plan_of(step("a", notes, "lingers_until_told")))
        until(runner, records, run, "a", StepState.RUNNING)
        with filled(tiny_file_system):
            Path(f"{notes}.go").touch()
            with pytest.raises(GiveUp, match="state_unwritable"):
                runner.wait(run)
            assert runner.gave_up
            assert not records.is_writable()
        assert records.is_writable()
    with runner_for(state, records) as runner:
        assert runner.resume_all() == (run,)
        assert runner.wait(run) is RunState.SUCCEEDED
    records.close()


def test_a_run_that_ended_is_neither_resumed_nor_cancelled(runner: Runner, notes: Path) -> None:
    run, _ = carried_out(runner, plan_of(step("a", notes)))
    with pytest.raises(Refusal, match="not_interrupted"):
        runner.resume(run)
    with pytest.raises(Refusal, match="run_ended"):
        runner.cancel(run, ANNA)


def test_a_plan_comes_back_from_its_json_form(notes: Path) -> None:
    plan = plan_of(
        *in_sequence(step("a", notes), step("b", notes, when=When.ALWAYS, approval=Approval("Really?"))), holds=exclusive("x")
    )
    assert plan_from_json(plan_to_json(plan)) == plan


def test_reading_records_and_handing_over_does_not_load_the_engine() -> None:
    import subprocess

    program = (
        "import sys, understudy.records.records, understudy.records.export, understudy.runner.submission,"
        " understudy.runner.runner; assert 'dbos' not in sys.modules; assert 'cryptography' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def _rewrite_plan(records: Records, run: RunId, old: str, new: str) -> None:
    with records._database.writing() as connection:
        connection.execute("UPDATE runs SET plan = replace(plan, ?, ?) WHERE run = ?", (old, new, run))
