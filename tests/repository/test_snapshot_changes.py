"""Snapshots of what is written to meanwhile: each content of one moment, or said."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.contracts.collections_in_memory import MemoryCollection, MemoryTarget
from tests.repository.snapshot_world import SnapshotWorld
from understudy.adapters.trees.directory_collection import DirectoryCollection
from understudy.ports.collection import Entry, EntryKind
from understudy.repository.snapshots.content_reading import LARGE_BYTES as LARGE


@pytest.fixture
def world(tmp_path):
    return SnapshotWorld(tmp_path)


@dataclass
class BusyCollection(MemoryCollection):
    """Somebody writes to it: ``meanwhile`` is called while a content of that key is read, before its last piece or behind it."""

    meanwhile: dict[str, list] = field(default_factory=dict)
    before_the_last_piece: bool = False

    def read(self, entry):
        changes = self.meanwhile.get(entry.key, [])
        pieces = super().read(entry)
        if self.before_the_last_piece:
            whole = list(pieces)
            if changes:
                changes.pop(0)()
                self._unchanged(entry)
            yield from whole
        else:
            yield from pieces
            if changes:
                changes.pop(0)()
                self._unchanged(entry)


SIZES = [10, LARGE + 5]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("early", [False, True])
def test_what_changes_while_it_is_read_is_read_again_until_it_is_of_one_moment(world, size, early):
    busy = world.collection = BusyCollection(before_the_last_piece=early)
    busy.put("a", b"1" * size)
    busy.meanwhile["a"] = [lambda each=each: busy.put("a", each * (size + 1)) for each in (b"2", b"3", b"4")]
    written = world.write(1)
    assert (written.changed_while_read, written.left_out) == (0, 0)
    manifest = world.manifest_of(1, written)
    world.snapshots.write_manifest(manifest)
    assert world.restored(manifest) == {"a": b"4" * (size + 1)}
    assert busy.reads == ["a"] * 4
    world.collection.reads.clear()
    world.take(2, manifest)
    assert world.collection.reads == []


@pytest.mark.parametrize("size", SIZES)
def test_what_changes_each_time_is_kept_as_it_came_whole_the_last_time_named_and_read_again_the_next_time(world, size):
    busy = world.collection = BusyCollection()
    busy.put("log", b"0" * size)
    busy.put("other", b"still")
    busy.meanwhile["log"] = [lambda each=each: busy.put("log", b"%d" % each * size) for each in range(1, 6)]
    written = world.write(1)
    assert (written.changed_while_read, written.changed_names) == (1, ("log",))
    manifest = world.manifest_of(1, written)
    world.snapshots.write_manifest(manifest)
    assert world.restored(manifest) == {"log": b"4" * size, "other": b"still"}
    (listed,) = [each for each in world.opened(manifest).listing() if each.changed_while_read]
    assert (listed.entry.key, listed.entry.fingerprint) == ("log", "")
    busy.reads.clear()
    second = world.take(2, manifest)
    assert busy.reads == ["log"]
    assert world.restored(second)["log"] == b"5" * size


@pytest.mark.parametrize("size", SIZES)
def test_what_never_comes_whole_is_left_out_and_named(world, size):
    busy = world.collection = BusyCollection(before_the_last_piece=True)
    busy.put("torn", b"0" * size)
    busy.put("whole", b"1")
    busy.meanwhile["torn"] = [lambda each=each: busy.put("torn", b"0" * (size + each)) for each in range(1, 6)]
    written = world.write(1)
    assert (written.left_out, written.left_out_names, written.entries) == (1, ("torn",), 1)


class GrowingLogs(DirectoryCollection):
    """Somebody appends to a file whenever a piece of it was read, and while it waits for its turn to be read again."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.root = root
        self.reads: list[str] = []

    def look(self, key):
        entry = super().look(key)
        if threading.current_thread() is threading.main_thread():
            self._append(key)  # who reads it is another thread
        return entry

    def read(self, entry):
        self.reads.append(entry.key)
        for piece in super().read(entry):
            self._append(entry.key)
            yield piece

    def _append(self, key):
        with (self.root / key).open("ab") as log:
            log.write(b"%d lines\n" % len(self.reads))


