"""Directories under ``understudy serve``: what it takes by itself, what it lets go, and runs that it goes on with."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from tests.app.shelf import DOCS, Shelf, SilentWatcher
from tests.room import new_path
from tests.servers.processes import alive, wait_until
from understudy.app.backups import back_up
from understudy.app.loading import load
from understudy.app.looking import status
from understudy.app.scheduled_reading import EVERYTHING
from understudy.app.scheduling import Scheduling
from understudy.plan.request import Choice
from understudy.records.run import RunState
from understudy.vocabulary.identifiers import BackupOrigin, Person

LEAP_DAY = 'backup: {schedule: "0 3 29 2 *"}'


@pytest.fixture
def shelf():
    directory = new_path("shelf")
    directory.mkdir()
    made = Shelf(directory)
    made.write(LEAP_DAY, repositories=["near"])
    made.fill()
    yield made
    made.close()


@pytest.fixture
def serve(shelf):
    """Starts ``understudy serve``; the log is in ``log``."""
    running = []

    def start():
        environment = {
            "PATH": os.environ["PATH"],
            "UNDERSTUDY_STACK": str(shelf.stack_file),
            "UNDERSTUDY_STATE": str(shelf.state),
        }
        with (shelf.directory / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "understudy.cli.main", "serve"],
                env=environment,
                cwd=shelf.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()


def said(shelf):
    return (shelf.directory / "log").read_text()


def test_the_first_snapshot_is_taken_at_once_where_there_is_a_schedule(shelf, serve):
    process = serve()
    complete = shelf.folder() / "snapshots"
    wait_until(lambda: list(complete.glob("*/snapshot.json")) or not alive(process.pid), "the first snapshot")
    process.terminate()
    assert process.wait() == 0
    assert "Traceback" not in said(shelf)
    (snapshot,) = shelf.snapshots()
    assert snapshot.origin is BackupOrigin.AUTOMATIC
    [schedule] = status(shelf.installation).snapshots[0].schedules
    [run] = shelf.installation.records.runs()
    assert (schedule.last.run, schedule.last.due, schedule.missed_since) == (run.run, None, None), "it stands for what was due"


def test_what_was_missed_is_made_up_once_called_a_snapshot_and_told_with_its_run(shelf, serve):
    shelf.back_up()
    records = shelf.installation.records
    records.observe(DOCS, "scheduled:incremental", {"due": "2019-12-31T00:00:00+00:00"})
    [before] = status(shelf.installation).snapshots[0].schedules
    first = datetime(2020, 2, 29, 3, tzinfo=UTC)
    assert (before.missed_since, before.last) == (first, None)
    process = serve()
    ended = [RunState.SUCCEEDED] * 2
    wait_until(lambda: [run.state for run in records.runs()] == ended or not alive(process.pid), "what was missed")
    [schedule] = status(shelf.installation).snapshots[0].schedules
    assert (schedule.last.run, schedule.last.state) == (records.runs()[0].run, RunState.SUCCEEDED)
    assert (schedule.last.due, schedule.last.made_up, schedule.missed_since) == (first, True, None)
    assert "docs: snapshot due since 2020-02-29T03:00:00+00:00" in said(shelf)
    assert "incremental" not in said(shelf)


def test_what_other_commands_hand_over_is_carried_out(shelf, serve):
    shelf.back_up()
    process = serve()
    wait_until(lambda: (shelf.state / "serving").exists() or not alive(process.pid), "serve to be ready")
    assert back_up(shelf.installation, DOCS, None, SilentWatcher()).succeeded
    assert shelf.restore().succeeded
    assert len(shelf.labels()) == 2


def test_what_a_command_writes_is_taken_at_its_schedule_and_a_load_that_is_handed_over_is_carried_out(shelf, serve):
    said_file, loaded_file = shelf.directory / "said", shelf.directory / "loaded"
    said_file.write_text("what was said")
    commands = f"dump: [cat, {said_file}], load: [dd, of={loaded_file}]"
    shelf.write(repositories=["near"], resources=[f"words: {{kind: command, {commands}, {LEAP_DAY}}}"])
    process = serve()

    def taken():
        return [run.state for run in shelf.installation.past.runs() if run.subject == "words"] == [RunState.SUCCEEDED]

    wait_until(lambda: not alive(process.pid) or ((shelf.state / "state.db").exists() and taken()), "the first snapshot")
    assert load(shelf.installation, "words", Choice(), SilentWatcher(), Person("anna")).succeeded
    assert loaded_file.read_text() == "what was said"


def test_a_serve_that_is_killed_in_the_middle_leaves_the_snapshot_to_the_next(shelf, serve):
    (shelf.docs / "large").write_bytes(os.urandom(60_000_000))
    first = serve()
    records = shelf.installation.records

    def taking():
        runs = records.runs(1)
        return bool(runs) and any(step.key == "docs/take-snapshot" and step.started for step in records.steps(runs[0].run))

    wait_until(lambda: taking() or not alive(first.pid), "the snapshot to begin")
    first.send_signal(signal.SIGKILL)
    first.wait()
    (run,) = records.runs()
    serve()
    wait_until(lambda: records.run(run.run).state.is_final, "the run to be gone on with")
    assert records.run(run.run).state is RunState.SUCCEEDED
    assert len(shelf.labels()) == 1
    assert shelf.restore().succeeded


class EveryRunFails:
    """A runner at whose hands nothing gets through."""

    def submit(self, plan, *, asked=None):
        self.plan = plan
        return "a-run"

    def wait(self, run):
        return RunState.FAILED


def test_what_the_rules_let_go_goes_after_a_scheduled_snapshot_and_a_failure_is_an_error_in_the_log(shelf, caplog):
    shelf.back_up()
    runner = EveryRunFails()
    scheduling = Scheduling(shelf.installation, runner, DOCS, lambda kind, value: None)
    scheduling.expire()
    assert not hasattr(runner, "plan"), "a first one makes nothing old"
    shelf.write(LEAP_DAY, "keep: {daily: 1, weekly: 0, monthly: 0, manual: 0s, point_in_time: 0s}", repositories=["near"])
    shelf.back_up()
    Scheduling(shelf.installation, runner, DOCS, lambda kind, value: None).expire()
    assert [each.step.labels for each in runner.plan.steps] == [(shelf.labels()[0],)]
    assert "retention failed" in caplog.text


def test_what_is_stored_is_read_back_by_itself_and_what_is_damaged_is_an_error_in_the_log_and_makes_the_next_one_whole(
    shelf, serve
):
    shelf.back_up()
    part = next((shelf.folder() / "parts").iterdir())
    part.chmod(0o600)
    part.write_bytes(part.read_bytes()[:-1])
    records = shelf.installation.records
    records.observe(EVERYTHING, "scheduled:incremental", {"due": "2020-01-01T00:00:00+00:00"})
    process = serve()
    wait_until(lambda: "reading back failed" in said(shelf) or not alive(process.pid), "the run")
    run = next(each for each in records.runs() if each.procedure == "verification")
    assert run.state is RunState.FAILED
    assert f"everything stored: scheduled reading back failed: understudy show {run.run}" in said(shelf)
    (shown,) = status(shelf.installation).snapshots
    assert [each.label for each in shown.damaged] == shelf.labels()
    shelf.back_up()
    assert part.name not in {each.name for each in shelf.snapshots()[-1].parts}
    assert len([each for each in records.runs() if each.procedure == "verification"]) == 1, "it is made up once"
