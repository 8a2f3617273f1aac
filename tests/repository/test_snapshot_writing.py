"""Writing snapshots: whole each time, at the cost of what changed; what moves meanwhile is read again or said."""

import os
import signal
import sqlite3
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contracts.collections_in_memory import MemoryCollection, MemoryTarget
from tests.repository.killed_snapshot import CONTENTS, PART_BYTES, fill
from tests.repository.packing_world import Listener
from tests.repository.snapshot_world import KEYS, SnapshotWorld, label_of, without_fingerprint
from understudy.ports.collection import Entry, EntryKind
from understudy.repository.sealing import read_sealed
from understudy.repository.snapshots import content_reading
from understudy.vocabulary.errors import Cancelled, GiveUp, TryAgain

MIB = 1024 * 1024
LARGE = content_reading.LARGE_BYTES


@pytest.fixture
def world(tmp_path):
    return SnapshotWorld(tmp_path)


def no_thread_is_left():
    return not any(thread.name.startswith(("part", "compress", "read", "write")) for thread in threading.enumerate())


def members_stored(world):
    """How many contents lie in the parts of the repository."""
    count = 0
    for path in world.part_paths():
        key = str(path.relative_to(world.root))
        plain = world.directory / "plain"
        plain.write_bytes(b"".join(read_sealed(world.store, world.sealer, key, KEYS.identity, None)))
        with tarfile.open(plain) as archive:
            count += len(archive.getmembers())
    return count


def test_a_snapshot_brings_back_every_content_and_the_next_one_costs_what_changed(world):
    for number in range(20):
        world.collection.put(f"a/{number}", f"content {number}".encode(), mode="0644")
    first = world.take(1)
    assert world.restored(first) == {f"a/{number}": f"content {number}".encode() for number in range(20)}
    world.collection.reads.clear()
    world.collection.put("a/3", b"another content")
    world.collection.remove("a/4")
    second = world.take(2, first)
    assert world.collection.reads == ["a/3"]
    assert len(second.parts) == 2
    restored = world.restored(second)
    assert restored["a/3"] == b"another content"
    assert "a/4" not in restored
    assert world.restored(first)["a/3"] == b"content 3"


names = st.text("ab/.é\udc80 ", min_size=1, max_size=4)
contents = st.sampled_from([b"", b"x", b"y" * 700, b"z" * 5000])
changes = st.lists(st.tuples(names, contents | st.none() | st.sampled_from(["directory", "symlink"])), max_size=8)


@settings(max_examples=25, deadline=None)
@given(st.lists(changes, min_size=2, max_size=3))
def test_each_of_several_snapshots_brings_back_the_collection_as_it_was(tmp_path_factory, rounds):
    world = SnapshotWorld(tmp_path_factory.mktemp("world"))
    taken, expected = None, []
    for number, changed in enumerate(rounds, start=1):
        for key, content in changed:
            if isinstance(content, bytes):
                world.collection.put(key, content, mode=str(len(content)))
            elif content is not None:
                world.collection.put_entry(Entry(key, EntryKind(content), link="" if content == "directory" else "b"))
            elif key in world.collection.held:
                world.collection.remove(key)
        taken = world.take(number, taken, part_bytes=4000)
        expected.append((taken, dict(world.collection.held)))
    for snapshot, held in expected:
        target = MemoryTarget()
        world.restore(snapshot, target)
        assert without_fingerprint(target) == without_fingerprint(MemoryTarget(held))
        assert snapshot.entries == len(held)
        assert snapshot.content_bytes == sum(len(content) for _, content in held.values())
        assert len(world.part_paths()) == len({part.name for each, _ in expected for part in each.parts})


def test_a_content_under_many_names_is_stored_once_and_one_that_moved_is_not_stored_again(world):
    for number in range(10):
        world.collection.put(f"copy {number}", b"the same" * 100)
    world.collection.put("large one", bytes(LARGE + 1))
    world.collection.put("large two", bytes(LARGE + 1))
    first = world.take(1)
    assert members_stored(world) == 2
    for number in range(10):
        world.collection.remove(f"copy {number}")
    world.collection.put("moved", b"the same" * 100)
    world.collection.put("large three", bytes(LARGE + 1))
    second = world.take(2, first)
    assert second.parts == first.parts
    assert len(world.part_paths()) == 2
    assert world.restored(second)["moved"] == b"the same" * 100


def test_small_contents_share_parts_of_the_size_that_is_asked_for_and_a_large_one_has_its_own(world):
    for number in range(40):
        world.collection.put(f"small {number:02}", os.urandom(9_000))
    world.collection.put("large", os.urandom(LARGE + 1))
    taken = world.take(1, part_bytes=100_000)
    sizes = sorted(part.plain_bytes for part in taken.parts)
    assert sizes[-1] > LARGE
    assert all(size <= 100_000 + 1024 for size in sizes[:-1])
    assert len(sizes) == 1 + 4


