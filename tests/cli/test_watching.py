"""What a person in front of a run is told while it goes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.records.cast import NOON, submission, succeeded
from understudy.adapters.clock.system import SystemClock
from understudy.app.carrying_out import RunView
from understudy.cli.watching import TerminalWatcher
from understudy.records.records import Records
from understudy.records.run import HoldClaim, RecordedError, RunState, StepConclusion, StepState
from understudy.vocabulary.evidence import Evidence, Outcome
from understudy.vocabulary.identifiers import Person, RunId, StepKey

RUN, STEP = RunId("r1"), StepKey("a")
LANE = frozenset({HoldClaim("lane", True)})


@pytest.fixture
def records(tmp_path):
    made = Records(tmp_path, SystemClock())
    yield made
    made.close()


def view_of(records):
    return RunView(records.run(RUN), records.steps(RUN))


def test_what_was_agreed_to_beforehand_is_said_all_the_same(records, capsys):
    records.submit(submission(asks=("a",), approved_by=Person("anna")))
    TerminalWatcher(yes=True).show(view_of(records))
    assert "agreed    Really?" in capsys.readouterr().err


def test_what_a_step_waits_for_is_said_once_and_not_for_a_moments_wait(records, capsys):
    records.submit(submission())
    records.begin_step(RUN, STEP)
    watcher = TerminalWatcher()
    error = RecordedError("database_unreachable", "nobody answers", "that it leads here", "move the name")
    for later in (1, 60, 61):
        records.postpone_step(RUN, STEP, datetime.now(UTC) + timedelta(seconds=later), error)
        watcher.show(view_of(records))
        said = capsys.readouterr().err
        told = "waiting   a" in said and "database_unreachable: nobody answers" in said and "hint: move the name" in said
        assert told == (later == 60)


def test_a_run_that_follows_another_is_announced_and_its_steps_are_told_again(records, capsys):
    watcher = TerminalWatcher()
    records.submit(replace(submission(holds=LANE), asked={"wish": 1}))
    failed = Evidence("orders", "it is done", Outcome.FAILED, NOON, NOON, {}, "a full one")
    error = RecordedError("incremental_refused", "no summaries", "", "a full one")
    records.conclude_step(RUN, STEP, StepConclusion(StepState.FAILED, failed, error))
    watcher.show(view_of(records))
    told = capsys.readouterr().err
    assert told.startswith("run r1\n") and told.count("a full one") == 1
    records.finish(RUN, RunState.FAILED)
    records.submit(replace(submission("r2", holds=LANE), asked={"wish": 1}, follows=RUN))
    records.conclude_step(RunId("r2"), STEP, succeeded())
    watcher.show(RunView(records.run(RunId("r2")), records.steps(RunId("r2"))))
    said = capsys.readouterr().err
    assert "run r2, follows r1, which did not succeed" in said
    assert "done      a" in said


def test_what_a_step_notes_although_it_went_well_is_told(records, capsys):
    records.submit(submission())
    noted = Evidence("orders", "it is done", Outcome.DONE, NOON, NOON, {"bytes": 7}, "WAL was lost, and the stream begins anew")
    records.conclude_step(RUN, STEP, StepConclusion(StepState.SUCCEEDED, noted))
    TerminalWatcher().show(view_of(records))
    assert "note: WAL was lost, and the stream begins anew" in capsys.readouterr().err