@pytest.mark.parametrize("size", SIZES)
def test_a_file_that_grows_all_the_time_is_kept_as_it_began_said_and_read_again_the_next_time(world, size, tmp_path):
    directory = tmp_path / "logs"
    directory.mkdir()
    log = directory / "log"
    log.write_bytes(b"0" * size)
    logs = world.collection = GrowingLogs(directory)
    written = world.write(1)
    assert (written.left_out, written.changed_while_read, written.changed_names) == (0, 1, ("log",))
    manifest = world.manifest_of(1, written)
    world.snapshots.write_manifest(manifest)
    kept = world.restored(manifest)["log"]
    assert len(kept) >= size
    assert log.read_bytes().startswith(kept)
    assert len(logs.reads) == 5
    world.take(2, manifest)
    assert len(logs.reads) == 10


@pytest.mark.parametrize("size", SIZES)
def test_what_vanishes_or_becomes_something_else_while_it_is_read_is_as_it_is_then(world, size):
    busy = world.collection = BusyCollection()
    for key in ("gone", "directory", "empty"):
        busy.put(key, b"0" * size)
    busy.meanwhile["gone"] = [lambda: busy.remove("gone")]
    busy.meanwhile["directory"] = [lambda: busy.put_entry(Entry("directory", EntryKind.DIRECTORY))]
    busy.meanwhile["empty"] = [lambda: busy.put("empty", b"")]
    taken = world.take(1)
    target = MemoryTarget()
    world.restore(taken, target)
    assert {key: entry.kind for key, (entry, _) in target.written.items()} == {
        "directory": EntryKind.DIRECTORY,
        "empty": EntryKind.FILE,
    }
    assert (taken.parts, taken.changed_while_read, taken.left_out) == ((), 0, 0)


def test_a_small_content_that_grows_large_meanwhile_is_stored_as_a_large_one(world):
    busy = world.collection = BusyCollection()
    busy.put("a", b"small")
    busy.meanwhile["a"] = [lambda: busy.put("a", bytes(LARGE + 1))]
    assert world.restored(world.take(1)) == {"a": bytes(LARGE + 1)}


def hard_link(key, file):
    return Entry(key, EntryKind.HARD_LINK, fingerprint=file.fingerprint, link=file.key)


def test_a_further_name_becomes_the_file_when_the_first_one_goes_while_it_is_read(world):
    busy = world.collection = BusyCollection()
    busy.put_entry(hard_link("second", busy.put("first", b"content")))

    def remove_first():
        busy.remove("first")
        busy.put("second", b"content")

    busy.meanwhile["first"] = [remove_first]
    assert world.restored(world.take(1)) == {"second": b"content"}


def test_a_further_name_of_a_file_that_was_replaced_meanwhile_keeps_the_old_content(world):
    busy = world.collection = BusyCollection()
    old = busy.put("first", b"old content")
    busy.put_entry(hard_link("second", old))

    def replace_first():
        busy.put("second", b"old content")
        busy.put("first", b"new content")

    busy.meanwhile["first"] = [replace_first]
    assert world.restored(world.take(1)) == {"first": b"new content", "second": b"old content"}


def test_both_names_of_a_file_that_is_written_to_meanwhile_stay_one_file(world):
    busy = world.collection = BusyCollection()
    busy.put_entry(hard_link("second", busy.put("first", b"before")))
    busy.meanwhile["first"] = [lambda: busy.put("first", b"behind")]
    target = MemoryTarget()
    world.restore(world.take(1), target)
    assert target.written["second"][0].kind is EntryKind.HARD_LINK
    assert {key: content for key, (_, content) in target.written.items()} == {"first": b"behind", "second": b"behind"}