def test_a_content_without_a_fingerprint_is_read_each_time_and_stored_once(world):
    world.collection.held["a"] = (Entry("a", EntryKind.FILE, 3), b"abc")
    first = world.take(1)
    world.collection.reads.clear()
    second = world.take(2, first)
    assert world.collection.reads == ["a"]
    assert second.parts == first.parts


def test_what_is_empty_or_has_no_content_makes_no_part(world):
    world.collection.put("empty", b"")
    world.collection.put_entry(Entry(".", EntryKind.DIRECTORY, attributes={"mode": "0755"}))
    world.collection.put_entry(Entry("link", EntryKind.SYMLINK, link="empty"))
    taken = world.take(1)
    assert taken.parts == ()
    target = MemoryTarget()
    world.restore(taken, target)
    assert set(target.written) == {"empty", ".", "link"}


def test_an_empty_collection_is_a_snapshot_too(world):
    taken = world.take(1)
    assert (taken.entries, taken.parts) == (0, ())
    assert world.restored(taken) == {}


class FailingCollection(MemoryCollection):
    """The source breaks off when ``allowed`` contents were read."""

    allowed = 0

    def read(self, entry):
        if len(self.reads) >= self.allowed:
            raise TryAgain("source_unreachable", found="the connection broke", expected="an answer", hint="wait")
        yield from super().read(entry)


def test_an_attempt_that_broke_off_is_gone_on_with_and_nothing_in_a_stored_part_is_read_again(world):
    source = world.collection = FailingCollection()
    source.allowed = 60
    for number in range(100):
        source.put(f"{number:03}", os.urandom(20_000))
    with pytest.raises(TryAgain, match="source_unreachable"):
        world.write(1, part_bytes=200_000)
    stored = members_stored(world)
    assert 9 <= stored < 61
    assert no_thread_is_left()
    source.allowed = 10_000
    source.reads.clear()
    source.put("000", b"changed between the attempts")
    written = world.write(1, part_bytes=200_000, attempt="a2")
    assert len(source.reads) == 100 - stored + 1
    manifest = world.manifest_of(1, written, "a2")
    world.snapshots.remove_leftovers(label_of(1), manifest)
    world.snapshots.write_manifest(manifest)
    assert world.restored(manifest) == {key: content for key, (_, content) in source.held.items()}
    assert {path.name for path in world.part_paths()} == {part.name for part in manifest.parts}


def test_a_process_that_is_killed_leaves_what_the_next_one_goes_on_from(world):
    command = [sys.executable, "-m", "tests.repository.killed_snapshot", str(world.directory), *world.recipients]
    killed = subprocess.run(command, cwd=Path(__file__).parents[2], check=False)
    assert killed.returncode == -signal.SIGKILL
    with sqlite3.connect(world.directory / "runs" / "1-index") as index:
        ((stored,),) = index.execute("select count(*) from contents join parts on part = parts.id where stored = 1")
    index.close()
    assert stored >= 4
    fill(world.collection)
    written = world.write(1, attempt="a2", part_bytes=PART_BYTES)
    assert len(world.collection.reads) == CONTENTS - stored
    manifest = world.manifest_of(1, written, "a2")
    world.snapshots.remove_leftovers(label_of(1), manifest)
    world.snapshots.write_manifest(manifest)
    assert world.restored(manifest) == {key: content for key, (_, content) in world.collection.held.items()}
    assert {path.name for path in world.part_paths()} == {part.name for part in manifest.parts}


