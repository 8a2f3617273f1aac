"""The calendar of drills, on a directory that is kept: what counts, what is overdue, and what serve holds by itself."""

import json
import os
import signal
from datetime import timedelta

import pytest

from tests.app.shelf import DOCS, Shelf, SilentWatcher
from tests.cli.commands import environment, understudy
from tests.room import new_path
from tests.servers import programs
from tests.servers.processes import wait_until
from understudy.app.drill_calendar import Attempt, CalendarMemory, calendar_status, remember, remembered
from understudy.app.drill_history import DrillResult
from understudy.app.drills_held import HoldingDrills
from understudy.app.preflight import check
from understudy.app.recoveries import drill
from understudy.judge.preflight import Grade
from understudy.plan.request import Choice
from understudy.records.run import RunState
from understudy.stack.models import Scenario
from understudy.vocabulary.identifiers import RunId

ANY_TIME = 'every: "0 0 1 1 *"'


@pytest.fixture
def shelf():
    directory = new_path("shelf")
    directory.mkdir()
    made = Shelf(directory)
    made.fill()
    yield made
    made.close()


def declare(shelf, *drills):
    shelf.write(repositories=["near"])
    shelf.stack_file.write_text(shelf.stack_file.read_text() + "\n".join(["drills:", *(f"  {each}" for each in drills)]) + "\n")
    shelf.installation = type(shelf.installation).open(shelf.stack_file, shelf.state)


def standing(shelf, name="docs-back"):
    return next(each for each in calendar_status(shelf.installation) if each.name == name)


def seen_days_ago(shelf, days, name="docs-back"):
    remember(shelf.installation, name, CalendarMemory(shelf.installation.clock.now() - timedelta(days=days)))


def test_one_by_hand_counts_where_it_does_what_the_calendar_asks_for_and_only_if_it_passed(shelf):
    declare(shelf, "docs-back: {scenario: storage_loss, every: quarterly}", "all: {scenario: complete_failure, every: daily}")
    shelf.back_up()
    assert standing(shelf).last is None
    seen_days_ago(shelf, 200)
    assert standing(shelf).overdue > timedelta(0)
    told = understudy(shelf, "drills")
    assert told.returncode == 1
    assert "overdue by" in told.stdout
    assert "1 overdue" in understudy(shelf, "status").stdout
    finding = next(each for each in check(shelf.stack_file, shelf.state).findings if each.subject == "drill docs-back")
    assert finding.grade is Grade.WARNING
    assert finding.change.startswith("hold it now: understudy drill storage_loss")

    label = shelf.labels()[0]
    drill(shelf.installation, Scenario.STORAGE_LOSS, [], Choice(label=label), SilentWatcher())
    assert standing(shelf).last is None, "of a backup that was chosen"
    view = drill(shelf.installation, Scenario.STORAGE_LOSS, [], Choice(), SilentWatcher())
    found = standing(shelf)
    assert (found.met, found.overdue_since, found.last.run) == (True, None, view.run.run)
    assert found.last.result is DrillResult.PASSED
    assert found.last.digest == shelf.installation.records.history.end_of(view.run.run)[1]
    assert found.next >= found.period_until
    assert not standing(shelf, "all").met, "it is another scenario"
    told = json.loads(understudy(shelf, "drills", "--json").stdout)["drills"]
    assert [each["met"] for each in told] == [True, False]
    assert understudy(shelf, "drills").returncode == 0


def test_what_the_calendar_noted_and_nobody_can_read_any_more_ends_nobody_who_looks(shelf):
    declare(shelf, "docs-back: {scenario: storage_loss, every: quarterly}")
    shelf.back_up()
    for noted in ({"edited": 1}, {"since": 5, "attempts": None, "fault": "x"}, {"since": "x", "attempts": [1], "fault": None}):
        shelf.installation.records.observe("drills", "docs-back", noted)
        assert standing(shelf).overdue_since is None
        assert remembered(shelf.installation, "docs-back") is None
    HoldingDrills(shelf.installation, None).turns()
    assert remembered(shelf.installation, "docs-back").attempts == ()


