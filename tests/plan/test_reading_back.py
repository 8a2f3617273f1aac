"""Which units are read next: nothing starves, the budget is kept, and a full cycle comes round."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from understudy.plan.plan import Procedure
from understudy.plan.reading_back import (
    ReadingFacts,
    StoredFacts,
    UnitFacts,
    as_ranges,
    choose,
    in_turn,
    plan_reading_back,
    runs_needed,
)
from understudy.steps.read_back import ReadBack
from understudy.vocabulary.identifiers import PlanId, RepositoryName, ResourceName

START = datetime(2026, 11, 27, 4, tzinfo=UTC)
RESOURCE = ResourceName("orders")

moments = st.none() | st.integers(0, 50).map(lambda days: START - timedelta(days=days))
sizes = st.integers(0, 100)
budgets = st.integers(1, 150)
stored = st.lists(st.tuples(sizes, moments), max_size=30).map(
    lambda found: [UnitFacts(RESOURCE, f"unit-{number:03}", size, read) for number, (size, read) in enumerate(found)]
)


def read_at(units, chosen, moment):
    names = {each.unit for each in chosen}
    return [UnitFacts(RESOURCE, each.unit, each.size_bytes, moment) if each.unit in names else each for each in units]


@given(stored, budgets)
def test_the_budget_is_kept_but_for_one_object_that_is_larger(units, budget):
    chosen = choose(units, budget)
    assert sum(each.size_bytes for each in chosen) <= budget or len(chosen) == 1
    assert bool(chosen) == bool(units)


@given(stored, budgets)
def test_what_was_never_read_goes_first_and_then_what_was_not_read_for_longest(units, budget):
    chosen = choose(units, budget)
    left = [each for each in units if each not in chosen]
    for each in chosen:
        for other in left:
            assert each.read is None or (other.read is not None and each.read <= other.read)


@given(stored, budgets)
def test_a_full_cycle_comes_round_in_the_runs_that_are_foretold_and_no_object_twice_before(units, budget):
    needed = runs_needed((each.size_bytes for each in in_turn(units)), budget)
    seen = []
    for run in range(needed):
        chosen = choose(units, budget)
        seen += [each.unit for each in chosen]
        units = read_at(units, chosen, START + timedelta(days=run + 1))
    assert len(set(seen[: len(units)])) == len(units), "none is read again before all were"
    total = sum(each.size_bytes for each in units)
    assert needed <= 2 * total // budget + 1, "any two runs in a row read more than the budget of one"


@given(stored.filter(bool), budgets, st.lists(st.tuples(sizes, st.integers(1, 3)), max_size=20))
def test_what_is_stored_meanwhile_keeps_nothing_waiting_for_ever(units, budget, arriving):
    """What arrives goes first, as it was never read; once no more arrives than is read, everything has had its turn."""
    waiting = {each.unit for each in units}
    for run, (size, count) in enumerate(arriving):
        units = units + [UnitFacts(RESOURCE, f"new-{run}-{number}", size, None) for number in range(count)]
        chosen = choose(units, budget)
        waiting -= {each.unit for each in chosen}
        units = read_at(units, chosen, START + timedelta(days=run + 1))
    for run in range(runs_needed((each.size_bytes for each in in_turn(units)), budget)):
        chosen = choose(units, budget)
        waiting -= {each.unit for each in chosen}
        units = read_at(units, chosen, START + timedelta(days=len(arriving) + run + 1))
    assert waiting == set()


@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)))
def test_ranges_mean_what_was_chosen_and_nothing_else_that_is_stored(there, meant):
    names = {f"1/wal/{number:024X}" for number in there}
    chosen = frozenset(f"1/wal/{number:024X}" for number in there & meant)
    step = ReadBack("orders", "postgres", "near", as_ranges(names, chosen), (), ())
    assert {name for name in names if step._is_meant(name)} == chosen


def facts(*held, budget=100):
    return ReadingFacts(PlanId("p"), "0" * 64, budget, held)


def holding(repository, resource, *sizes_bytes):
    name = ResourceName(resource)
    units = tuple(UnitFacts(name, f"{number}", size, None) for number, size in enumerate(sizes_bytes))
    return StoredFacts(RepositoryName(repository), name, "files", units)


def test_each_repository_has_a_budget_of_its_own_that_its_resources_share():
    plan = plan_reading_back(facts(holding("near", "a", 60, 60), holding("near", "b", 40, 40), holding("far", "a", 60, 60)))
    chosen = {planned.step.key: planned.step.units for planned in plan.steps}
    assert chosen == {
        "a/read-back-from-near": ("0",),
        "b/read-back-from-near": (),
        "a/read-back-from-far": ("0",),
    }


def test_runs_never_overlap_and_one_step_that_fails_keeps_no_other_from_reading():
    plan = plan_reading_back(facts(holding("near", "a", 1), holding("far", "a", 1)))
    assert plan.procedure is Procedure.VERIFICATION
    assert [(hold.subject, hold.kind.value) for hold in plan.holds] == [("reading-back", "exclusive")]
    assert all(not planned.after for planned in plan.steps)


def test_where_nothing_is_stored_nothing_is_planned():
    assert plan_reading_back(facts()) is None
