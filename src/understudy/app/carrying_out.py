"""From a plan to a finished run, in this process or in the control plane that runs already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from understudy.app.filing import file_or_warn
from understudy.app.installation import Installation
from understudy.app.old_server import Looking, ask_anew, unseen
from understudy.app.requests import PlanRequest, go_on
from understudy.app.run_secrets import require_secrets
from understudy.app.run_view import RunView, view_of
from understudy.app.runners import runner_of
from understudy.plan.plan import Plan
from understudy.plan.request import Request, request_to_json
from understudy.records.agreeing import QUESTION_CHANGED
from understudy.records.controller_lock import controller_pid
from understudy.records.records import Records, require_unended
from understudy.records.run import RunState, StepRecord, StepState
from understudy.runner.runner import Runner
from understudy.runner.submission import hand_over
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.identifiers import Person, RunId, StepKey

_LOOK_SECONDS = 0.1
SERVING_FILE = "serving"


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asked for, and what plans the runs that follow the first."""

    request: Request
    plan: PlanRequest


@dataclass(frozen=True, slots=True)
class Declined:
    """The answer of a person who does not agree: the run is cancelled in their name."""

    by: Person


class Watcher(Protocol):
    """The door that waits for a run: shows how it goes, and asks the person in front of it."""

    def show(self, view: RunView) -> None: ...

    def ask(self, step: StepRecord) -> Person | Declined | None:
        """Who agrees to what the step asks, or does not; None leaves it waiting for somebody else."""
        ...


def carry_out(
    installation: Installation,
    plan: Plan,
    watcher: Watcher,
    approved_by: Person | None = None,
    asked: Asked | None = None,
) -> RunView:
    """Carry out the plan, and what has to follow it, and wait for the end. The view of the last run; ``follows`` leads back.

    While ``serve`` holds the state directory the plan is handed over to it; otherwise this process carries it out.

    Args:
        asked: The request whose first plan this is; without one nothing follows.

    Raises:
        Refusal: ``busy`` (another run holds what this one needs), ``controller_busy`` (another command is at work),
            ``stack_file_changed`` (``serve`` goes by an earlier version of the stack file).
        GiveUp: ``controller_gone``: ``serve`` ended meanwhile.
    """
    request = None if asked is None else request_to_json(asked.request)
    if (serving := _announced_by_serve(installation.state)) is not None:
        _require_same_stack(installation, serving)
        run = hand_over(installation.records, installation.clock, plan, approved_by, request)
        return _follow_elsewhere(installation, run, watcher)
    with runner_of(installation) as runner:
        run = runner.submit(plan, approved_by, request)
        return _follow_request(installation, run, None if asked is None else asked.plan, watcher, runner)


def resume(
    installation: Installation, run: RunId, plan_request: PlanRequest, watcher: Watcher, looking: Looking = unseen
) -> RunView:
    """Go on with an interrupted run, or with the request of a run that has ended and is to be followed by another.

    While ``serve`` holds the state directory it goes on with all of them by itself, and here the run is followed.

    Raises:
        Refusal: ``run_ended``, ``run_unknown``, ``controller_busy`` (another command is at work); what ``ask_anew`` and
            ``require_secrets`` raise.
        GiveUp: ``controller_gone``: ``serve`` ended meanwhile.
    """
    last = _unended(installation, run)
    if serving_pid(installation.state) is not None:
        return _follow_elsewhere(installation, last, watcher)
    with runner_of(installation) as runner:
        last = _unended(installation, run)  # another process may have come between
        if not installation.records.run(last).state.is_final:
            require_secrets(installation, last)
            ask_anew(installation, last, looking)
            runner.resume(last)
        return _follow_request(installation, last, plan_request, watcher, runner)


def is_to_be_followed(records: Records, run: RunId) -> bool:
    """Whether the run has ended, and its request may still go on with another one."""
    request = records.requests.of(run)
    return request is not None and request.ended is None and request.runs[-1] == run and records.run(run).state.is_final


