"""The durable engine behind the runner: DBOS on a SQLite file of its own.

DBOS is imported when the engine starts and not before, because that takes half a second. Source of the settings: its
configuration reference, and what was measured on it.
"""

from __future__ import annotations

import logging
import sqlite3
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from understudy.records.private_files import make_private_database
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import RunId, StepKey

if TYPE_CHECKING:
    from dbos import DBOSConfig, WorkflowHandle

_log = logging.getLogger(__name__)

# Raised by hand when the order of calls inside the workflows changes; a default that hashes the source would strand
# every interrupted run at each upgrade.
APPLICATION_VERSION = "1"

_APPLICATION = "understudy"
# Only resumed runs come through the queue. Each look costs 2 ms of the processor: too much for a control plane at rest, and
# little where an interrupted run is about to be resumed, a recovery perhaps, whose clock runs.
_RESTING_POLLING_SECONDS = 0.5
_EXPECTING_POLLING_SECONDS = 0.05
# Short, since the runner asks only once it knows that a step has ended: what is waited for is the engine's own bookkeeping.
_ENDED_POLLING_SECONDS = 0.01
# Nobody sends notifications here, so that the listener looks at nothing; but every end of a command waits for its sleep to end.
_LISTENING_SECONDS = 0.05
_RECOVERIES = 1_000_000
_QUEUE_PREFIX = "resumed-by-"
_SETTLING_SECONDS = 0.01
_SETTLING_LOOKS = 500
_UNFINISHED = ["PENDING", "ENQUEUED", "DELAYED"]


class RunEngine(Protocol):
    """What the body of a run asks of the engine. Each answer is remembered, and is the same when the body is replayed."""

    def start(self, step: StepKey) -> None:
        """Start the step; nothing happens to one that was started before."""
        ...

    def first_ended(self, steps: Sequence[StepKey]) -> tuple[StepKey, bool]:
        """Wait for the first of these started steps to end; says whether it passed."""
        ...


RunBody = Callable[[RunId, RunEngine], None]
StepBody = Callable[[RunId, StepKey], bool]


