"""What a person in front of a run is told while it goes."""

import os
import pty
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.records.cast import NOON, submission, succeeded
from understudy.adapters.clock.system import SystemClock
from understudy.app.run_view import RunView
from understudy.cli.watching import ProgressLine, TerminalWatcher, room_for_the_answer, said_when_long
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
    return RunView(records.run(RUN), records.steps(RUN), seen=datetime.now(UTC))


def test_what_was_agreed_to_beforehand_is_said_all_the_same(records, capsys):
    records.submit(submission(asks=("a",), approved_by=Person("anna")))
    TerminalWatcher(yes=True).show(view_of(records))
    assert "agreed    Really?" in capsys.readouterr().err


AWAY = RecordedError("database_unreachable", "nobody answers", "that it leads here", "move the name")


@pytest.fixture
def said(records, capsys):
    """``said(seconds, error)``: what one more try that fails so makes the watcher say; None: the step went on."""
    records.submit(submission())
    records.begin_step(RUN, STEP)
    watcher = TerminalWatcher()

    def after(seconds, error=AWAY):
        if error is None:
            records.go_on_with_step(RUN, STEP)
        else:
            records.postpone_step(RUN, STEP, datetime.now(UTC) + timedelta(seconds=seconds), error)
        watcher.show(view_of(records))
        return capsys.readouterr().err

    return after


def test_what_a_step_waits_for_is_said_once_and_not_for_a_moments_wait(said):
    assert "waiting" not in said(1)
    told = said(60)
    for part in ("waiting   a", "since 20", "next try 20", "database_unreachable: nobody answers", "hint: move the name"):
        assert part in told
    assert said(61) == ""


def test_another_reason_is_said_and_neither_again_when_they_take_turns(said):
    refused = RecordedError("password_rejected", "no such password")
    assert said(60).count("waiting") == 1
    assert "password_rejected: no such password" in said(60, refused)
    assert said(60) == said(60, refused) == ""


def test_that_a_step_goes_on_is_said_and_a_new_wait_is_told_anew(said):
    assert said(0, None).count("goes on") == 0, "nobody was told that it waited"
    said(60)
    assert said(0, None) == "  goes on   a\n"
    assert said(0, None) == ""
    assert said(60).count("waiting") == 1


def test_a_wait_that_grows_long_while_it_is_tried_is_said_although_each_delay_is_short(records, said, capsys):
    said(1)
    records.begin_step(RUN, STEP)
    later = RunView(records.run(RUN), records.steps(RUN), seen=datetime.now(UTC) + timedelta(seconds=30))
    TerminalWatcher().show(later)
    assert "trying again now" in capsys.readouterr().err


@pytest.mark.parametrize("waits", [True, False])
def test_a_terminal_counts_how_long_a_step_has_waited_until_it_goes_on(records, waits):
    records.submit(submission())
    records.begin_step(RUN, STEP)
    records.report_progress(RUN, STEP, "sending", 1, 2, "bytes")
    records.postpone_step(RUN, STEP, datetime.now(UTC) + timedelta(seconds=60), AWAY)
    if not waits:
        records.go_on_with_step(RUN, STEP)
    ours, theirs = pty.openpty()
    kept = sys.stderr
    with os.fdopen(theirs, "w") as terminal:
        sys.stderr = terminal
        try:
            TerminalWatcher().show(view_of(records))
        finally:
            sys.stderr = kept
    shown = ""
    with suppress(OSError):  # at the end of what a terminal showed that was closed
        while piece := os.read(ours, 4096):
            shown += piece.decode()
    os.close(ours)
    last = shown.rpartition("\r")[2]
    assert ("a: waiting for 0." in last and "(database_unreachable), next try in" in last) == waits
    assert ("a: sending 1 B of 2 B" in last) == (not waits)


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
    watcher.show(RunView(records.run(RunId("r2")), records.steps(RunId("r2")), seen=datetime.now(UTC)))
    said = capsys.readouterr().err
    assert "run r2, follows r1, which did not succeed" in said
    assert "done      a" in said


def test_what_a_step_notes_although_it_went_well_is_told(records, capsys):
    records.submit(submission())
    noted = Evidence("orders", "it is done", Outcome.DONE, NOON, NOON, {"bytes": 7}, "WAL was lost, and the stream begins anew")
    records.conclude_step(RUN, STEP, StepConclusion(StepState.SUCCEEDED, noted))
    TerminalWatcher().show(view_of(records))
    assert "note: WAL was lost, and the stream begins anew" in capsys.readouterr().err


def test_progress_never_goes_back(monkeypatch):
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        line = ProgressLine()
        for done in (2000, 1000, 3000):
            line.report("read", done, 4000)
        monkeypatch.undo()
    shown = ""
    with suppress(OSError):  # at the end of what a terminal showed that was closed
        while piece := os.read(ours, 4096):
            shown += piece.decode()
    os.close(ours)
    assert shown.count("read:") == 2


@pytest.mark.parametrize(
    "question",
    [
        "Nothing runs in the directory. Shall it go?",
        "It is a question of this many columns",
        "Two come back:\n- first this one\nDo you agree?",
    ],
)
def test_a_question_and_where_it_is_answered_stay_on_one_line(question):
    for columns in range(24, 60):
        lines = f"{room_for_the_answer(question, columns)} [y/N]: ".split("\n")
        assert max(map(len, lines)) < columns
    assert room_for_the_answer(question, None) == question


def test_what_takes_long_is_said_in_one_line_that_the_terminal_does_not_fold(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with said_when_long("looking whether the old server of customer-orders-europe-west still answers"):
            shown = os.read(ours, 4096).decode()
        monkeypatch.undo()
    os.close(ours)
    line = shown.removeprefix("\r\033[K")
    assert line.startswith("  … looking whether")
    assert line == "  … looking whether the old server of…"
