"""A process dies, and what the next one makes of it."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from tests.runner.stage import NoteStep, carried_out, lines, plan_of, runner_for
from understudy.plan.plan import PlannedStep, in_sequence
from understudy.records.chained_form import RUN_ENDED
from understudy.records.controller_lock import controller_pid
from understudy.records.records import Records
from understudy.records.run import RunState, StepState
from understudy.vocabulary.identifiers import RunId, StepKey

_PROGRAM = """
import os, signal, sys
from pathlib import Path
from tests.runner.test_interruption import waiting_plan
from tests.runner.stage import carried_out, runner_for
state, notes, what = sys.argv[1:]
with runner_for(Path(state)) as runner:
    if what == "play":
        carried_out(runner, waiting_plan(Path(notes)))
    else:
        runner.resume_all()
        os.kill(os.getpid(), signal.SIGKILL)
"""


def waiting_plan(notes: Path):  # type: ignore[no-untyped-def]
    conducts = {"a": "well", "b": "lingers_until_told", "c": "well"}
    return plan_of(*in_sequence(*(PlannedStep(NoteStep(name, str(notes), conduct)) for name, conduct in conducts.items())))


def start(tmp_path: Path, notes: Path, what: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", _PROGRAM, str(tmp_path / "state"), str(notes), what])


def playing(tmp_path: Path, records: Records, notes: Path) -> tuple[subprocess.Popen[bytes], RunId]:
    """A process that carries out a run whose second step is at work."""
    process = start(tmp_path, notes, "play")
    pause = threading.Event()
    for _ in range(2000):
        runs = records.runs()
        if runs and records.step(runs[0].run, StepKey("b")).state is StepState.RUNNING and lines(notes) == ["a", "b"]:
            break
        assert process.poll() is None
        pause.wait(0.02)
    assert records.run(runs[0].run).state is RunState.RUNNING
    return process, runs[0].run


@pytest.fixture
def killed_run(tmp_path: Path, records: Records, notes: Path) -> RunId:
    """A run whose process was killed while its second step was at work."""
    process, run = playing(tmp_path, records, notes)
    process.kill()
    process.wait()
    return run


def test_a_killed_run_is_seen_as_interrupted_without_anybody_starting_the_engine(records: Records, killed_run: RunId) -> None:
    assert records.run(killed_run).state is RunState.INTERRUPTED
    assert [hold for _, hold in records.holds()] == []


def test_a_new_runner_does_not_carry_on_what_another_left_until_it_is_told(
    tmp_path: Path, records: Records, notes: Path, killed_run: RunId
) -> None:
    Path(f"{notes}.go").touch()
    with runner_for(tmp_path / "state", records) as runner:
        other, state = carried_out(runner, plan_of(PlannedStep(NoteStep("x", str(notes)))))
        assert state is RunState.SUCCEEDED
        # The engine looks for work it could take up within a second of its start.
        threading.Event().wait(1.5)
        assert lines(notes) == ["a", "b", "x"]
        assert records.run(killed_run).state is RunState.INTERRUPTED
        runner.resume(killed_run)
        assert runner.wait(killed_run) is RunState.SUCCEEDED
    assert lines(notes) == ["a", "b", "x", "b", "c"]
    assert [each.attempts for each in records.steps(killed_run)] == [1, 2, 1]
    assert [(each.run, each.step) for each in records.chain()[0]] == [
        (killed_run, "a"),
        (other, "x"),
        (other, RUN_ENDED),
        (killed_run, "b"),
        (killed_run, "c"),
        (killed_run, RUN_ENDED),
    ]


def test_a_process_killed_while_it_resumes_leaves_nothing_that_goes_on_by_itself(
    tmp_path: Path, records: Records, notes: Path, killed_run: RunId
) -> None:
    for _ in range(2):
        assert start(tmp_path, notes, "resume").wait() == -9
    before = lines(notes)
    Path(f"{notes}.go").touch()
    with runner_for(tmp_path / "state", records) as runner:
        threading.Event().wait(1.5)
        assert lines(notes) == before
        assert runner.resume_all() == (killed_run,)
        assert runner.wait(killed_run) is RunState.SUCCEEDED
    assert lines(notes)[-1] == "c"
    assert lines(notes).count("a") == 1


def test_a_run_goes_on_when_the_engines_memory_is_lost(tmp_path: Path, records: Records, notes: Path, killed_run: RunId) -> None:
    for name in ("engine.db", "engine.db-wal", "engine.db-shm"):
        (tmp_path / "state" / name).unlink(missing_ok=True)
    Path(f"{notes}.go").touch()
    with runner_for(tmp_path / "state", records) as runner:
        runner.resume(killed_run)
        assert runner.wait(killed_run) is RunState.SUCCEEDED
    assert lines(notes) == ["a", "b", "b", "c"]


def test_an_interrupt_from_the_keyboard_ends_the_process_and_leaves_the_run_to_be_resumed(
    tmp_path: Path, records: Records, notes: Path
) -> None:
    process, run = playing(tmp_path, records, notes)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) in (130, -signal.SIGINT)
    assert records.run(run).state is RunState.INTERRUPTED
    assert controller_pid(tmp_path / "state") is None
    Path(f"{notes}.go").touch()
    with runner_for(tmp_path / "state", records) as runner:
        runner.resume(run)
        assert runner.wait(run) is RunState.SUCCEEDED
    assert lines(notes) == ["a", "b", "b", "c"]


def test_the_engine_forgets_runs_that_have_ended(tmp_path: Path, records: Records, notes: Path) -> None:
    for name in "abc":
        with runner_for(tmp_path / "state", records) as runner:
            carried_out(runner, plan_of(PlannedStep(NoteStep(name, str(notes)))))
    with closing(sqlite3.connect(tmp_path / "state" / "engine.db")) as connection:
        rows = connection.execute("SELECT count(*) FROM workflow_status").fetchone()
    assert rows == (2,), "the newest run and its step"
    assert len(records.runs()) == 3
