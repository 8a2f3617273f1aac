"""The remembered shapes of a run. Plain values: this room knows no ``Plan``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from understudy.vocabulary.errors import Refusal, UnderstudyError
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import Person, PlanId, RunId, StepKey
from understudy.vocabulary.json import JsonObject


class RunState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    AWAITING_APPROVAL = "awaiting_approval"
    INTERRUPTED = "interrupted"
    """Its process died; it goes on when it is resumed."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED)


class StepState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    AWAITING_APPROVAL = "awaiting_approval"
    SUCCEEDED = "succeeded"
    SKIPPED = "skipped"
    FAILED = "failed"
    CANCELLED = "cancelled"
    """Where it had begun, it was stopped midway; whether its effect took place is for a person to see."""

    @property
    def is_final(self) -> bool:
        return self not in (StepState.WAITING, StepState.RUNNING, StepState.AWAITING_APPROVAL)


@dataclass(frozen=True, slots=True)
class HoldClaim:
    """A claim on a subject; ``exclusive`` excludes everyone, shared excludes exclusive."""

    subject: str
    exclusive: bool


@dataclass(frozen=True, slots=True)
class SubmittedStep:
    key: StepKey
    approval_question: str | None = None
    """What a person must agree to before it runs; None when nobody is asked."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A run as it is submitted, with everything that a later process needs to carry it on."""

    run: RunId
    plan_id: PlanId
    plan: JsonObject
    procedure: str
    mode: str
    subject: str
    stack_digest: str
    steps: Sequence[SubmittedStep]
    holds: frozenset[HoldClaim]
    executor: str | None
    """The runner that carries it out; None when it is handed over to whoever holds the state directory."""
    approved_by: Person | None = None
    """A person who agreed beforehand to everything that the plan asks."""
    asked: JsonObject | None = None
    """The request that the run belongs to, as it stands with this run; None for a run that stands alone."""
    follows: RunId | None = None
    """The run of the same request that ended before; None for its first."""


@dataclass(frozen=True, slots=True)
class RecordedError:
    """Why a step, or the run itself, did not succeed, as the error tree puts it."""

    code: str
    found: str
    expected: str = ""
    hint: str = ""
    refused: bool = False
    """Whoever says so has touched nothing."""

    @classmethod
    def of(cls, error: UnderstudyError) -> RecordedError:
        return cls(error.code, error.found, error.expected, error.hint, isinstance(error, Refusal))


@dataclass(frozen=True, slots=True)
class RunRecord:
    run: RunId
    plan_id: PlanId
    procedure: str
    mode: str
    subject: str
    stack_digest: str
    state: RunState
    executor: str | None
    submitted: datetime
    started: datetime | None
    ended: datetime | None
    cancel_requested_by: Person | None
    error: RecordedError | None
    """Only where the run itself could not be carried out; what befell a step stands with the step."""
    request: RunId | None = None
    """The request that it belongs to, named by its first run; None for a run that stands alone."""
    follows: RunId | None = None
    """The run before it in that request."""


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """What somebody asked for, and the runs that it led to. It is open until nothing can come after its last run."""

    request: RunId
    """Its first run, whose name it bears."""
    asked: JsonObject
    """As it stands with the last run."""
    runs: tuple[RunId, ...]
    """In their order; there is at least one."""
    submitted: datetime
    ended: datetime | None
    error: RecordedError | None
    """Why no further run could be planned, where one was called for; while it is open, why not yet."""


@dataclass(frozen=True, slots=True)
class ProgressRecord:
    activity: str
    done: int
    total: int | None
    unit: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Observation:
    """Something seen last at ``at``."""

    value: JsonObject
    at: datetime


@dataclass(frozen=True, slots=True)
class ApprovalRecord:
    by: Person
    at: datetime


@dataclass(frozen=True, slots=True)
class StepRecord:
    run: RunId
    key: StepKey
    state: StepState
    attempts: int
    started: datetime | None
    ended: datetime | None
    again_at: datetime | None
    """When a passing fault is tried again."""
    evidence: Evidence | None
    error: RecordedError | None
    """How it ended, where that is not well; until then the passing fault that it waits for."""
    approval_question: str | None
    approval: ApprovalRecord | None
    progress: ProgressRecord | None
    held_up_since: datetime | None = None
    """When the first of the passing faults was met that have kept it since; None where none does."""

    @property
    def held_up_by(self) -> RecordedError | None:
        """Why it does not go on just now. It is tried again at ``again_at``; without one, this very moment."""
        return None if self.state.is_final else self.error


@dataclass(frozen=True, slots=True)
class StepConclusion:
    """How a step ended: recorded once for each (run, step), in the transaction that chains its evidence."""

    state: StepState
    evidence: Evidence
    error: RecordedError | None = None

    def __post_init__(self) -> None:
        if not self.state.is_final:
            raise ValueError(f"a step does not end as {self.state}")
