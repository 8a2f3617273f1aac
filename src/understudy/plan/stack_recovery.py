"""One plan out of those of several resources: a disaster that takes more than one of them, drilled or for real. Pure.

Each resource keeps the steps that it has when it is recovered alone. What is added is the look at what all of them need together,
which asks the one question of the whole, and who waits for whom.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from understudy.judge.run_measurement import VALIDATING
from understudy.plan.plan import Approval, Mode, Plan, PlannedStep, Procedure, When
from understudy.plan.recovery_order import Turn
from understudy.plan.service_recovery import ActFacts
from understudy.steps.check_prerequisites import CheckPrerequisites
from understudy.steps.end_service_drill import EndServiceDrill
from understudy.steps.fence_old_server import FenceOldServer
from understudy.steps.provision_snapshot_target import ProvisionSnapshotTarget, is_directory
from understudy.steps.provision_target import ProvisionTarget
from understudy.steps.rotate_credentials import RotateCredentials
from understudy.steps.start_service import StartService
from understudy.steps.stop_service import StopService
from understudy.vocabulary.disruption import Disruption, disruption_from_json, disruption_to_json
from understudy.vocabulary.errors import Refusal, UnderstudyError
from understudy.vocabulary.identifiers import PlanId, ResourceName, StepKey


@dataclass(frozen=True, slots=True)
class StackWish:
    procedure: Procedure
    mode: Mode
    scenario: str
    plan_id: PlanId
    stack_digest: str
    turns: tuple[Turn, ...]
    disruption: Disruption | None = None
    """Of a real recovery."""
    quarantine_since: datetime | None = None
    """Of a real recovery from an intrusion."""
    rotations: tuple[tuple[str, ActFacts], ...] = ()
    """Likewise: commands that replace what the intruder may know, by name, in their order."""


def plan_stack_recovery(wish: StackWish, plans: Mapping[ResourceName, Plan]) -> Plan:
    """
    Args:
        plans: That of each resource alone.

    Raises:
        Refusal: ``recovered_within_another``: two of them would come up in one place.
    """
    provisions = ((name, each.step) for name, plan in plans.items() for each in plan.steps)
    require_apart([(name, step.place) for name, step in provisions if isinstance(step, ProvisionSnapshotTarget)])
    anchors = {name: _serves(plan) for name, plan in plans.items()}
    needed, perhaps = _bytes_needed(plans.values())
    look = CheckPrerequisites(
        scenario=wish.scenario,
        resources=tuple(turn.resource for turn in wish.turns),
        priorities={turn.resource: turn.priority for turn in wish.turns},
        bytes_needed=needed,
        bytes_perhaps_needed=perhaps,
        disrupted=None if wish.disruption is None else disruption_to_json(wish.disruption),
    )
    steps = [PlannedStep(look, approval=_question(wish, plans)), *_stops(wish.turns, plans, look.key)]
    services = {name for name, plan in plans.items() if _is_service(plan)}
    rotations = tuple(_rotations(wish, [anchors[name] for name in plans if name not in services] or [look.key]))
    clean_up: list[PlannedStep] = []
    for turn in sorted(wish.turns, key=lambda each: each.resource in services) if rotations else wish.turns:
        after = frozenset({look.key, *(anchors[name] for name in turn.after), *_stopped_before(turn, wish.turns, plans)})
        once_ended = frozenset(anchors[name] for name in turn.once_ended)
        if turn.resource in services:
            after |= {each.step.key for each in rotations}
            steps += (each for each in rotations if each not in steps)
        elif rotations:
            # Services wait for the rotations, and these for every resource: so no resource waits for a service.
            once_ended -= {anchors[name] for name in services}
        in_turn = [*_in_turn(plans[turn.resource], after, once_ended)]
        until = _used_until(turn, wish.turns, plans)
        steps += [each for each in in_turn if not (until and each.when is When.ALWAYS)]
        clean_up[:0] = [
            replace(each, once_ended=each.once_ended | until) for each in in_turn if until and each.when is When.ALWAYS
        ]
    steps += (each for each in rotations if each not in steps)
    steps += clean_up
    return Plan(
        id=wish.plan_id,
        procedure=wish.procedure,
        mode=wish.mode,
        subject=wish.scenario,
        steps=tuple(steps),
        holds=frozenset(hold for plan in plans.values() for hold in plan.holds),
        stack_digest=wish.stack_digest,
    )


def _rotations(wish: StackWish, back: Sequence[StepKey]) -> Iterator[PlannedStep]:
    """One after another, once all that keeps anything is back: a command may need any of it."""
    after = frozenset(back)
    for name, act in wish.rotations:
        step = RotateCredentials(f"{name}/{RotateCredentials.VERB}", act.repeatable)
        yield PlannedStep(step, after=after)
        after |= {step.key}


def _is_service(plan: Plan) -> bool:
    return any(isinstance(each.step, StartService) for each in plan.steps)


def _in_turn(plan: Plan, after: frozenset[StepKey], once_ended: frozenset[StepKey]) -> Iterator[PlannedStep]:
    """All steps of the resource wait with its first one, behind which they all come; nobody is asked once more. A service is
    stopped ahead of everything, and waits then.
    """
    stops = frozenset(each.step.key for each in _stops_of(plan))
    for planned in plan.steps:
        if planned.step.key in stops:
            continue
        first = not planned.after - stops
        yield replace(
            planned,
            after=planned.after | after if first else planned.after,
            once_ended=once_ended if first else planned.once_ended,
            approval=None,
        )


def _stops_of(plan: Plan) -> tuple[PlannedStep, ...]:
    return tuple(each for each in plan.steps if isinstance(each.step, StopService))


def _stops(turns: Sequence[Turn], plans: Mapping[ResourceName, Plan], look: StepKey) -> Iterator[PlannedStep]:
    """Each service once everything that depends on it is stopped."""
    for turn in reversed(turns):
        before = {each.step.key for other in turns if turn.resource in other.after for each in _stops_of(plans[other.resource])}
        for planned in _stops_of(plans[turn.resource]):
            yield replace(planned, after=frozenset({look, *before}), approval=None)


def _stopped_before(turn: Turn, turns: Sequence[Turn], plans: Mapping[ResourceName, Plan]) -> frozenset[StepKey]:
    """The services that could write into the resource, or speak with the service, while it is brought back."""
    return frozenset(each.step.key for name in _above(turn, turns) for each in _stops_of(plans[name]))


def _serves(plan: Plan) -> StepKey:
    """The step behind which the resource is back: what follows protects it again, or cleans up."""
    return [each.step.key for each in plan.steps if each.step.PHASE in VALIDATING][-1]


def _question(wish: StackWish, plans: Mapping[ResourceName, Plan]) -> Approval | None:
    asked = [each.approval.question for turn in wish.turns for each in plans[turn.resource].steps if each.approval is not None]
    if not asked:
        return None
    if wish.quarantine_since is not None:
        since = wish.quarantine_since.isoformat()
        first = f"Nothing from {since} on is to be believed: what was stored since is quarantined, and what stands in place, too."
        rotated = [f"Then, in this order: {shlex.join(act.run)} ({name})." for name, act in wish.rotations]
        asked = [first, *asked, *rotated]
    elif len(plans) == 1:
        return Approval(asked[0])
    order = ", ".join(f"{turn.resource} ({turn.priority})" for turn in wish.turns)
    told = [f"{len(plans)} {_what(plans)} come back, in this order: {order}.", *(f"- {each}" for each in asked)]
    return Approval("\n".join([*told, "Do you agree to all of it?"]))


def _used_until(turn: Turn, turns: Sequence[Turn], plans: Mapping[ResourceName, Plan]) -> frozenset[StepKey]:
    """Of a drill: what stands on the resource or the service, and must have been ended before it is removed."""
    return frozenset(
        each.step.key
        for name in _above(turn, turns)
        if name != turn.resource
        for each in plans[name].steps
        if isinstance(each.step, EndServiceDrill)
    )


def _above(turn: Turn, turns: Sequence[Turn]) -> list[ResourceName]:
    """Itself, and all that depends on it, however far away."""
    above = [turn.resource]
    for name in above:
        above += [other.resource for other in turns if name in other.after and other.resource not in above]
    return above


def _what(plans: Mapping[ResourceName, Plan]) -> str:
    services = sum(map(_is_service, plans.values()))
    return "resources" if not services else "services" if services == len(plans) else "resources and services"


def _bytes_needed(plans: Iterable[Plan]) -> tuple[dict[str, int], dict[str, int]]:
    """By directory: what surely goes there, and what does unless files in it are sparse."""
    surely: dict[str, int] = {}
    perhaps: dict[str, int] = {}
    for step in (planned.step for plan in plans for planned in plan.steps):
        if isinstance(step, ProvisionTarget):
            for directory, needed in step.bytes_needed.items():
                surely[directory] = surely.get(directory, 0) + needed
        elif isinstance(step, ProvisionSnapshotTarget) and is_directory(step.place):
            perhaps[step.place] = step.bytes_needed
    return surely, perhaps


def require_apart(places: Sequence[tuple[ResourceName, str]]) -> None:
    """
    Raises:
        Refusal: ``recovered_within_another``.
    """
    for name, place in places:
        for other, theirs in places:
            if name != other and f"{place}/".startswith(f"{theirs}/"):
                raise Refusal(
                    "recovered_within_another",
                    found=f"{name} comes back in {place}, which lies in {theirs}, where {other} does",
                    expected="places apart, so that neither is in the other's way",
                    hint=f"recover them one after another: first --resource {other}, then --resource {name}",
                )


def planned_disruption(plan: Plan, resource: str | None = None) -> Disruption | None:
    """Since when the plan counts what it takes: of one of its databases, or of the whole. None: from its own beginning."""
    for step in (planned.step for planned in plan.steps):
        if isinstance(step, CheckPrerequisites):
            counts = resource is None
        elif isinstance(step, FenceOldServer):
            counts = resource in (None, step.resource)
        else:
            continue
        if counts and step.disrupted is not None:
            return disruption_from_json(step.disrupted)
    return None


def refused_together(refusals: Mapping[ResourceName, UnderstudyError]) -> UnderstudyError:
    """All that stands against it at once: at three in the morning nobody wants to hear of it one by one."""
    if len(refusals) == 1:
        return next(iter(refusals.values()))
    found = "".join(f"\n- {name}: {error.code}: {error.found}" for name, error in refusals.items())
    hints = "".join(f"\n- {name}: {error.hint}" for name, error in refusals.items() if error.hint)
    return Refusal("prerequisites_missing", found=found, expected="that everything that comes back can", hint=hints)
