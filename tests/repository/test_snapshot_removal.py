"""What retention removes of snapshots: a part goes with the last snapshot that refers to it, and never before."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.repository.snapshot_world import BEGUN, SnapshotWorld, label_of
from understudy.repository.removal import Remover
from understudy.repository.snapshots.removal import loose_parts, remove_snapshot
from understudy.vocabulary.errors import GiveUp, Refusal

YESTERDAY, TOMORROW = BEGUN - timedelta(days=1), BEGUN + timedelta(days=1)


def expire(world, labels, begun_before=YESTERDAY):
    remover = Remover(world.store)
    removed = [label for label in labels if remove_snapshot(remover, world.snapshots.place, label)]
    for part in loose_parts(world.store, world.snapshots.place, world.snapshots.found(), removed, begun_before):
        remover.remove(part.key)
    return removed


@settings(max_examples=10, deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from("abc"), st.sampled_from([b"1", b"2", b"3"]), max_size=3), min_size=2, max_size=4),
    st.sets(st.integers(0, 3)),
)
def test_what_stays_comes_back_as_before_and_nothing_else_is_kept(tmp_path_factory, states, going):
    world = SnapshotWorld(tmp_path_factory.mktemp("world"))
    taken = []
    for number, state in enumerate(states):
        for key in "abc":
            if key in state and world.collection.held.get(key, (None, b""))[1] != state[key]:
                world.collection.put(key, state[key])
            elif key not in state and key in world.collection.held:
                world.collection.remove(key)
        taken.append(world.take(number, taken[-1] if taken else None))
    expire(world, [label_of(number) for number in going if number < len(taken)])
    staying = [
        (snapshot, state) for number, (snapshot, state) in enumerate(zip(taken, states, strict=True)) if number not in going
    ]
    assert [each.label for each in world.snapshots.found().usable] == [snapshot.label for snapshot, _ in staying]
    for snapshot, state in staying:
        assert world.restored(snapshot) == state
    kept = {part.name for snapshot, _ in staying for part in snapshot.parts}
    assert {path.name for path in world.part_paths()} == kept


@pytest.fixture
def world(tmp_path):
    world = SnapshotWorld(tmp_path)
    world.collection.put("a", b"content")
    return world


def test_parts_of_a_snapshot_that_may_yet_be_completed_stay_until_they_are_old(world):
    world.take(1)
    world.collection.put("b", b"more")
    world.write(2)
    expire(world, [])
    assert len(world.part_paths()) == 2
    expire(world, [], TOMORROW)
    assert {path.name[:16] for path in world.part_paths()} == {str(label_of(1))}


def test_what_an_attempt_left_beside_a_snapshot_that_is_complete_goes(world):
    world.write(1)
    world.directory.joinpath("runs/1-index").unlink()
    snapshot = world.take(1, attempt="a2")
    assert len(world.part_paths()) == 2
    expire(world, [])
    assert [path.name for path in world.part_paths()] == [part.name for part in snapshot.parts]


def test_nothing_goes_while_a_manifest_cannot_be_believed(world):
    world.take(1)
    world.path(world.snapshots.place.manifest(label_of(1))).write_bytes(b"{}")
    with pytest.raises(Refusal, match="retention_unsure"):
        expire(world, [])
    assert len(world.part_paths()) == 1


def test_a_snapshot_whose_manifest_the_store_keeps_stays_whole(world):
    snapshot = world.take(1)
    delete = world.store.delete

    def refusing(key):
        if key.endswith("snapshot.json"):
            raise GiveUp("store_denied", found="locked until next year", expected="no lock", hint="wait")
        delete(key)

    world.store.delete = refusing
    assert expire(world, [label_of(1)]) == []
    assert world.restored(snapshot) == {"a": b"content"}
