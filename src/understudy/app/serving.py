"""The control plane: what is kept going for each resource, and the runs that other commands hand over."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from understudy.app.asking import planner
from understudy.app.carrying_out import SERVING_FILE, Serving
from understudy.app.drills_held import HoldingDrills
from understudy.app.filing import EvidenceFiling
from understudy.app.installation import Installation
from understudy.app.keeping import Keeping
from understudy.app.old_server import ask_anew_or_warn
from understudy.app.requests import OpenRequests
from understudy.app.run_secrets import has_secrets_or_says
from understudy.app.runners import runner_of
from understudy.app.scheduled_reading import ScheduledReading
from understudy.app.scheduling import Scheduling
from understudy.app.warm_keeping import start_warm_copies
from understudy.records.run import RunState
from understudy.records.state_database import STATE_UNWRITABLE, as_state_faults
from understudy.runner.runner import Runner
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import RunId

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2


def serve(installation: Installation, stopping: threading.Event, ready: Callable[[], None]) -> None:
    """Run until ``stopping`` is set. What an earlier process left unfinished is resumed before anything is taken up anew.

    Raises:
        Refusal: ``controller_busy``; ``signer_not_named``.
        GiveUp: ``loop_died``: something that is kept going stopped on an error nobody foresaw; ``state_unwritable``.
    """
    installation.require_believed_signer()
    with ExitStack() as undo:
        runner = undo.enter_context(runner_of(installation))
        undo.enter_context(_announced(installation))
        died = undo.enter_context(_dead_threads(stopping))
        filing = EvidenceFiling(installation)
        filing.start()
        undo.callback(filing.stop)
        requests = OpenRequests(installation, planner(installation), runner.submit)
        requests.start()
        undo.callback(requests.stop)
        kept = [Keeping(installation, runner, name) for name in installation.database_names()]
        for keeping in kept:
            keeping.start(undo)
        for interrupted in runner.interrupted():  # it may knock where nobody answers, and WAL does not wait for that
            ask_anew_or_warn(installation, interrupted.run)
        under_way = set(runner.resume_all(lambda run: has_secrets_or_says(installation, run)))
        for run in under_way:
            _log.info("resumed run %s", run)
        for keeping in kept:
            keeping.start_schedules(undo)
        for name in installation.snapshot_names():
            Scheduling(installation, runner, name, partial(installation.records.observe_if_possible, name)).start(undo)
        ScheduledReading(installation, runner).start(undo)
        HoldingDrills(installation, runner).start(undo)
        start_warm_copies(installation, runner, undo)
        ready()
        _look_after_runs(installation, runner, under_way, stopping)
        if died:
            raise died[0]


def _look_after_runs(installation: Installation, runner: Runner, under_way: set[RunId], stopping: threading.Event) -> None:
    """A state directory that is full or fails ends nothing that can do without it: WAL goes on being received and shipped.

    Raises:
        GiveUp: ``state_unwritable``: it can be written to again, and a process that begins anew resumes what was given up;
            ``runner_failed``.
    """
    told = False
    while not stopping.wait(_LOOK_SECONDS):
        try:
            with as_state_faults():
                _look_once(installation, runner, under_way)
            told = False
        except GiveUp as error:
            if error.code != STATE_UNWRITABLE:
                raise
            if runner.gave_up and installation.records.is_writable():
                _log.error(
                    "the state directory can be written to again: serve ends here, and its next start resumes what was cut off"
                )
                raise
            if not told:
                _log.error("no run can be carried out now, and WAL goes on being received and shipped: %s", error)
            told = True


def _look_once(installation: Installation, runner: Runner, under_way: set[RunId]) -> None:
    for run in runner.pick_up():
        _log.info("picked up run %s", run)
        under_way.add(run)
    for run in [each for each in under_way if installation.records.run(each).state.is_final]:
        state = installation.records.run(run).state
        _log.info("run %s %s", run, "was cancelled" if state is RunState.CANCELLED else f"has {state}")
        under_way.discard(run)


@contextmanager
def _announced(installation: Installation) -> Iterator[None]:
    """Other commands then hand their work over instead of refusing, if they go by the same stack file."""
    file = installation.state / SERVING_FILE
    aside = file.with_suffix(f".{os.getpid()}")
    aside.write_text(str(Serving(os.getpid(), installation.digest)))
    aside.replace(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


@contextmanager
def _dead_threads(stopping: threading.Event) -> Iterator[list[GiveUp]]:
    """A loop that dies must not leave a process that looks healthy: it ends, and its supervisor starts it again."""
    died: list[GiveUp] = []
    before = threading.excepthook

    def note(dead: threading.ExceptHookArgs) -> None:
        before(dead)
        if not stopping.is_set():
            name = dead.thread.name if dead.thread is not None else "a thread"
            kind = dead.exc_type.__name__
            died.append(
                GiveUp(
                    "loop_died",
                    found=f"{name} ended on an error of the kind {kind}; its traceback is in the log",
                    expected="loops that go on until they are told to end",
                    hint="this is a defect of Understudy or a fault of this host: see the log; the next start goes on from here",
                )
            )
            stopping.set()

    threading.excepthook = note
    try:
        yield died
    finally:
        threading.excepthook = before
