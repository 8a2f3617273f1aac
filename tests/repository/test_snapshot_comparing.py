"""What lies restored against what the snapshot holds."""

import pytest

from tests.contracts.collections_in_memory import MemoryTarget
from tests.repository.packing_world import Listener
from tests.repository.snapshot_world import SnapshotWorld
from understudy.ports.collection import Entry, EntryKind
from understudy.repository.snapshots.comparing import ComparedContents, compare_restored
from understudy.repository.snapshots.selection import EVERYTHING, Selection
from understudy.vocabulary.errors import Cancelled, GiveUp


@pytest.fixture
def world(tmp_path):
    made = SnapshotWorld(tmp_path)
    for number in range(200):
        made.collection.put(f"d/{number:03d}", b"%d" % number)
    made.collection.put("empty", b"")
    made.collection.put("large", b"x" * 3_000_000)
    return made


def restored(world, **options):
    manifest = world.take(1)
    target = MemoryTarget()
    world.restore(manifest, target, **options)
    return world.opened(manifest), target, world.directory / "compare"


def compare(opened, target, index, select=EVERYTHING, listener=None):
    listener = listener or Listener()
    return compare_restored(opened, target, index=index, progress=listener, cancellation=listener, select=select)


def test_all_that_was_restored_is_read_back(world):
    expected = sum(len(b"%d" % number) for number in range(200)) + 3_000_000
    assert compare(*restored(world)) == ComparedContents(202, expected)


def test_of_a_part_only_that_part_is_looked_for(world):
    select = Selection(below="d")
    assert compare(*restored(world, select=select), select).contents == 200


@pytest.mark.parametrize("key", ["d/000", "d/199", "large"])
def test_what_lies_there_differently_is_named(world, key):
    opened, target, index = restored(world)
    entry, content = target.written[key]
    target.written[key] = (entry, content[:-1] + b"!")
    with pytest.raises(GiveUp, match=f"restored_differs.*{key}"):
        compare(opened, target, index)


def test_what_is_gone_is_named(world):
    opened, target, index = restored(world)
    del target.written["d/100"]
    with pytest.raises(GiveUp, match=r"entry_gone.*d/100"):
        compare(opened, target, index)


def test_what_should_be_empty_and_is_not_is_named(world):
    opened, target, index = restored(world)
    entry, _ = target.written["empty"]
    target.written["empty"] = (entry, b"not empty")
    with pytest.raises(GiveUp, match=r"restored_differs.*empty"):
        compare(opened, target, index)


def test_a_further_name_that_was_asked_for_alone_is_compared_as_the_file_that_it_became(world):
    world.collection.put_entry(Entry("link", EntryKind.HARD_LINK, link="large"))
    select = Selection(keys=frozenset({"link"}))
    opened, target, index = restored(world, select=select)
    assert compare(opened, target, index, select).content_bytes == 3_000_000


def test_it_ends_when_that_is_asked_for(world):
    class Impatient(Listener):
        def raise_if_requested(self):
            raise Cancelled

    with pytest.raises(Cancelled):
        compare(*restored(world), listener=Impatient())
