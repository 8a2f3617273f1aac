"""Runs, steps, holds and approvals, as they are remembered."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.records.cast import NOON, submission, succeeded
from understudy.adapters.clock.system import SystemClock
from understudy.records.controller_lock import ControllerLock, controller_pid
from understudy.records.records import Records
from understudy.records.run import HoldClaim, RecordedError, RunState, StepConclusion, StepState
from understudy.records.state_database import MIGRATIONS
from understudy.vocabulary.errors import GiveUp, Refusal, TryAgain
from understudy.vocabulary.identifiers import Person, RunId, StepKey

RUN, A, B = RunId("r1"), StepKey("a"), StepKey("b")
ANNA, BERT = Person("anna"), Person("bert")


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    records = Records(tmp_path, SystemClock())
    yield records
    records.close()


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[ControllerLock]:
    lock = ControllerLock(tmp_path)
    lock.acquire()
    yield lock
    lock.release()


def claim(subject: str, exclusive: bool) -> frozenset[HoldClaim]:
    return frozenset({HoldClaim(subject, exclusive)})


def test_a_submitted_run_waits_with_all_its_steps(records: Records) -> None:
    records.submit(submission())
    assert records.run(RUN).state is RunState.INTERRUPTED, "its executor e1 does not live"
    assert [(each.key, each.state) for each in records.steps(RUN)] == [(A, StepState.WAITING), (B, StepState.WAITING)]
    assert records.plan(RUN) == {"steps": ["a", "b"]}


def test_everything_is_still_there_after_opening_again(tmp_path: Path) -> None:
    first = Records(tmp_path, SystemClock())
    first.submit(submission(holds=claim("lane", True)))
    first.begin_step(RUN, A)
    first.conclude_step(RUN, A, succeeded())
    before = (first.runs(), first.steps(RUN), first.chain(), first.holds())
    first.close()
    again = Records(tmp_path, SystemClock())
    assert (again.runs(), again.steps(RUN), again.chain(), again.holds()) == before
    again.close()


def test_the_database_is_in_wal_mode_and_syncs_fully(records: Records) -> None:
    with records._database.reading() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    Records(tmp_path, SystemClock()).close()
    with sqlite3.connect(tmp_path / "state.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(GiveUp, match="state_newer"):
        Records(tmp_path, SystemClock())


@pytest.mark.parametrize(
    ("held", "wanted", "refused"), [(True, True, True), (True, False, True), (False, True, True), (False, False, False)]
)
def test_exclusive_excludes_everyone_and_shared_excludes_exclusive(
    records: Records, held: bool, wanted: bool, refused: bool
) -> None:
    records.submit(submission("first", holds=claim("chain:orders", held)))
    second = submission("second", holds=claim("chain:orders", wanted))
    if not refused:
        records.submit(second)
        assert len(records.holds()) == 2
        return
    with pytest.raises(Refusal, match="run first") as error:
        records.submit(second)
    assert error.value.code == "busy"
    with pytest.raises(Refusal, match="run_unknown"):
        records.run(RunId("second"))


def test_a_refused_submission_keeps_none_of_its_holds(records: Records) -> None:
    records.submit(submission("first", holds=claim("m", True)))
    with pytest.raises(Refusal, match="busy"):
        records.submit(submission("second", holds=claim("a", True) | claim("m", True)))
    assert [hold.subject for _, hold in records.holds()] == ["m"]


def test_who_is_refused_by_a_run_that_waits_for_a_person_is_told_how_to_answer_it(records: Records) -> None:
    records.submit(submission("first", holds=claim("lane", True), asks=("a",)))
    for waits in (False, True):
        if waits:
            records.await_approval(RunId("first"), A)
        with pytest.raises(Refusal) as refused:
            records.submit(submission("second", holds=claim("lane", True)))
        assert ("`understudy approve first` or `understudy cancel first`" in refused.value.hint) is waits


def test_holds_end_with_the_run(records: Records) -> None:
    records.submit(submission("first", holds=claim("lane", True)))
    records.finish(RunId("first"), RunState.FAILED, RecordedError("plan_unreadable", "it cannot be read"))
    records.submit(submission("second", holds=claim("lane", True)))
    assert [run for run, _ in records.holds()] == ["second"]
    error = records.run(RunId("first")).error
    assert error is not None
    assert error.code == "plan_unreadable"


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.sampled_from("xyz"), st.booleans(), st.booleans()), max_size=14))
def test_no_sequence_of_runs_ever_shares_what_is_exclusive(
    tmp_path_factory: pytest.TempPathFactory, plays: list[tuple[str, bool, bool]]
) -> None:
    records = Records(tmp_path_factory.mktemp("state"), SystemClock())
    alive: list[RunId] = []
    for number, (subject, exclusive, ends_one) in enumerate(plays):
        if ends_one and alive:
            records.finish(alive.pop(0), RunState.SUCCEEDED)
        expected_free = not any(hold.subject == subject and (hold.exclusive or exclusive) for _, hold in records.holds())
        try:
            records.submit(submission(f"r{number}", holds=claim(subject, exclusive)))
            assert expected_free
            alive.append(RunId(f"r{number}"))
        except Refusal:
            assert not expected_free
        for each in "xyz":
            kinds = [hold.exclusive for _, hold in records.holds() if hold.subject == each]
            assert len(kinds) <= 1 or not any(kinds)
    records.close()


def test_two_processes_that_submit_at_once_do_not_both_get_the_hold(tmp_path: Path) -> None:
    Records(tmp_path, SystemClock()).close()
    outcomes: list[str] = []

    def submit(name: str) -> None:
        own = Records(tmp_path, SystemClock())
        try:
            own.submit(submission(name, holds=claim("lane", True)))
            outcomes.append("submitted")
        except Refusal as error:
            outcomes.append(error.code)
        finally:
            own.close()

    threads = [threading.Thread(target=submit, args=(f"r{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["busy"] * 5 + ["submitted"]


def test_a_step_is_concluded_once_and_chained_once(records: Records) -> None:
    records.submit(submission())
    records.begin_step(RUN, A)
    first = succeeded("first")
    assert records.conclude_step(RUN, A, first) == first
    assert records.conclude_step(RUN, A, succeeded("second")) == first
    assert len(records.chain()[0]) == 1
    assert records.concluded(RUN) == {A: first}


def test_when_the_chain_cannot_be_written_the_step_is_not_concluded(tmp_path: Path) -> None:
    class TiredSigner:
        def sign(self, document: object) -> dict[str, object]:
            raise OSError("the key is gone")

    records = Records(tmp_path, SystemClock(), TiredSigner())  # type: ignore[arg-type]
    records.submit(submission())
    with pytest.raises(OSError, match="the key is gone"):
        records.conclude_step(RUN, A, succeeded())
    assert records.conclusion(RUN, A) is None
    assert records.chain() == ((), None)
    records.close()


def test_a_run_awaits_approval_only_while_no_step_is_at_work(records: Records, lock: ControllerLock) -> None:
    records.submit(submission(asks=("b",)))
    records.take_over(RUN, "e1")
    records.begin_step(RUN, A)
    records.await_approval(RUN, B)
    assert records.run(RUN).state is RunState.RUNNING
    records.conclude_step(RUN, A, succeeded())
    assert records.run(RUN).state is RunState.AWAITING_APPROVAL
    records.begin_step(RUN, B)
    assert records.run(RUN).state is RunState.RUNNING


def test_the_first_approval_counts(records: Records) -> None:
    records.submit(submission(asks=("b",)))
    records.approve(RUN, B, ANNA, "Really?")
    records.approve(RUN, B, BERT, "Really?")
    approval = records.approval(RUN, B)
    assert approval is not None
    assert approval.by == ANNA


def test_agreement_is_to_the_question_that_was_seen_and_to_no_other(records: Records) -> None:
    records.submit(submission(asks=("b",)))
    records.ask_anew(RUN, {"steps": []}, B, "And stop the server?")
    with pytest.raises(Refusal) as refused:
        records.approve(RUN, B, ANNA, "Really?")
    assert refused.value.code == "question_changed"
    assert "And stop the server?" in refused.value.found
    assert records.approval(RUN, B) is None
    records.approve(RUN, B, ANNA, "And stop the server?")
    assert records.approval(RUN, B) is not None


def test_approval_given_beforehand_covers_only_steps_that_ask(records: Records) -> None:
    records.submit(submission(asks=("b",), approved_by=ANNA))
    assert records.approval(RUN, A) is None
    assert records.approval(RUN, B) is not None


def test_a_run_that_nobody_took_up_is_cancelled_at_once(records: Records) -> None:
    records.submit(submission(executor=None, holds=claim("lane", True)))
    assert records.run(RUN).state is RunState.WAITING
    records.request_cancel(RUN, ANNA)
    assert records.run(RUN).state is RunState.CANCELLED
    assert {each.state for each in records.steps(RUN)} == {StepState.CANCELLED}
    assert records.holds() == ()


def test_a_cancel_request_is_seen_by_the_executor(records: Records) -> None:
    records.submit(submission())
    records.request_cancel(RUN, ANNA)
    assert records.cancel_requested({RUN, RunId("other")}) == {RUN}
    assert records.run(RUN).cancel_requested_by == ANNA


def test_progress_is_overwritten_and_goes_when_the_step_ends(records: Records) -> None:
    records.submit(submission())
    records.report_progress(RUN, A, "sending", 1, 10, "bytes")
    records.report_progress(RUN, A, "sending", 7, 10, "bytes")
    progress = records.step(RUN, A).progress
    assert progress is not None
    assert (progress.done, progress.total) == (7, 10)
    records.conclude_step(RUN, A, succeeded())
    assert records.step(RUN, A).progress is None


def test_a_delay_is_remembered_until_the_step_begins_again(records: Records) -> None:
    records.submit(submission())
    records.begin_step(RUN, A)
    again_at = NOON + timedelta(seconds=5)
    records.postpone_step(RUN, A, again_at, RecordedError("store_unreachable", "no route"))
    assert records.step(RUN, A).again_at == again_at
    records.begin_step(RUN, A)
    assert records.step(RUN, A).again_at is None
    assert records.step(RUN, A).attempts == 2


def test_what_a_step_waits_for_is_overwritten_at_each_try_and_tells_since_when(records: Records) -> None:
    records.submit(submission())
    records.begin_step(RUN, A)
    records.postpone_step(RUN, A, NOON, RecordedError("store_unreachable", "no route"))
    since = records.step(RUN, A).held_up_since
    assert since is not None
    records.begin_step(RUN, A)
    assert records.step(RUN, A).held_up_by == RecordedError("store_unreachable", "no route"), "it is being tried"
    records.postpone_step(RUN, A, NOON, RecordedError("store_slow", "no answer"))
    assert records.step(RUN, A).held_up_by == RecordedError("store_slow", "no answer")
    assert records.step(RUN, A).held_up_since == since
    records.go_on_with_step(RUN, A)
    step = records.step(RUN, A)
    assert (step.held_up_by, step.error, step.held_up_since, step.again_at) == (None, None, None, None)


def test_a_step_that_has_ended_waits_for_nothing_whatever_is_told_later(records: Records) -> None:
    records.submit(submission())
    records.begin_step(RUN, A)
    records.postpone_step(RUN, A, NOON, RecordedError("store_unreachable", "no route"))
    gave_up = StepConclusion(StepState.FAILED, succeeded().evidence, RecordedError("store_unreachable", "no route for an hour"))
    records.conclude_step(RUN, A, gave_up)
    records.postpone_step(RUN, A, NOON, RecordedError("store_slow", "no answer"))
    records.go_on_with_step(RUN, A)
    step = records.step(RUN, A)
    assert (step.error, step.held_up_by, step.held_up_since, step.again_at) == (gave_up.error, None, None, None)


def test_a_state_database_of_an_earlier_version_is_lifted_with_what_it_holds(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "state.db")) as earlier:
        for statements in MIGRATIONS[:-1]:
            for statement in statements:
                earlier.execute(statement)
        earlier.execute("INSERT INTO controller (id) VALUES ('c')")
        earlier.execute(f"PRAGMA user_version = {len(MIGRATIONS) - 1}")
        earlier.commit()
    records = Records(tmp_path, SystemClock())
    assert records.controller_id() == "c"
    records.submit(submission())
    assert records.step(RUN, A).held_up_since is None
    records.close()


def test_runs_of_dead_executors_are_interrupted_and_work_handed_over_is_not(records: Records, lock: ControllerLock) -> None:
    records.submit(submission("left", executor="dead"))
    records.submit(submission("mine", executor="me"))
    records.submit(submission("handed", executor=None))
    assert records.mark_interrupted("me") == (RunId("left"),)
    found = {each.run: each.state for each in records.runs()}
    assert found == {"left": RunState.INTERRUPTED, "mine": RunState.WAITING, "handed": RunState.WAITING}
    assert records.handed_over() == (RunId("handed"),)


def test_another_process_reads_while_a_transaction_is_being_written(records: Records, tmp_path: Path) -> None:
    records.submit(submission())
    program = (
        "import sys; from pathlib import Path; from understudy.adapters.clock.system import SystemClock;"
        " from understudy.records.records import Records;"
        " print(len(Records(Path(sys.argv[1]), SystemClock()).runs()))"
    )
    with records._database.writing() as connection:
        connection.execute("UPDATE runs SET subject = 'changed'")
        read = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)], check=True, capture_output=True, text=True, timeout=20
        )
    assert read.stdout.strip() == "1"


def test_unknown_names_are_refused_with_a_hint(records: Records) -> None:
    with pytest.raises(Refusal, match=r"run_unknown.*understudy runs"):
        records.run(RunId("nobody"))
    records.submit(submission())
    with pytest.raises(Refusal, match="step_unknown"):
        records.approve(RUN, StepKey("c"), ANNA, "Really?")


def test_a_controllers_lock_names_its_process_and_is_free_after_release(tmp_path: Path) -> None:
    import os

    first, second = ControllerLock(tmp_path), ControllerLock(tmp_path)
    assert controller_pid(tmp_path) is None
    first.acquire()
    assert controller_pid(tmp_path) == os.getpid()
    with pytest.raises(Refusal, match=f"process {os.getpid()}") as refused:
        second.acquire()
    assert refused.value.code == "controller_busy"
    first.release()
    assert controller_pid(tmp_path) is None
    second.acquire()
    second.release()


def test_a_lock_left_by_a_dead_process_is_free(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path;"
        " from understudy.records.controller_lock import ControllerLock;"
        " ControllerLock(Path(sys.argv[1])).acquire(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert killed.returncode == -9
    assert controller_pid(tmp_path) is None
    lock = ControllerLock(tmp_path)
    lock.acquire()
    lock.release()


def test_the_newest_success_of_a_step_is_found_over_all_runs(records: Records) -> None:
    assert records.newest_success(A) is None
    for run in ("r1", "r2", "r3"):
        records.submit(submission(run))
        records.begin_step(RunId(run), A)
    records.conclude_step(RunId("r2"), A, succeeded("the earlier"))
    records.conclude_step(RunId("r1"), A, succeeded("the later"))
    records.conclude_step(RunId("r3"), A, StepConclusion(StepState.FAILED, succeeded("none").evidence))
    newest = records.newest_success(A)
    assert newest is not None and newest.evidence is not None
    assert (newest.run, newest.evidence.claim) == ("r1", "the later")
    assert records.newest_success(B) is None


def test_a_state_database_that_cannot_be_read_is_tried_again(records: Records) -> None:
    records.close()
    with pytest.raises(TryAgain) as passing:
        records.newest_success(A)
    assert passing.value.code == "state_unreadable"
