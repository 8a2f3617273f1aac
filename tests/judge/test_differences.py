"""Two states against one another, judged by an oracle that holds both as dictionaries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.judge.differences import Change, Difference, compared_by_count, compared_by_key

KEYED = st.dictionaries(st.binary(max_size=2), st.sampled_from("ab"), max_size=12)
COUNTED = st.dictionaries(st.binary(max_size=2), st.integers(1, 3), max_size=12)


@given(KEYED, KEYED)
def test_what_was_added_removed_and_changed_is_told_once_and_in_order(earlier, later):
    found = list(compared_by_key(iter(sorted(earlier.items())), iter(sorted(later.items()))))
    by_change = {change: {each.key for each in found if each.change is change} for change in Change}
    assert by_change == {
        Change.ADDED: later.keys() - earlier.keys(),
        Change.REMOVED: earlier.keys() - later.keys(),
        Change.CHANGED: {key for key in earlier.keys() & later.keys() if earlier[key] != later[key]},
    }
    assert [each.key for each in found] == sorted(each.key for each in found)
    assert len(found) == len({each.key for each in found})


@given(COUNTED, COUNTED)
def test_of_what_has_no_key_it_is_told_how_many_more_or_fewer_there_are(earlier, later):
    found = list(compared_by_count(sorted(earlier.items()), sorted(later.items())))
    more = {(each.key, each.count) for each in found if each.change is Change.ADDED}
    fewer = {(each.key, each.count) for each in found if each.change is Change.REMOVED}
    gained = {key: later.get(key, 0) - earlier.get(key, 0) for key in earlier.keys() | later.keys()}
    assert more == {(key, by) for key, by in gained.items() if by > 0}
    assert fewer == {(key, -by) for key, by in gained.items() if by < 0}


@pytest.mark.parametrize("stream", [[(b"b", "1"), (b"a", "1")], [(b"a", "1"), (b"a", "2")]])
def test_keys_that_do_not_ascend_end_it_on_either_side(stream):
    """What was compared by then would mean nothing."""
    for earlier, later in ((stream, []), ([], stream)):
        with pytest.raises(ValueError, match="behind"):
            list(compared_by_key(earlier, later))


def test_nothing_is_held_of_what_is_the_same():
    streams = [((number.to_bytes(4, "big"), "same") for number in range(100_000)) for _ in range(2)]
    assert list(compared_by_key(*streams)) == []
    assert next(compared_by_key([], [(b"a", "1")])) == Difference(Change.ADDED, b"a")
