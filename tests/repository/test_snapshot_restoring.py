"""Bringing a snapshot back: all of it, a prefix or a name; in order, part by part, gone on with after a kill."""

import os
import threading

import pytest

from tests.contracts.collections_in_memory import MemoryTarget
from tests.repository.packing_world import Interrupted, Listener
from tests.repository.snapshot_world import RUN, SnapshotWorld, contents_in
from understudy.ports.collection import Entry, EntryKind
from understudy.repository.snapshots.reading import finish_restore, restore_snapshot
from understudy.repository.snapshots.selection import Selection
from understudy.vocabulary.errors import Cancelled, GiveUp, Refusal, TryAgain
from understudy.vocabulary.identifiers import RunId

MIB = 1024 * 1024


@pytest.fixture
def world(tmp_path):
    return SnapshotWorld(tmp_path)


@pytest.fixture
def tree(world):
    """A directory with files in several parts, links, and two names of one file."""
    for key in (".", "a", "a/deep", "b"):
        world.collection.put_entry(Entry(key, EntryKind.DIRECTORY, attributes={"mode": key}))
    for number in range(12):
        world.collection.put(f"a/{number:02}", os.urandom(3000), mode="0600")
    world.collection.put("a/deep/large", os.urandom(2 * MIB))
    world.collection.put("b/same as large", world.collection.held["a/deep/large"][1])
    world.collection.put("b/empty", b"")
    world.collection.put_entry(Entry("a/link", EntryKind.SYMLINK, link="/etc/passwd"))
    first = world.collection.held["a/03"][0]
    for key in ("a/second", "b/second", "b/third"):
        world.collection.put_entry(Entry(key, EntryKind.HARD_LINK, fingerprint=first.fingerprint, link="a/03"))
    world.manifest = world.take(1, part_bytes=10_000)
    return world


class OrderedTarget(MemoryTarget):
    """Refuses what comes before that which it needs."""

    def write(self, entry, content):
        above = entry.key.rpartition("/")[0] or "."
        assert entry.key == "." or above in self.written, f"{entry.key} came before {above}"
        if entry.kind is EntryKind.HARD_LINK:
            assert entry.link in self.written
        super().write(entry, content)


def test_directories_come_before_what_lies_in_them_and_links_behind_what_they_name(tree):
    target = OrderedTarget()
    restored = tree.restore(tree.manifest, target)
    assert {key: content for key, (_, content) in target.written.items() if content} == {
        key: content or tree.collection.held["a/03"][1]
        for key, (entry, content) in tree.collection.held.items()
        if content or entry.kind is EntryKind.HARD_LINK
    }
    assert target.written["a/00"][0].attributes == {"mode": "0600"}
    assert target.written["a/link"][0].link == "/etc/passwd"
    assert target.written["b/second"][0].kind is EntryKind.HARD_LINK
    assert (restored.entries, restored.skipped_parts) == (len(tree.collection.held), 0)
    assert restored.content_bytes == tree.manifest.content_bytes
    assert target.mark == []


class CountingTarget(MemoryTarget):
    """Knows in what state it is when a part is noted down."""

    flushed = 0

    def flush(self):
        self.flushed += 1


def parts_read(world, **options):
    reads = []
    read = world.store.read

    def noting(key, offset=0):
        reads.append(key)
        return read(key, offset)

    world.store.read = noting
    try:
        restored = world.restored(world.manifest, **options)
    finally:
        world.store.read = read
    return restored, {key for key in reads if "/parts/" in key}


@pytest.mark.parametrize(
    ("select", "expected", "at_most"),
    [
        (Selection(keys=frozenset({"a/07"})), {"a/07"}, 1),
        (Selection(keys=frozenset({"b/empty", "a/link"})), {"b/empty"}, 0),
        (Selection(prefix="a/0"), {f"a/0{number}" for number in range(10)}, 5),
        (Selection(prefix="a/deep"), {"a/deep/large"}, 1),
        (Selection(below="a/deep"), {"a/deep/large"}, 1),
        (Selection(below="a/deep/"), {"a/deep/large"}, 1),
        (Selection(below="b/same as large"), {"b/same as large"}, 1),
    ],
)
def test_of_a_selection_only_the_parts_that_are_needed_are_read(tree, select, expected, at_most):
    restored, parts = parts_read(tree, select=select)
    assert set(restored) == expected
    assert all(content == tree.collection.held[key][1] for key, content in restored.items())
    assert len(parts) <= at_most


