"""The plan itself: frozen, versioned by its JSON form, carried out by the runner and by nobody else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from understudy.ports.step import Step
from understudy.vocabulary.identifiers import PlanId, StepKey


class Procedure(StrEnum):
    BACKUP = "backup"
    EXPIRY = "expiry"
    VERIFICATION = "verification"
    RESTORE = "restore"
    DRILL = "drill"
    RECOVERY = "recovery"
    WARM_COPY = "warm-copy"
    """Seeding one."""


class Mode(StrEnum):
    """A drill differs from the real thing in mode and targets only."""

    ROUTINE = "routine"
    DRILL = "drill"
    FAILOVER = "failover"


class When(StrEnum):
    SUCCESS = "success"
    """Only when everything it comes after is done or skipped."""
    ALWAYS = "always"
    """Also when something it comes after failed, or the run was cancelled: clean-up."""


@dataclass(frozen=True, slots=True)
class Approval:
    """What a person must agree to before the step runs, in a sentence that names what will be lost."""

    question: str


class HoldKind(StrEnum):
    EXCLUSIVE = "exclusive"
    SHARED = "shared"


@dataclass(frozen=True, slots=True, order=True)
class Hold:
    """A claim on a subject (``target:/srv/pg``, ``backup-lane:orders``, ``backup-chain:orders/20261123-030000F``).

    Taken in the transaction that submits the run, released when it ends. Exclusive excludes everyone, shared excludes exclusive.
    """

    subject: str
    kind: HoldKind


@dataclass(frozen=True, slots=True)
class PlannedStep:
    step: Step
    after: frozenset[StepKey] = frozenset()
    """What must have passed before it runs; a step of clean-up only waits for it."""
    when: When = When.SUCCESS
    approval: Approval | None = None
    once_ended: frozenset[StepKey] = frozenset()
    """What it waits for, however that ends: what is less urgent goes on although something more urgent failed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What will happen, completely: the same plan with other targets is the drill of the same disaster."""

    id: PlanId
    procedure: Procedure
    mode: Mode
    subject: str
    """The resource, or the scenario."""
    steps: tuple[PlannedStep, ...]
    holds: frozenset[Hold]
    stack_digest: str
    """SHA-256 of the stack file that this plan was made from."""

    def __post_init__(self) -> None:
        seen: set[StepKey] = set()
        for planned in self.steps:
            if planned.step.key in seen:
                raise ValueError(f"two steps are called {planned.step.key}")
            unknown = (planned.after | planned.once_ended) - seen
            if unknown:
                raise ValueError(f"{planned.step.key} comes after {sorted(unknown)}, which the plan does not name before it")
            seen.add(planned.step.key)


def in_sequence(*planned: PlannedStep) -> tuple[PlannedStep, ...]:
    """The steps one after another: each comes after all that stand before it."""
    chained: list[PlannedStep] = []
    for each in planned:
        before = frozenset(other.step.key for other in chained)
        chained.append(replace(each, after=each.after | before))
    return tuple(chained)
