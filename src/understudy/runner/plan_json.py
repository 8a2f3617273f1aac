"""The JSON form of a plan: what a run is carried on from, by a later process too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from understudy.plan.plan import Approval, Hold, HoldKind, Mode, Plan, PlannedStep, Procedure, When
from understudy.ports.step import Step
from understudy.steps.codec import step_from_json, step_to_json
from understudy.vocabulary.identifiers import PlanId, StepKey
from understudy.vocabulary.json import JsonObject

StepLoader = Callable[[JsonObject], Step]


@dataclass(frozen=True, slots=True)
class StepOutline:
    """A planned step, its own fields unread: enough to say when it runs, also when its kind is unknown here."""

    key: StepKey
    step: JsonObject
    after: frozenset[StepKey]
    when: When
    approval: Approval | None
    once_ended: frozenset[StepKey] = frozenset()


def plan_to_json(plan: Plan) -> JsonObject:
    return {
        "id": plan.id,
        "procedure": plan.procedure.value,
        "mode": plan.mode.value,
        "subject": plan.subject,
        "stack_digest": plan.stack_digest,
        "holds": [{"subject": hold.subject, "kind": hold.kind.value} for hold in sorted(plan.holds)],
        "steps": [
            {
                "key": planned.step.key,
                "step": step_to_json(planned.step),
                "after": sorted(planned.after),
                "when": planned.when.value,
                "approval": None if planned.approval is None else planned.approval.question,
                "once_ended": sorted(planned.once_ended),
            }
            for planned in plan.steps
        ],
    }


def plan_from_json(value: JsonObject, load_step: StepLoader = step_from_json) -> Plan:
    """Rebuild a plan.

    Raises:
        ValueError: a newer version planned it (a kind of step, of hold or of mode that this one does not know).
    """
    return Plan(
        id=PlanId(str(value["id"])),
        procedure=Procedure(str(value["procedure"])),
        mode=Mode(str(value["mode"])),
        subject=str(value["subject"]),
        steps=tuple(
            PlannedStep(load_step(each.step), each.after, each.when, each.approval, each.once_ended)
            for each in plan_outline(value)
        ),
        holds=frozenset(
            Hold(str(each["subject"]), HoldKind(str(each["kind"]))) for each in cast("Sequence[JsonObject]", value["holds"])
        ),
        stack_digest=str(value["stack_digest"]),
    )


def plan_outline(value: JsonObject) -> tuple[StepOutline, ...]:
    """The steps of a plan's JSON form, in its order. Raises ValueError as ``plan_from_json`` does, but for the steps' kinds."""
    return tuple(_outline_of(each) for each in cast("Sequence[JsonObject]", value["steps"]))


def _outline_of(value: JsonObject) -> StepOutline:
    question = value["approval"]
    return StepOutline(
        key=StepKey(str(value["key"])),
        step=cast(JsonObject, value["step"]),
        after=frozenset(StepKey(str(each)) for each in cast("Sequence[str]", value["after"])),
        when=When(str(value["when"])),
        approval=None if question is None else Approval(str(question)),
        once_ended=frozenset(StepKey(str(each)) for each in cast("Sequence[str]", value.get("once_ended", ()))),
    )
