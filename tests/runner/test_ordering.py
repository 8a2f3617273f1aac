"""Which step comes next: decided from the plan and from what has ended, nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.records.cast import NOON, succeeded
from understudy.plan.plan import When
from understudy.records.run import RecordedError, RunState, StepConclusion, StepState
from understudy.runner.ordering import CANCELLED, final_state, has_passed, obstacle, ready_steps
from understudy.runner.plan_json import StepOutline
from understudy.vocabulary.evidence import Evidence, Outcome
from understudy.vocabulary.identifiers import StepKey


@st.composite
def outlines(draw: st.DrawFn) -> tuple[StepOutline, ...]:
    made: list[StepOutline] = []
    for number in range(draw(st.integers(0, 7))):
        after = frozenset(draw(st.sets(st.sampled_from([each.key for each in made])))) if made else frozenset[StepKey]()
        made.append(StepOutline(StepKey(f"s{number}"), {}, after, draw(st.sampled_from(When)), None))
    return tuple(made)


def ended(state: StepState, code: str | None = None) -> StepConclusion:
    outcome = Outcome.SKIPPED if state is StepState.SKIPPED else Outcome.FAILED
    evidence = Evidence("orders", "it", outcome, NOON, NOON, {})
    return StepConclusion(state, evidence, None if code is None else RecordedError(code, "found"))


@given(outlines(), st.data())
def test_every_step_is_offered_once_and_only_after_what_it_comes_after(
    plan: tuple[StepOutline, ...], data: st.DataObject
) -> None:
    passed: dict[StepKey, bool] = {}
    begun: list[StepKey] = []
    offered: list[StepKey] = []
    while len(passed) < len(plan):
        for outline in ready_steps(plan, passed, begun):
            assert outline.after <= passed.keys()
            offered.append(outline.key)
            if obstacle(outline, passed) is None:
                begun.append(outline.key)
            else:
                passed[outline.key] = False
        if begun:
            key = data.draw(st.sampled_from(begun))
            begun.remove(key)
            passed[key] = data.draw(st.booleans())
    assert sorted(offered) == sorted(each.key for each in plan)


@given(outlines(), st.data())
def test_only_clean_up_runs_after_something_that_did_not_pass(plan: tuple[StepOutline, ...], data: st.DataObject) -> None:
    for outline in plan:
        passed = {key: data.draw(st.booleans()) for key in outline.after}
        may_run = outline.when is When.ALWAYS or all(passed.values())
        assert (obstacle(outline, passed) is None) is may_run


def test_nothing_to_do_counts_as_passed_and_left_out_does_not() -> None:
    assert has_passed(succeeded())
    assert has_passed(ended(StepState.SKIPPED))
    assert not has_passed(ended(StepState.SKIPPED, CANCELLED))
    assert not has_passed(ended(StepState.FAILED, "paper_missing"))


def test_a_failure_outweighs_a_persons_wish_to_stop() -> None:
    cancelled, failed = ended(StepState.CANCELLED, CANCELLED), ended(StepState.FAILED, "x")
    assert final_state([succeeded()]) is RunState.SUCCEEDED
    assert final_state([succeeded(), cancelled]) is RunState.CANCELLED
    assert final_state([cancelled, failed]) is RunState.FAILED
    assert final_state([]) is RunState.SUCCEEDED
