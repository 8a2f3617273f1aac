"""Drills that were held, as far as the calendar asks: of what, and whether they passed. From the records alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from understudy.app.installation import Installation
from understudy.app.run_view import is_of_the_whole
from understudy.app.stack_recoveries import drilled_resources
from understudy.plan.plan import Procedure
from understudy.plan.request import BackupRequest, Choice, RecoveryRequest, StackRequest, request_from_json
from understudy.plan.schedule import is_of_a_clock_ahead
from understudy.records.run import RequestRecord, RunRecord, RunState
from understudy.stack.standard_calendar import DeclaredDrill
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import Person, RunId
from understudy.vocabulary.recovery_target import TargetKind

CALENDAR = Person("the calendar of drills")
"""In whose name a drill is ended that takes too long."""


class DrillResult(StrEnum):
    PASSED = "passed"
    """It succeeded, its clean-up included, and every objective is known to be met."""
    OBJECTIVE_NOT_MET = "objective_not_met"
    """It succeeded, and an objective was missed, or is not known to be met."""
    FAILED = "failed"
    TOOK_TOO_LONG = "took_too_long"
    """Ended by the calendar, and cleaned up."""
    CANCELLED = "cancelled"
    UNDER_WAY = "under_way"


@dataclass(frozen=True, slots=True)
class DrillHeld:
    """A request for a drill, with all the runs that it led to."""

    run: RunId
    """The last of them; its evidence bears this name."""
    began: datetime
    """When the first was submitted."""
    ended: datetime | None
    result: DrillResult
    scenario: str
    resources: frozenset[str]
    choice: Choice | None
    """None: what was asked cannot be read any more."""
    digest: str | None
    """Of the link of the chain that holds how it ended."""

    @property
    def passed(self) -> bool:
        return self.result is DrillResult.PASSED

    def fits(self, declared: DeclaredDrill, resources: Sequence[str]) -> bool:
        """Whether it is what the calendar asks for, whoever held it: the newest state of no less, opened with the same key.

        Args:
            resources: What the drill is about; empty: whatever.
        """
        choice = self.choice
        return (
            choice is not None
            and self.scenario == declared.scenario.value
            and self.resources.issuperset(resources)
            and choice.target.kind is TargetKind.LATEST
            and choice.label is None
            and choice.only is None
            and declared.repository in (None, choice.repository)
            and declared.opened_with in (None, choice.opened_with)
        )


@dataclass(slots=True)
class DrillHistory:
    """Remembers what has ended, for who asks again and again."""

    installation: Installation
    _ended: dict[RunId, DrillHeld | None] = field(default_factory=dict)

    def fitting(self, declared: DeclaredDrill, resources: Sequence[str]) -> tuple[DrillHeld, ...]:
        """Newest first, back to the newest that passed: what was before says nothing more of how the drill stands."""
        now, found = self.installation.clock.now(), []
        for each in self.held(declared.scenario.value):
            if each.fits(declared, resources):
                found.append(each)
                if each.passed and not is_of_a_clock_ahead(each.began, now):
                    break
        return tuple(found)

    def held(self, scenario: str) -> Iterator[DrillHeld]:
        """Newest first."""
        for run in self.installation.records.history.of((Procedure.DRILL,), subject=scenario):
            if run not in self._ended:
                found = self._of(run)
                if found is not None and found.result is DrillResult.UNDER_WAY:
                    yield found
                    continue
                self._ended[run] = found
            known = self._ended[run]
            if known is not None:
                yield known

    def _of(self, run: RunId) -> DrillHeld | None:
        """None for a run that another one follows: the last of a request stands for all of it."""
        records = self.installation.records
        request = records.requests.of(run)
        if request is not None and request.runs[-1] != run:
            return None
        record = records.run(run)
        runs = (run,) if request is None else request.runs
        steps = [step.key for each in runs for step in records.steps(each)]
        end = records.history.end_of(run)
        return DrillHeld(
            run=run,
            began=record.submitted if request is None else request.submitted,
            ended=record.ended,
            result=_result(record, request, met=end is not None and end[0].get("met") is True),
            scenario=record.subject,
            resources=frozenset(key.partition("/")[0] for key in steps if not is_of_the_whole(key)),
            choice=_choice(request),
            digest=None if end is None else end[1],
        )


def _result(record: RunRecord, request: RequestRecord | None, *, met: bool) -> DrillResult:
    if not record.state.is_final or (request is not None and request.ended is None):
        return DrillResult.UNDER_WAY
    if record.cancel_requested_by == CALENDAR:
        return DrillResult.TOOK_TOO_LONG
    if record.state is RunState.SUCCEEDED:
        return DrillResult.PASSED if met else DrillResult.OBJECTIVE_NOT_MET
    return DrillResult.CANCELLED if record.state is RunState.CANCELLED else DrillResult.FAILED


def _choice(request: RequestRecord | None) -> Choice | None:
    if request is None:
        return None
    try:
        asked = request_from_json(request.asked)
    except (ValueError, KeyError, TypeError):
        return None
    match asked:
        case BackupRequest():
            return None
        case RecoveryRequest():
            return asked.choice
        case StackRequest():
            return asked.parts[0].choice


def about(installation: Installation, declared: DeclaredDrill) -> tuple[str, ...]:
    """What the drill is about; empty where the stack file leaves a choice, which ``check`` tells."""
    try:
        return drilled_resources(installation, declared.scenario, declared.resources)
    except Refusal:
        return declared.resources