def _unended(installation: Installation, run: RunId) -> RunId:
    """The run, or the last one of its request: under way, or to be followed by another.

    Raises:
        Refusal: ``run_ended``, ``run_unknown``.
    """
    request = installation.records.requests.of(run)
    if request is not None and request.ended is None:
        return request.runs[-1]
    require_unended(installation.records.run(run))
    return run


def _follow_request(
    installation: Installation, run: RunId, plan_request: PlanRequest | None, watcher: Watcher, runner: Runner
) -> RunView:
    """This process carries the run out, and those that follow it."""
    while True:
        view = _follow(installation, run, watcher, runner.approve, runner)
        request = installation.records.requests.of(run)
        following = None
        if plan_request is not None and request is not None and request.ended is None:
            following = go_on(installation, request, plan_request, runner.submit)
        if following is None:
            return view
        run = following


def _follow_elsewhere(installation: Installation, run: RunId, watcher: Watcher) -> RunView:
    """The control plane carries the run out, and those that follow it."""
    while True:
        view = _follow(installation, run, watcher, installation.records.approve)
        while (request := installation.records.requests.of(run)) is not None and request.runs[-1] == run:
            if request.ended is not None:
                return view
            watcher.show(replace(view, put_off=request.error))
            _require_controller(installation, view)
            installation.clock.wait(_LOOK_SECONDS)
        if request is None:
            return view
        run = request.runs[request.runs.index(run) + 1]


class _Approve(Protocol):
    def __call__(self, run: RunId, step: StepKey, by: Person, question: str) -> None: ...


def _follow(installation: Installation, run: RunId, watcher: Watcher, approve: _Approve, runner: Runner | None = None) -> RunView:
    """Show the run until it has ended, and pass on what the person at the door answers to each question."""
    asked: set[tuple[StepKey, str]] = set()
    while True:
        view = view_of(installation, run)
        watcher.show(view)
        if view.run.state.is_final:
            if runner is not None:  # otherwise serve does
                file_or_warn(installation)
            return view
        for step, question in _questions(view):
            if (step.key, question) not in asked:
                asked.add((step.key, question))
                answer = watcher.ask(step)
                if isinstance(answer, Declined):
                    (runner.cancel if runner is not None else installation.records.request_cancel)(run, answer.by)
                elif answer is not None:
                    _approve_unless_reworded(approve, step, answer, question)
        if runner is not None:
            runner.wait(run, _LOOK_SECONDS)
        else:
            _require_controller(installation, view)
            installation.clock.wait(_LOOK_SECONDS)


def _questions(view: RunView) -> Iterator[tuple[StepRecord, str]]:
    """What the run asks now; nothing once somebody asked for its end."""
    for step in view.steps:
        asks = step.state is StepState.AWAITING_APPROVAL and view.run.cancel_requested_by is None
        if asks and step.approval_question is not None:
            yield step, step.approval_question


def _approve_unless_reworded(approve: _Approve, step: StepRecord, by: Person, question: str) -> None:
    """What was asked meanwhile in other words is asked anew by who follows the run: nobody has agreed to that."""
    try:
        approve(step.run, step.key, by, question)
    except Refusal as error:
        if error.code != QUESTION_CHANGED:
            raise


def _require_controller(installation: Installation, view: RunView) -> None:
    if serving_pid(installation.state) is None:
        again = f"start it again (it resumes the run), or: understudy resume {view.run.run}"
        raise _controller_gone(f"understudy serve ended while it carried out {view.run.run}", again)


def _controller_gone(found: str, hint: str) -> GiveUp:
    return GiveUp("controller_gone", found=found, expected="a running control plane", hint=hint)


@dataclass(frozen=True, slots=True)
class Serving:
    """What ``serve`` announces of itself in the state directory that it holds."""

    pid: int
    stack_digest: str
    """Of the stack file that it goes by; empty where an earlier version of Understudy serves, which does not say."""

    def __str__(self) -> str:
        return f"{self.pid} {self.stack_digest}\n"


