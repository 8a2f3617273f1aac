"""A run as it is looked at: itself, its steps, and the runs of the same request before it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from understudy.app.installation import Installation
from understudy.records.run import RecordedError, RunRecord, RunState, StepRecord
from understudy.steps.check_prerequisites import CheckPrerequisites
from understudy.steps.rotate_credentials import RotateCredentials
from understudy.vocabulary.identifiers import RunId, StepKey


@dataclass(frozen=True, slots=True)
class RunView:
    """A run and its steps, in the order of the plan."""

    run: RunRecord
    steps: tuple[StepRecord, ...]
    seen: datetime
    """When it was looked at."""
    follows: RunView | None = None
    """The run before it of the same request, which called for another one."""
    put_off: RecordedError | None = None
    """Why the run that has to follow cannot begin yet."""

    @property
    def began(self) -> datetime:
        """When the request's first run was submitted: what a recovery took counts from there."""
        return self.follows.began if self.follows is not None else self.run.submitted

    @property
    def touched_nothing(self) -> bool:
        """It was refused by its first step, or ended before that: nobody agreed to it, or somebody cancelled it."""
        first = self.steps[0]
        refused = first.error is not None and first.error.refused
        ended_unbegun = self.run.state is RunState.CANCELLED and first.attempts == 0
        return self.follows is None and (ended_unbegun or (self.run.state is RunState.FAILED and refused))

    @property
    def succeeded(self) -> bool:
        return self.run.state is RunState.SUCCEEDED

    def failure(self, *codes: str) -> RecordedError | None:
        """The first step's error with one of these codes."""
        return next((step.error for step in self.steps if step.error is not None and step.error.code in codes), None)


def view_of(installation: Installation, run: RunId) -> RunView:
    record = installation.records.run(run)
    follows = None if record.follows is None else view_of(installation, record.follows)
    return RunView(record, installation.records.steps(run), installation.clock.now(), follows)


def views_by_resource(view: RunView) -> dict[str, RunView]:
    """Of each resource that the request is about its steps alone, in the newest run that had any; the run's state is its own."""
    found: dict[str, RunView] = {}
    at: RunView | None = view
    while at is not None:
        own: dict[str, list[StepRecord]] = {}
        for step in at.steps:
            if not is_of_the_whole(step.key):
                own.setdefault(step.key.partition("/")[0], []).append(step)
        for name, steps in own.items():
            found.setdefault(name, replace(at, run=replace(at.run, state=_state_of(at.run.state, steps)), steps=tuple(steps)))
        at = at.follows
    return found


def is_of_the_whole(step: StepKey) -> bool:
    """Not of one resource but of all that are recovered together."""
    return step.partition("/")[2] in (CheckPrerequisites.VERB, RotateCredentials.VERB)


def _state_of(run: RunState, steps: list[StepRecord]) -> RunState:
    return RunState.SUCCEEDED if run is RunState.FAILED and all(step.error is None for step in steps) else run