def test_an_index_that_was_damaged_or_is_of_another_snapshot_is_made_anew(world):
    world.collection.put("a", b"content")
    world.write(1)
    index = world.directory / "runs" / "1-index"
    content = bytearray(index.read_bytes())
    content[: len(content) // 2] = os.urandom(len(content) // 2)
    index.write_bytes(content)
    world.collection.reads.clear()
    written = world.write(1, attempt="a2")
    assert world.collection.reads == ["a"]
    world.snapshots.write_manifest(world.manifest_of(1, written, "a2"))
    index.rename(world.directory / "runs" / "2-index")
    world.collection.reads.clear()
    world.write(2)
    assert world.collection.reads == ["a"]


def test_what_is_taken_anew_refers_to_no_part_of_before(world):
    world.collection.put("a", b"content")
    first = world.take(1)
    second = world.take(2, None)
    assert not {part.name for part in first.parts} & {part.name for part in second.parts}


@pytest.mark.parametrize("harm", ["absent", "short"])
def test_what_lay_in_a_part_that_is_lost_is_read_and_stored_anew(world, harm):
    contents = {key: os.urandom(5000) for key in "abcdef"}
    for key, content in contents.items():
        world.collection.put(key, content)
    first = world.take(1, part_bytes=12_000)
    lost = world.path(first.objects()[1][0])
    lost.unlink() if harm == "absent" else lost.write_bytes(lost.read_bytes()[:-1])
    world.collection.reads.clear()
    second = world.take(2, first)
    assert world.collection.reads == ["a", "b"]
    assert world.restored(second) == contents
    assert first.parts[0] not in second.parts


@pytest.mark.parametrize("harm", ["absent", "flipped"])
def test_where_the_last_listing_is_damaged_everything_is_stored_anew_and_that_is_said(world, harm):
    world.collection.put("a", b"content")
    first = world.take(1)
    path = world.path(first.objects()[0][0])
    path.unlink() if harm == "absent" else path.write_bytes(path.read_bytes()[:-1] + b"?")
    written = world.write(2, first)
    assert str(first.label) in written.anew_because
    assert written.stored_bytes > written.listing.sealed_bytes
    assert world.write(3, None).anew_because == ""


def test_what_an_earlier_attempt_stored_and_somebody_removed_is_stored_again(world):
    world.collection.put("a", b"content")
    world.write(1)
    world.snapshots.remove_leftovers(label_of(1), None)
    assert world.restored(world.take(1, attempt="a2")) == {"a": b"content"}


def test_leftovers_of_a_snapshot_that_failed_are_removed_and_none_of_one_that_is_complete(world):
    world.collection.put("a", b"content")
    world.write(1)
    world.snapshots.remove_leftovers(label_of(1), None)
    assert list(world.store.list(world.snapshots.place.prefix)) == []
    world.take(2)
    before = list(world.store.list(world.snapshots.place.prefix))
    world.snapshots.remove_leftovers(label_of(2), None)
    assert list(world.store.list(world.snapshots.place.prefix)) == before


@pytest.mark.parametrize("size", [10_000, LARGE + 1])
def test_it_is_cancelled_between_two_pieces_and_nothing_half_is_stored(world, size):
    for number in range(5):
        world.collection.put(f"{number}", os.urandom(size))
    listener = Listener(cancel_at_bytes=1)
    with pytest.raises(Cancelled):
        world.write(1, listener=listener)
    assert no_thread_is_left()
    assert not list(world.store.list(world.snapshots.place.snapshots))


def test_a_store_that_fails_ends_it_with_its_own_error(world):
    class Full:
        def __getattr__(self, name):
            return getattr(world_store, name)

        def put(self, key, chunks):
            raise GiveUp("store_full", found="no room", expected="room", hint="make some")

    world.collection.put("a", b"content")
    world.collection.put("large", bytes(LARGE + 1))
    world_store, world.store = world.store, Full()
    with pytest.raises(GiveUp, match="store_full"):
        world.write(1)
    assert no_thread_is_left()


def test_a_content_that_cannot_be_read_ends_the_snapshot(world):
    class Forbidding(MemoryCollection):
        def read(self, entry):
            raise GiveUp("source_denied", found=entry.key, expected="a readable file", hint="run as root")

    world.collection = Forbidding()
    world.collection.put("a", b"content")
    with pytest.raises(GiveUp, match="source_denied"):
        world.write(1)


def test_what_cannot_be_kept_is_told(world):
    world.collection.left_out = ("socket: a socket", "disk: a device")
    written = world.write(1)
    assert written.passed_over_names == ("socket: a socket", "disk: a device")
    assert world.manifest_of(1, written).passed_over == 2


class AskingCollection(MemoryCollection):
    """Like a bucket: what an object wears is asked for one by one, unless the last snapshot holds the same object."""

    def entries(self, known=None):
        for entry in super().entries():
            held = known(entry.key) if known else None
            if held is not None and held.fingerprint == entry.fingerprint:
                assert held == entry
                yield held
            else:
                self.asked.append(entry.key)
                yield entry


def test_what_the_last_snapshot_holds_need_not_be_asked_for_again(world):
    source = world.collection = AskingCollection()
    source.asked = []
    source.put("a", b"content", owner="somebody")
    source.put("b", b"before")
    source.put("empty", b"", owner="somebody")
    first = world.take(1)
    source.put("b", b"behind")
    source.asked.clear()
    assert world.restored(world.take(2, first)) == {"a": b"content", "b": b"behind", "empty": b""}
    assert source.asked == ["b"]


def test_progress_ends_at_what_was_read(world):
    world.collection.put("a", b"1" * 1000)
    world.collection.put("b", bytes(LARGE + 1))
    listener = Listener()
    world.write(1, listener=listener)
    assert listener.reports[-1] == (LARGE + 1001, LARGE + 1001)