def test_the_whole_can_be_named_as_what_is_below_its_top(tree):
    target = MemoryTarget()
    tree.restore(tree.manifest, target, select=Selection(below="."))
    assert set(target.written) == set(tree.collection.held)


def test_further_names_whose_file_was_not_asked_for_are_a_file_and_its_further_names(tree):
    target = MemoryTarget()
    tree.restore(tree.manifest, target, select=Selection(below="b"))
    assert target.written["b/second"][0].kind is EntryKind.FILE
    assert target.written["b/second"][0].attributes == {"mode": "0600"}
    assert target.written["b/third"][0].link == "b/second"
    assert target.written["b/third"][1] == tree.collection.held["a/03"][1]


@pytest.mark.parametrize(
    "select", [Selection(keys=frozenset({"a/00", "a/0"})), Selection(prefix="nothing"), Selection(below="a/d")]
)
def test_a_name_that_is_not_there_is_refused_before_anything_is_written(tree, select):
    target = MemoryTarget()
    with pytest.raises(Refusal, match="entry_missing"):
        tree.restore(tree.manifest, target, select=select)
    assert (target.written, target.mark) == ({}, [])


def test_a_target_that_holds_something_is_refused_and_left_as_it_is(tree):
    target = MemoryTarget()
    target.write(Entry("mine", EntryKind.FILE, 1), [b"x"])
    with pytest.raises(Refusal, match="target_not_empty"):
        tree.restore(tree.manifest, target)
    assert set(target.written) == {"mine"}


def test_an_attempt_that_was_cut_off_is_gone_on_with_behind_the_parts_that_are_safe(tree):
    target, done = CountingTarget(), []

    def part_done(name):
        assert target.flushed > len(done)
        done.append(name)
        if len(done) == 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        tree.restore(tree.manifest, target, part_done=part_done)
    restored = tree.restore(tree.manifest, target, done_parts=done, part_done=lambda name: None)
    assert restored.skipped_parts == 2
    assert restored.read_parts == len(tree.manifest.parts) - 2
    assert contents_in(target) == {key: content for key, (entry, content) in tree.collection.held.items() if entry.kind == "file"}


def test_another_run_does_not_go_on_with_it(tree):
    target = MemoryTarget()
    with pytest.raises(Cancelled):
        tree.restore(tree.manifest, target, listener=Listener(cancel_at_bytes=0))
    with pytest.raises(Refusal, match="target_not_empty"):
        tree.restore(tree.manifest, target, run=RunId("another"))


def test_finishing_twice_is_finishing_once(tree):
    target, index = MemoryTarget(), tree.directory / "index"
    listener = Listener()
    restore_snapshot(tree.opened(tree.manifest), target, index=index, run=RUN, progress=listener, cancellation=listener)
    assert target.mark == [RUN]
    for _ in range(2):
        finish_restore(tree.opened(tree.manifest), target, index=index, run=RUN)
        assert target.mark == []
        index.unlink()


class FailingTarget(MemoryTarget):
    def __init__(self, key, error):
        super().__init__()
        self.key, self.error = key, error

    def write(self, entry, content):
        if entry.key == self.key:
            raise self.error
        super().write(entry, content)


@pytest.mark.parametrize("key", ["a", "a/07", "a/deep/large", "b/empty", "b/third"])
@pytest.mark.parametrize("kind", [GiveUp, TryAgain])
def test_what_the_target_raises_ends_the_restore_as_it_is(tree, key, kind):
    target = FailingTarget(key, kind("target_fault", found="no", expected="yes", hint="look"))
    with pytest.raises(kind) as raised:
        tree.restore(tree.manifest, target)
    assert raised.value is target.error
    assert target.mark == [RUN]
    assert not any(thread.name.startswith(("unpack", "write")) for thread in threading.enumerate())


def test_a_large_content_that_reads_back_differently_is_not_given_a_second_name(tree):
    class Forgetful(MemoryTarget):
        def read_back(self, entry):
            yield b"another"

    target = Forgetful()
    with pytest.raises(GiveUp, match="target_unexpected"):
        tree.restore(tree.manifest, target)
    assert "b/same as large" not in target.written