def _announced_by_serve(state: Path) -> Serving | None:
    """None where no ``serve`` holds this state directory."""
    holder = controller_pid(state)
    try:
        pid, _, digest = (state / SERVING_FILE).read_text().strip().partition(" ")
        announced = Serving(int(pid), digest)
    except (FileNotFoundError, ValueError):
        return None
    return announced if holder == announced.pid else None


def serving_pid(state: Path) -> int | None:
    """The process of ``serve``, if it holds this state directory."""
    serving = _announced_by_serve(state)
    return None if serving is None else serving.pid


def _require_same_stack(installation: Installation, serving: Serving) -> None:
    """``serve`` would carry the plan out by its own stack file: with the addresses that stood there before, or not at all.

    Raises:
        Refusal: ``stack_file_changed``.
    """
    if serving.stack_digest not in ("", installation.digest):
        raise Refusal(
            "stack_file_changed",
            found=f"understudy serve (process {serving.pid}) goes by another version of the stack file: SHA-256 "
            f"{serving.stack_digest[:12]}…, and here it is {installation.digest[:12]}…",
            expected="one version of the stack file for this command and for serve, which would carry it out",
            hint="restart understudy serve, which reads the file only when it starts; then give this command again",
        )


def approve_waiting(installation: Installation, run: RunId, by: Person) -> Mapping[StepKey, str]:
    """Agree to every question that the run asks now; by step, which those were. Needs no key.

    Raises:
        Refusal: ``nothing_to_approve``, ``run_ended``, ``run_unknown``; ``question_changed``: between looking and agreeing.
    """
    installation = installation.reading(installation.past)
    view = view_of(installation, run)
    require_unended(view.run)
    waiting = {step.key: question for step, question in _questions(view)}
    if not waiting:
        raise Refusal(
            "nothing_to_approve",
            found=f"{run} ({view.run.state}) asks nobody now",
            expected="a run that waits for a person",
            hint=f"what it does and asks: understudy show {run}",
        )
    for step, question in waiting.items():
        installation.records.approve(run, step, by, question)
    return waiting


def cancel(installation: Installation, run: RunId, by: Person, watcher: Watcher) -> RunView:
    """Ask for the run's end, and wait for it. An interrupted run is taken up here, for its clean-up.

    After a run that has ended, nothing follows any more.

    Raises:
        Refusal: ``run_ended``, ``run_unknown``; ``controller_busy``: another command is at work, and not on this run.
        GiveUp: ``controller_gone``: who carried it out ended meanwhile.
    """
    if controller_pid(installation.state) is None:
        with runner_of(installation) as runner:
            runner.cancel(run, by)
            return _follow(installation, run, watcher, runner.approve, runner)
    installation.records.request_cancel(run, by)
    while True:
        view = view_of(installation, run)
        watcher.show(view)
        if view.run.state.is_final:
            return view
        if controller_pid(installation.state) is None:
            again = f"understudy cancel {run}, again: it is taken up here, for its clean-up"
            raise _controller_gone(f"the process that carried out {run} ended before the run did", again)
        _require_taken_up(installation, view)
        installation.clock.wait(_LOOK_SECONDS)


def _require_taken_up(installation: Installation, view: RunView) -> None:
    """``serve`` goes on with every interrupted run, a command with its own alone: then nobody would end this one.

    Raises:
        Refusal: ``controller_busy``.
    """
    holder = controller_pid(installation.state)
    if view.run.state is not RunState.INTERRUPTED or holder is None or serving_pid(installation.state) is not None:
        return
    run = view.run.run
    raise Refusal(
        "controller_busy",
        found=f"{run} is interrupted, and process {holder}, which is at work in {installation.state}, has not taken it up",
        expected="nobody else at work there, so that the run can be taken up for its clean-up",
        hint=f"that it is to end is noted, and who takes it up ends it: once process {holder} is done, understudy cancel {run}",
    )
