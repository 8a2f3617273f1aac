"""What a disaster recovery plan is made of: what is declared, what was planned with the code that would run, what was "
"measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from understudy.judge.measured import SERVICE
from understudy.records.run import RecordedError
from understudy.stack.models import Stack
from understudy.vocabulary.identifiers import RunId, StepKey
from understudy.vocabulary.phases import Phase


@dataclass(frozen=True, slots=True)
class LastTime:
    """How long a step took when it succeeded last, in whichever run."""

    run: RunId
    took: timedelta
    ended: datetime


@dataclass(frozen=True, slots=True)
class ProcedureStep:
    key: StepKey
    phase: Phase
    asks: str | None
    """What a person must agree to before it runs."""
    last: LastTime | None


@dataclass(frozen=True, slots=True)
class ScenarioProcedure:
    """What a scenario takes, as it would be planned now."""

    scenario: str
    resources: tuple[str, ...]
    command: str
    rehearsal: str | None
    """The command of its drill; None where there is nothing that could be drilled."""
    steps: tuple[ProcedureStep, ...]
    of_the_drill: bool
    """Whether the steps are those of the drill, because the real recovery cannot be planned now."""
    stands_against: RecordedError | None
    """Why the real recovery would be refused as things stand."""


@dataclass(frozen=True, slots=True)
class ProvenRun:
    """A drill or a recovery that has ended, as its end was signed."""

    run: RunId
    procedure: str
    scenario: str
    resources: tuple[str, ...]
    ended: datetime
    succeeded: bool
    met: bool | None
    """None where nothing was measured."""
    recovery_time: timedelta | None
    objective: timedelta | None
    losses: Mapping[str, timedelta | None]
    """Of each resource whose loss was judged, at most so much work."""
    recovery_times: Mapping[str, timedelta]
    """Of each resource that came back."""
    stack_digest: str
    approved_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlannedResource:
    """A resource, or a service, in its turn."""

    name: str
    kind: str
    turn: int
    """From 1; those of the same turn come back at the same time."""
    priority: str
    depends_on: tuple[str, ...]
    tier: str
    rto: timedelta
    rpo: timedelta
    newest_backup: str | None
    newest_backup_at: datetime | None
    next_backup: datetime | None
    by_hand: bool
    """No recovery brings it back: a person does."""


@dataclass(frozen=True, slots=True)
class RepositoryRead:
    """How much of a repository was read back and compared."""

    repository: str
    size_bytes: int
    never_read_bytes: int
    damaged: int
    oldest_read: datetime | None


@dataclass(frozen=True, slots=True)
class ScheduledDrill:
    """A drill that the stack file declares."""

    name: str
    scenario: str
    resources: tuple[str, ...]
    every: str
    passed: RunId | None
    passed_at: datetime | None
    next: datetime | None
    overdue_since: datetime | None


@dataclass(frozen=True, slots=True)
class ErrorAdvice:
    """An error that this version can end with, and what it then says."""

    code: str
    expected: str
    hint: str


@dataclass(frozen=True, slots=True)
class DisasterPlan:
    stack: Stack
    digest: str
    """SHA-256 of the stack file that this plan was made from."""
    stack_file: str
    state: str
    parts: tuple[PlannedResource, ...]
    """Resources and services, in the order of recovery."""
    procedures: tuple[ScenarioProcedure, ...]
    proven: tuple[ProvenRun, ...]
    """Newest first."""
    read_back: tuple[RepositoryRead, ...]
    calendar: tuple[ScheduledDrill, ...]
    serving: bool
    """Whether ``understudy serve`` ran when this was made."""
    recipients: tuple[str, ...]
    signers: tuple[str, ...]
    advice: tuple[ErrorAdvice, ...]
    met_lately: tuple[RecordedError, ...]
    """What runs that failed ended with, the newest first, each once."""
    made: datetime
    made_by_version: str

    @property
    def resources(self) -> tuple[PlannedResource, ...]:
        """What is kept."""
        return tuple(each for each in self.parts if each.kind != SERVICE)

    def last_of(self, scenario: str, resources: tuple[str, ...] = ()) -> ProvenRun | None:
        """The newest run of the scenario that succeeded; with resources, one about all of them."""
        return next(
            (
                each
                for each in self.proven
                if each.succeeded and each.scenario == scenario and set(resources) <= set(each.resources)
            ),
            None,
        )

    def last_time_of(self, resource: str) -> tuple[ProvenRun, timedelta] | None:
        """The newest run that brought the resource back, and how long that took."""
        return next(((each, each.recovery_times[resource]) for each in self.proven if resource in each.recovery_times), None)
