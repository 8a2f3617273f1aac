"""A run as it is looked at: itself, its steps, and the runs of the same request before it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from understudy.app.installation import Installation
from understudy.records.run import RecordedError, RunRecord, RunState, StepRecord
from understudy.vocabulary.identifiers import RunId


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
