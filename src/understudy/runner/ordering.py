"""Which step comes next, which is left out, and how a run ended. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from understudy.plan.plan import When
from understudy.records.run import RunState, StepConclusion, StepState
from understudy.runner.plan_json import StepOutline
from understudy.vocabulary.identifiers import StepKey

CANCELLED = "cancelled"
PREDECESSOR_FAILED = "predecessor_failed"


def ready_steps(
    outlines: Sequence[StepOutline], ended: Collection[StepKey], begun: Collection[StepKey]
) -> tuple[StepOutline, ...]:
    """Those whose predecessors have all ended, in the plan's order."""
    there = frozenset(ended)
    waiting = (each for each in outlines if each.key not in there and each.key not in begun)
    return tuple(each for each in waiting if each.after | each.once_ended <= there)


def obstacle(outline: StepOutline, passed: Mapping[StepKey, bool]) -> StepKey | None:
    """The predecessor whose failure keeps this step from running, or None when it may run."""
    if outline.when is When.ALWAYS:
        return None
    return next((key for key in sorted(outline.after) if not passed[key]), None)


def has_passed(conclusion: StepConclusion) -> bool:
    """Done, or skipped because there was nothing to do; not left out by the runner."""
    return conclusion.error is None and conclusion.state in (StepState.SUCCEEDED, StepState.SKIPPED)


def final_state(conclusions: Iterable[StepConclusion]) -> RunState:
    """A failure outweighs a person's wish to stop: it needs attention either way."""
    every = list(conclusions)
    if any(each.state is StepState.FAILED for each in every):
        return RunState.FAILED
    if any(each.error is not None and each.error.code == CANCELLED for each in every):
        return RunState.CANCELLED
    return RunState.SUCCEEDED
