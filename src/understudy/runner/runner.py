"""The runner: what ``app`` calls to have a plan carried out."""

from __future__ import annotations

import logging
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from understudy.plan.plan import Plan
from understudy.ports.clock import Clock
from understudy.records.controller_lock import ControllerLock
from understudy.records.records import Records
from understudy.records.run import RecordedError, RunRecord, RunState
from understudy.records.state_database import STATE_UNWRITABLE
from understudy.runner.engine import DurableEngine, RunEngine
from understudy.runner.ordering import final_state, has_passed, obstacle, ready_steps
from understudy.runner.plan_json import StepLoader, StepOutline, plan_outline
from understudy.runner.signals import LOOK_SECONDS, RunnerStopped, RunSignals
from understudy.runner.step_execution import StepExecution, WorldFor
from understudy.runner.submission import submit_plan
from understudy.steps.codec import step_from_json
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.identifiers import Person, RunId, StepKey
from understudy.vocabulary.json import JsonObject

_LEAVE_SECONDS = 30.0

ReportOf = Callable[[RunId, RunState], JsonObject]
"""What a run came to as a whole, all of whose steps have ended and which is about to end so."""

_log = logging.getLogger(__name__)


class Runner:
    """Carries out the runs of one state directory. A context manager: entering takes the controller's lock and starts the engine.

    A process has one at a time. Leaving it gives up what is under way as it stands; another process resumes it.
    """

    def __init__(
        self,
        state: Path,
        records: Records,
        clock: Clock,
        world_for: WorldFor,
        load_step: StepLoader = step_from_json,
        report_of: ReportOf = lambda run, state: {},
    ) -> None:
        """
        Args:
            world_for: Called for each attempt of each step, with that step's progress and cancellation.
            report_of: Called before a run's end is recorded, again where a process died in between; what it says is chained.
        """
        self._records = records
        self._clock = clock
        self._world_for = world_for
        self._load_step = load_step
        self._report_of = report_of
        self._executor = f"{clock.now():%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
        self._lock = ControllerLock(state)
        self._engine = DurableEngine(state, self._executor, self._carry_out, self._carry_out_step)
        self._signals = RunSignals(clock)
        self._under_way: set[RunId] = set()
        self._inside = 0
        self._left = threading.Condition()
        self._looking = threading.Lock()
        self._watch: threading.Thread | None = None
        self._broken: BaseException | None = None

    def __enter__(self) -> Runner:
        """Raises Refusal ``controller_busy``, ``sqlite_too_old``."""
        self._lock.acquire()
        try:
            interrupted = self._records.mark_interrupted(self._executor)
            self._engine.launch(interrupted=bool(interrupted))
        except BaseException:
            self._lock.release()
            raise
        self._watch = threading.Thread(target=self._watch_records, name="runner-watch", daemon=True)
        self._watch.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._signals.stop()
        left = self._everybody_left()
        if self._watch is not None:
            self._watch.join()
        self._engine.stop()
        if left:
            self._lock.release()
        else:
            # The lock goes with the process: nobody may resume a run while this one still works on it.
            _log.warning("a step is still at work; the state directory stays locked until this process has ended")

    # What app asks for

    def submit(
        self,
        plan: Plan,
        approved_by: Person | None = None,
        asked: JsonObject | None = None,
        follows: RunId | None = None,
    ) -> RunId:
        """Remember the run with its holds, and start it. Arguments and refusals are those of ``submit_plan``.

        ``approved_by`` agrees beforehand to everything that the plan asks.
        """
        run = submit_plan(self._records, self._clock, plan, self._executor, approved_by, asked, follows)
        self._take_up(run)
        self._engine.start(run)
        return run

    def wait(self, run: RunId, seconds: float | None = None) -> RunState:
        """Block until the run has ended, or ``seconds`` have passed; returns its state then.

        Raises:
            GiveUp: ``state_unwritable``, ``runner_failed``: runs were given up as they stood, and can be resumed.
        """
        try:
            self._signals.wait_until(lambda: self._records.run(run).state.is_final, seconds)
        except RunnerStopped:
            if self._broken is None:
                raise
            raise _given_up(self._broken) from self._broken
        return self._records.run(run).state

    @property
    def gave_up(self) -> bool:
        """Whether it carries out nothing more; ``wait`` and ``pick_up`` say why."""
        return self._broken is not None

    def approve(self, run: RunId, step: StepKey, by: Person, question: str) -> None:
        """Raises Refusal as ``Records.approve`` does."""
        self._records.approve(run, step, by, question)
        self._signals.notify()

    def cancel(self, run: RunId, by: Person) -> None:
        """Ask for the run's end. An interrupted run is resumed for its clean-up.

        Raises:
            Refusal: ``run_ended``, ``run_unknown``.
        """
        self._records.request_cancel(run, by)
        if self._records.run(run).state is RunState.INTERRUPTED:
            self.resume(run)
        self._look_for_cancels()

    def interrupted(self) -> tuple[RunRecord, ...]:
        """Runs that an earlier process left unfinished, oldest first."""
        return tuple(self._records.run(run) for run in self._records.mark_interrupted(self._executor))

    def resume(self, run: RunId) -> None:
        """Carry on an interrupted run after the last step that ended; or begin one that was handed over and not picked up.

        Raises:
            Refusal: ``not_interrupted``, ``run_unknown``.
        """
        record = self._records.run(run)
        handed_over = record.state is RunState.WAITING and record.executor is None
        if record.state is not RunState.INTERRUPTED and not handed_over:
            raise Refusal(
                "not_interrupted",
                found=f"{run} is {record.state}",
                expected="an interrupted run",
                hint=f"how it stands: understudy show {run}",
            )
        self._take_up(run)
        self._engine.resume(run)

    def resume_all(self, is_ready: Callable[[RunId], bool] = lambda run: True) -> tuple[RunId, ...]:
        """Resume every interrupted run that ``is_ready`` for it; which those were. For the control plane; a command in the
        foreground goes on with one.
        """
        runs = tuple(each.run for each in self.interrupted() if is_ready(each.run))
        for run in runs:
            self.resume(run)
        return runs

    def pick_up(self) -> tuple[RunId, ...]:
        """Start what other processes handed over (``submission.hand_over``). The control plane calls this again and again.

        Raises:
            GiveUp: as ``wait`` does.
        """
        if self._broken is not None:
            raise _given_up(self._broken)
        started: list[RunId] = []
        for run in self._records.handed_over():
            try:
                self._take_up(run)
            except Refusal:
                # Cancelled since it was listed: nothing is left to do.
                continue
            self._engine.start(run)
            started.append(run)
        return tuple(started)

    # What the engine calls

    def _carry_out(self, run: RunId, engine: RunEngine) -> None:
        with self._in_workflow():
            try:
                outlines = plan_outline(self._records.plan(run))
            except (ValueError, KeyError, TypeError) as error:
                _log.warning("the plan of %s cannot be read", run, exc_info=True)
                found = f"the plan of {run} cannot be read: {type(error).__name__}"
                hint = "it was planned by another version of Understudy: start it again with this one"
                self._finish(run, RunState.FAILED, RecordedError("plan_unreadable", found, hint=hint))
            else:
                self._play(run, outlines, engine)
                self._finish(run, final_state(self._records.concluded(run).values()))
            self._let_go(run)

    def _finish(self, run: RunId, state: RunState, error: RecordedError | None = None) -> None:
        if not self._records.run(run).state.is_final:
            self._records.finish(run, state, error, self._report_of(run, state))

    def _play(self, run: RunId, outlines: tuple[StepOutline, ...], engine: RunEngine) -> None:
        """Every step once, in an order that a replay repeats: it follows from the plan and the engine's answers alone."""
        passed: dict[StepKey, bool] = {}
        begun: list[StepKey] = []
        while len(passed) < len(outlines):
            for outline in ready_steps(outlines, passed, begun):
                in_the_way = obstacle(outline, passed)
                if in_the_way is None:
                    engine.start(outline.key)
                    begun.append(outline.key)
                else:
                    self._execution(run, outline).leave_out(in_the_way)
                    passed[outline.key] = False
            if begun:
                self._wait_for_any(run, begun)
                ended, well = engine.first_ended(begun)
                begun.remove(ended)
                passed[ended] = well

    def _wait_for_any(self, run: RunId, begun: list[StepKey]) -> None:
        """Here rather than in the engine, whose wait cannot be left when this process is asked to stop."""
        self._signals.wait_until(lambda: not self._records.concluded(run).keys().isdisjoint(begun))

    def _carry_out_step(self, run: RunId, step: StepKey) -> bool:
        with self._in_workflow():
            outline = next(each for each in plan_outline(self._records.plan(run)) if each.key == step)
            conclusion = self._execution(run, outline).carry_out()
            self._signals.notify()
            return has_passed(conclusion)

    def _execution(self, run: RunId, outline: StepOutline) -> StepExecution:
        return StepExecution(run, outline, self._records, self._clock, self._signals, self._world_for, self._load_step)

    @contextmanager
    def _in_workflow(self) -> Iterator[None]:
        """The outermost loop: what escapes from here is no step's fault but this process's, and ends all that it carries out.

        The engine never sees an exception, so it keeps its workflows pending, and they are resumed once the cause is mended.
        """
        with self._left:
            self._inside += 1
        try:
            yield
        except Exception as error:
            _log.exception("the runner gives up; its runs can be resumed")
            self._broken = self._broken or error
            self._signals.stop()
            raise RunnerStopped from error
        finally:
            with self._left:
                self._inside -= 1
                self._left.notify_all()

    # Own affairs

    def _take_up(self, run: RunId) -> None:
        self._records.take_over(run, self._executor)
        with self._left:
            self._under_way.add(run)
        self._look_for_cancels()

    def _let_go(self, run: RunId) -> None:
        with self._left:
            self._under_way.discard(run)
        self._signals.notify()

    def _look_for_cancels(self) -> None:
        """One thread at a time: one that looked earlier and tells later would take back what another has told."""
        with self._looking:
            with self._left:
                runs = frozenset(self._under_way)
            self._signals.set_cancelled(self._records.cancel_requested(runs) if runs else runs)

    def _watch_records(self) -> None:
        while True:
            try:
                self._signals.wait_until(lambda: False, LOOK_SECONDS)
                self._look_for_cancels()
            except RunnerStopped:
                return
            except sqlite3.Error:
                _log.warning("cannot read the state database; looking again", exc_info=True)

    def _everybody_left(self) -> bool:
        """Whether all threads are out of steps. A step that does not look at its cancellation can keep its thread for long."""
        with self._left:
            return self._left.wait_for(lambda: self._inside == 0, _LEAVE_SECONDS)


def _given_up(error: BaseException) -> GiveUp:
    of_the_host = _host_fault(error)
    if of_the_host is not None:
        return GiveUp(
            STATE_UNWRITABLE,
            found=f"the state directory cannot be used: {of_the_host}",
            expected="a writable directory with free space",
            hint="mend it, then `understudy resume` the run: it goes on after the last step that ended",
        )
    return GiveUp(
        "runner_failed",
        found=f"the runner ended on an error that nobody foresaw, of the kind {type(error).__name__}",
        expected="that faults are foreseen",
        hint="this is a defect of Understudy: report it with the log, which tells where; `understudy resume` goes on after the "
        "last step that ended",
    )


def _host_fault(error: BaseException | None) -> BaseException | None:
    """What the database or the operating system refused; the engine has errors of its own around it."""
    while error is not None and not isinstance(error, (sqlite3.Error, OSError)):
        error = error.__cause__
    return error
