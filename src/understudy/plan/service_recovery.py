"""The steps by which a service is stopped, started and checked. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from understudy.plan.plan import Approval, Hold, HoldKind, Mode, Plan, PlannedStep, Procedure, in_sequence
from understudy.steps.check_operated import CheckOperated
from understudy.steps.start_service import StartService
from understudy.steps.stop_service import StopService
from understudy.vocabulary.identifiers import PlanId, ResourceName


@dataclass(frozen=True, slots=True)
class ActFacts:
    """What the stack file says of a command that acts."""

    run: Sequence[str]
    repeatable: bool


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    start: ActFacts
    stop: ActFacts | None


def plan_service(name: ResourceName, facts: ServiceFacts, plan_id: PlanId, stack_digest: str) -> Plan:
    """For real. The commands are known by their names in the stack file, so that a plan holds none of their environment."""
    steps: list[PlannedStep] = []
    asked = Approval(_question(name, facts))
    if facts.stop is not None:
        steps.append(PlannedStep(StopService(f"{name}/stop", facts.stop.repeatable)))
    steps += [PlannedStep(StartService(f"{name}/start", facts.start.repeatable)), PlannedStep(CheckOperated(f"{name}/check"))]
    steps[0] = PlannedStep(steps[0].step, approval=asked)
    return Plan(
        id=plan_id,
        procedure=Procedure.RECOVERY,
        mode=Mode.FAILOVER,
        subject=name,
        steps=in_sequence(*steps),
        holds=frozenset({Hold(f"service:{name}", HoldKind.EXCLUSIVE)}),
        stack_digest=stack_digest,
    )


def _question(name: ResourceName, facts: ServiceFacts) -> str:
    ended = f"Stop {name} with: {shlex.join(facts.stop.run)}; then start it" if facts.stop else f"Start {name}"
    return f"{ended} with: {shlex.join(facts.start.run)}?"
