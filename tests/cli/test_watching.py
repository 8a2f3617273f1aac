"""What a person in front of a run is told while it goes."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.records.cast import submission
from understudy.adapters.clock.system import SystemClock
from understudy.app.carrying_out import RunView
from understudy.cli.watching import TerminalWatcher
from understudy.records.records import Records
from understudy.records.run import RecordedError
from understudy.vocabulary.identifiers import Person, RunId, StepKey

RUN, STEP = RunId("r1"), StepKey("a")


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