class DurableEngine:
    """One workflow for each run, and one child workflow, ``run:step``, for each of its steps."""

    _launched = threading.Lock()
    """The library keeps one instance for a process; a second engine would silently become the first."""

    def __init__(self, directory: Path, executor: str, run_body: RunBody, step_body: StepBody) -> None:
        self._path = directory / "engine.db"
        self._executor = executor
        self._queue = f"{_QUEUE_PREFIX}{executor}"
        self._run_body = run_body
        self._step_body = step_body
        self._returned: set[str] = set()
        self._run_workflow: Callable[[str], None]
        self._expecting = threading.Event()
        """The queue is looked at often, until the first run begins."""

    def launch(self, *, interrupted: bool) -> None:
        """Start. Nothing is carried on by itself: the executor is a new one, and what an earlier one left is resumed by name.

        ``interrupted`` says that there is something to resume.

        Raises:
            Refusal: ``sqlite_too_old``.
            RuntimeError: this process has an engine already.
        """
        _refuse_old_sqlite()
        if not self._launched.acquire(blocking=False):
            raise RuntimeError("this process has an engine already")
        try:
            self._launch(interrupted)
        except BaseException:
            self._launched.release()
            raise

    def _launch(self, interrupted: bool) -> None:
        _quieten_the_library()
        self._set_damage_aside()
        existed = self._path.exists()
        self._use_write_ahead_log()
        from dbos import DBOS

        if existed:
            self._open_queue(_EXPECTING_POLLING_SECONDS if interrupted else _RESTING_POLLING_SECONDS)
            if interrupted:
                self._expecting.set()
        DBOS(config=self._configuration())
        self._register_workflows()
        DBOS.listen_queues([self._queue])
        DBOS.launch()
        if existed:
            self._forget_finished_runs()
        else:
            DBOS.register_queue(self._queue, polling_interval_sec=_RESTING_POLLING_SECONDS)

    def stop(self) -> None:
        """End the engine's threads, once it has noted down what the bodies that came to their end returned."""
        from dbos import DBOS

        pause = threading.Event()
        for _ in range(_SETTLING_LOOKS):
            if not self._returned or not DBOS.list_workflows(
                workflow_ids=list(self._returned), status=_UNFINISHED, load_input=False, load_output=False
            ):
                break
            pause.wait(_SETTLING_SECONDS)
        DBOS.destroy(destroy_registry=True)
        self._launched.release()

    def start(self, run: RunId) -> None:
        from dbos import DBOS, SetWorkflowID

        with SetWorkflowID(run):
            DBOS.start_workflow(self._run_workflow, run)

    def resume(self, run: RunId) -> None:
        """Carry on what an executor that is dead left behind, the run and its steps, from the last answers remembered."""
        from dbos import DBOS

        remembered = DBOS.list_workflows(workflow_id_prefix=run, load_input=False, load_output=False)
        unfinished = [each.workflow_id for each in remembered if each.status in _UNFINISHED]
        broken = [each for each in remembered if each.status not in (*_UNFINISHED, "SUCCESS")]
        if run in unfinished and not broken:
            DBOS.resume_workflows(unfinished, queue_name=self._queue)
            return
        # Submitted but never started, or the engine itself could not go on (its disk was full): begin anew. Steps that have
        # ended say so from the records, so nothing is done twice.
        if remembered:
            DBOS.delete_workflows([each.workflow_id for each in remembered])
        self.start(run)

    def _register_workflows(self) -> None:
        from dbos import DBOS

        # Plain functions, since the engine would store a bound method's object with the workflow.
        @DBOS.workflow(name="carry_out_step", max_recovery_attempts=_RECOVERIES)
        def carry_out_step(run: str, step: str) -> bool:
            passed = DBOS.run_step({"name": "step"}, lambda: self._step_body(RunId(run), StepKey(step)))
            self._returned.add(f"{run}:{step}")
            return passed

        @DBOS.workflow(name="carry_out", max_recovery_attempts=_RECOVERIES)
        def carry_out(run: str) -> None:
            self._let_the_queue_rest()
            self._run_body(RunId(run), _StartedSteps(RunId(run), carry_out_step))
            self._returned.add(run)

        self._run_workflow = carry_out

    def _let_the_queue_rest(self) -> None:
        from dbos import DBOS

        if self._expecting.is_set():
            self._expecting.clear()
            DBOS.register_queue(self._queue, polling_interval_sec=_RESTING_POLLING_SECONDS, on_conflict="always_update")

    def _open_queue(self, polling_seconds: float) -> None:
        """Before the engine listens, since it looks for new queues once a second only; and drop those of dead executors."""
        from dbos import DBOSClient, DBOSPortableJSONSerializer

        client = DBOSClient(system_database_url=self._url, serializer=DBOSPortableJSONSerializer(), application_name=_APPLICATION)
        try:
            for queue in client.list_queues():
                client.delete_queue(queue.name)
            client.register_queue(self._queue, polling_interval_sec=polling_seconds, on_conflict="always_update")
        finally:
            client.destroy()

    def _forget_finished_runs(self) -> None:
        """The records remember them; here they would only pile up."""
        from dbos import DBOS

        finished = DBOS.list_workflows(status="SUCCESS", has_parent=False, load_input=False, load_output=False)
        if finished:
            DBOS.delete_workflows([each.workflow_id for each in finished], delete_children=True)

    def _set_damage_aside(self) -> None:
        """What it remembers can be had again: runs begin anew there, and steps that ended say so from the records."""
        if not self._path.exists() or _is_sound(self._path):
            return
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                self._path.with_name(f"engine.db{suffix}").rename(self._path.with_name(f"damaged-by-{self._executor}.db{suffix}"))
        _log.warning(
            "%s was damaged and is set aside as damaged-by-%s.db; runs go on from the records", self._path, self._executor
        )

    def _use_write_ahead_log(self) -> None:
        """Half the fsyncs, and readers that never wait. The mode stays with the file."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        make_private_database(self._path)
        with closing(sqlite3.connect(self._path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")

    @property
    def _url(self) -> str:
        from sqlalchemy import URL

        return URL.create("sqlite", database=str(self._path.absolute())).render_as_string()

    def _configuration(self) -> DBOSConfig:
        from dbos import DBOSPortableJSONSerializer

        return {
            "name": _APPLICATION,
            "system_database_url": self._url,
            "application_version": APPLICATION_VERSION,
            "executor_id": self._executor,
            "serializer": DBOSPortableJSONSerializer(),
            "log_level": "WARNING",
            "enable_otlp": False,
            "notification_listener_polling_interval_sec": _LISTENING_SECONDS,
        }


class _StartedSteps:
    """``RunEngine`` for one execution of one run's body."""

    def __init__(self, run: RunId, workflow: Callable[[str, str], bool]) -> None:
        self._run = run
        self._workflow = workflow
        self._handles: dict[str, WorkflowHandle[bool]] = {}

    def start(self, step: StepKey) -> None:
        from dbos import DBOS, SetWorkflowID

        with SetWorkflowID(f"{self._run}:{step}"):
            self._handles[step] = DBOS.start_workflow(self._workflow, self._run, step)

    def first_ended(self, steps: Sequence[StepKey]) -> tuple[StepKey, bool]:
        from dbos import DBOS

        handles = [self._handles[step] for step in steps]
        first = DBOS.wait_first(handles, polling_interval_sec=_ENDED_POLLING_SECONDS)
        step = StepKey(first.get_workflow_id().removeprefix(f"{self._run}:"))
        return step, first.get_result(polling_interval_sec=_ENDED_POLLING_SECONDS)


def _quieten_the_library() -> None:
    """Only what is wrong. That its SQLite is meant for development was weighed (docs/decisions/0005)."""
    log = logging.getLogger("dbos")
    log.setLevel(logging.WARNING)
    log.addFilter(_says_more_than_what_it_runs_on)
    if not log.handlers:  # else it would make one of its own, for the standard error of that moment
        log.addHandler(_AmongOurs())
    log.propagate = False


class _AmongOurs(logging.Handler):
    """What the library says goes where ours goes."""

    def emit(self, record: logging.LogRecord) -> None:
        _log.handle(record)


def _says_more_than_what_it_runs_on(record: logging.LogRecord) -> bool:
    return "SQLite system database is for development" not in record.getMessage()


def _is_sound(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(path)) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.DatabaseError as error:
        if not str(getattr(error, "sqlite_errorname", "")).startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
            raise
        return False


def _refuse_old_sqlite() -> None:
    if sys.version_info >= (3, 12) and sqlite3.sqlite_version_info < (3, 42):
        raise Refusal(
            "sqlite_too_old",
            found=f"SQLite {sqlite3.sqlite_version} with Python {sys.version_info.major}.{sys.version_info.minor}",
            expected="SQLite 3.42 or newer with Python 3.12 and newer",
            hint="use Python 3.11, or a Python that was built with a newer SQLite",
        )
