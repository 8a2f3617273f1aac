"""Who waits for whom, held against the sentence that promises it, on stacks of every shape."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.plan.recovery_order import Urgency, recovery_order
from understudy.vocabulary.identifiers import ResourceName

NAMES = [ResourceName(each) for each in "abcdef"]


@st.composite
def stacks(draw):
    """Without circles: each depends on some of those before it, in an order of its own."""
    names = draw(st.permutations(NAMES[: draw(st.integers(1, 6))]))
    declared = {}
    for index, name in enumerate(names):
        before = draw(st.lists(st.sampled_from(names[:index]), unique=True)) if index else []
        declared[name] = Urgency(draw(st.sampled_from(["P1", "P2", "P3"])), tuple(before))
    wanted = draw(st.lists(st.sampled_from(names), unique=True, min_size=1))
    return declared, wanted


def reaches(declared, name, other, wanted):
    """Whether ``name`` depends on ``other``, over what is wanted."""
    return any(each == other or reaches(declared, each, other, wanted) for each in declared[name].depends_on if each in wanted)


@given(stacks())
def test_nothing_begins_before_what_it_depends_on_nor_before_what_is_more_urgent(stack):
    declared, wanted = stack
    turns = recovery_order(declared, wanted)
    assert sorted(turn.resource for turn in turns) == sorted(wanted)
    placed = set()
    for turn in turns:
        assert turn.after | turn.once_ended <= placed, "so that a plan can name it"
        placed.add(turn.resource)
    urgency = {
        name: min(declared[other].priority for other in wanted if other == name or reaches(declared, other, name, wanted))
        for name in wanted
    }
    for turn in turns:
        assert turn.priority == urgency[turn.resource]
        assert turn.after == set(declared[turn.resource].depends_on) & set(wanted)
        assert turn.once_ended == {other for other in wanted if urgency[other] < urgency[turn.resource]}


@given(stacks())
def test_what_neither_orders_runs_at_the_same_time(stack):
    declared, wanted = stack
    turns = {turn.resource: turn for turn in recovery_order(declared, wanted)}
    for one, other in itertools.combinations(wanted, 2):
        if reaches(declared, one, other, wanted) or reaches(declared, other, one, wanted):
            continue
        if turns[one].priority == turns[other].priority:
            assert other not in turns[one].after | turns[one].once_ended
            assert one not in turns[other].after | turns[other].once_ended


def test_what_an_urgent_one_depends_on_is_as_urgent_as_that():
    declared = {NAMES[0]: Urgency("P1", (NAMES[1],)), NAMES[1]: Urgency("P3"), NAMES[2]: Urgency("P2")}
    turns = recovery_order(declared, NAMES[:3])
    assert [(turn.resource, turn.priority) for turn in turns] == [("b", "P1"), ("a", "P1"), ("c", "P2")]


def test_a_circle_is_no_order():
    declared = {NAMES[0]: Urgency("P1", (NAMES[1],)), NAMES[1]: Urgency("P1", (NAMES[0],))}
    with pytest.raises(ValueError, match="depend on one another"):
        recovery_order(declared, NAMES[:2])