def test_one_that_failed_or_missed_its_objective_does_not_meet_the_period(shelf):
    declare(shelf, "docs-back: {scenario: storage_loss, every: monthly}")
    shelf.stack_file.write_text(shelf.stack_file.read_text() + "objectives: {storage_loss: {rto: 1s, rpo: 0s}}\n")
    shelf.installation = type(shelf.installation).open(shelf.stack_file, shelf.state)
    shelf.back_up()
    drill(shelf.installation, Scenario.STORAGE_LOSS, [], Choice(), SilentWatcher())
    assert (standing(shelf).met, standing(shelf).last.result) == (False, DrillResult.OBJECTIVE_NOT_MET)
    next(shelf.folder().glob("parts/*")).write_bytes(b"damaged")
    view = drill(shelf.installation, Scenario.STORAGE_LOSS, [], Choice(), SilentWatcher())
    assert view.run.state is RunState.FAILED
    assert (standing(shelf).met, standing(shelf).last.result) == (False, DrillResult.FAILED)


def test_serve_holds_what_is_due_one_at_a_time_and_once_and_leaves_nothing(shelf):
    declare(
        shelf,
        "second: {scenario: storage_loss, every: daily, window: 00:00-24:00}",
        "first: {scenario: complete_failure, every: daily, window: 00:00-24:00, priority: P1}",
    )
    log = shelf.directory / "log"

    def serve():
        with log.open("ab") as written:
            return programs.start("serve", env=environment(shelf), cwd=shelf.directory, stdout=written, stderr=written)

    serving = serve()
    try:
        wait_until(lambda: "drill first: repository_missing" in log.read_text(), "the drill that cannot begin")
        assert standing(shelf, "first").cannot_begin.code == "repository_missing"
        serving.send_signal(signal.SIGTERM)
        serving.wait(60)
        shelf.back_up()
        serving = serve()
        wait_until(lambda: standing(shelf, "first").met and standing(shelf, "second").met, "both drills")
        wait_until(lambda: "drill second passed" in log.read_text(), "the log")
    finally:
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(60) == 0
    assert standing(shelf, "first").cannot_begin is None
    first, second = (standing(shelf, name).last for name in ("first", "second"))
    assert first.ended <= second.began
    assert len(remembered(shelf.installation, "first").attempts) == 1
    assert list((shelf.state / "drills").iterdir()) == []


class EndsRuns:
    """A runner, as far as ending one that another process carries out needs one."""

    def __init__(self, records):
        self.cancel = records.request_cancel


def test_one_that_takes_too_long_is_ended_over_a_restart_cleaned_up_and_meets_nothing(shelf):
    declare(shelf, "docs-back: {scenario: storage_loss, every: daily, max_duration: 1s}")
    shelf.back_up()
    holding = HoldingDrills(shelf.installation, EndsRuns(shelf.installation.records))
    assert holding.under_way() == ()
    serving = programs.start("drill", "storage_loss", env={**environment(shelf)}, cwd=shelf.directory)
    wait_until(lambda: holding.under_way() != () or serving.poll() is not None, "the drill")
    os.kill(serving.pid, signal.SIGKILL)
    serving.wait()
    [theirs] = holding.under_way()
    assert theirs.drill is None
    remember(
        shelf.installation, "docs-back", CalendarMemory(theirs.submitted, (Attempt(RunId(theirs.request), theirs.submitted),))
    )
    [own] = holding.under_way()
    assert (own.drill, own.max_duration) == ("docs-back", timedelta(seconds=1))
    assert standing(shelf).last.result is DrillResult.UNDER_WAY
    holding.end(own.run)
    log = shelf.directory / "log"
    with log.open("wb") as written:
        serving = programs.start("serve", env=environment(shelf), cwd=shelf.directory, stdout=written, stderr=written)
    try:
        wait_until(lambda: standing(shelf).last.result is not DrillResult.UNDER_WAY, "its end")
    finally:
        serving.send_signal(signal.SIGTERM)
        serving.wait(60)
    found = standing(shelf)
    assert (found.last.result, found.met) == (DrillResult.TOOK_TOO_LONG, False)
    assert holding.outcome(own.request) == "took too long, and counts as failed"
    assert list((shelf.state / "drills").iterdir()) == []
    assert DOCS in found.resources
