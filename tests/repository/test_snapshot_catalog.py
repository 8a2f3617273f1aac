"""``snapshot.json`` is read strictly and written last; what the repository holds of snapshots is what they say."""

import json
import subprocess
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.repository.packing_world import Listener
from tests.repository.sample_snapshots import sample_snapshot, stored_part
from tests.repository.snapshot_world import BEGUN, KEYS, SnapshotWorld, label_of
from understudy.adapters.files import FileStore
from understudy.repository.catalog import Repository
from understudy.repository.snapshots.copying import copy_snapshot_objects
from understudy.repository.snapshots.keys import SnapshotKeys, label_of_part, part_name
from understudy.repository.snapshots.manifest import SnapshotManifest
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.identifiers import ResourceName, SnapshotLabel, is_snapshot_label
from understudy.vocabulary.sealing import Sealing


@pytest.fixture
def world(tmp_path):
    world = SnapshotWorld(tmp_path)
    world.collection.put("a", b"content")
    return world


def as_stored(snapshot):
    return json.loads(json.dumps(snapshot.to_json()))


def test_a_label_is_the_second_in_which_its_snapshot_was_begun():
    label = SnapshotLabel.of(BEGUN)
    assert (label.text, label.begun) == ("20261123-030000S", BEGUN)
    assert SnapshotLabel("20261399-030000S").begun is None
    for text in ("20261123-030000F", "20261123-030000", "20261123-030000S\n", ""):
        assert not is_snapshot_label(text)
        with pytest.raises(ValueError, match="not a snapshot's label"):
            SnapshotLabel(text)


def test_a_part_tells_for_which_snapshot_it_was_stored():
    name = part_name(label_of(0), "7f3a1", 12, Sealing.AGE)
    assert name == "20261123-030000S-7f3a1-0012.tar.zst.age"
    assert label_of_part(name) == label_of(0)
    assert label_of_part("base-7f3a-0001.tar.zst.age") is None
    with pytest.raises(ValueError, match="not an attempt"):
        part_name(label_of(0), "../x", 1, Sealing.AGE)


@pytest.mark.parametrize("kind", ["postgres", "evidence", "stack", "controller", "", "Files", "a/b"])
def test_a_kind_under_whose_name_something_else_lies_is_none(kind):
    with pytest.raises(ValueError, match="not a kind"):
        SnapshotKeys(kind, ResourceName("documents"))


def test_a_manifest_comes_back_as_it_was():
    snapshot = sample_snapshot()
    assert SnapshotManifest.from_json(as_stored(snapshot)) == snapshot
    assert snapshot.sealed_bytes == 300 + 1001 + 1002


@pytest.mark.parametrize("field", sorted(sample_snapshot().to_json()))
def test_a_field_that_is_missing_or_of_another_type_is_refused(field):
    document = as_stored(sample_snapshot())
    for changed in ({key: value for key, value in document.items() if key != field}, document | {field: {"surprise": 1}}):
        with pytest.raises(GiveUp, match="document_malformed"):
            SnapshotManifest.from_json(changed)


@pytest.mark.parametrize(
    "change",
    [
        {"unknown": 1},
        {"kind": "postgres"},
        {"label": "20261123-030000F"},
        {"stop_time": "2026-11-23T02:00:00+00:00"},
        {"start_time": "2026-11-23T03:00:00"},
        {"sums_sha256": "00" * 32},
        {"parts": as_stored(sample_snapshot())["parts"][::-1]},
        {"parts": as_stored(sample_snapshot())["parts"][:1]},
        {"origin": "somebody"},
        {"entries": -1},
    ],
)
def test_what_contradicts_itself_is_refused(change):
    with pytest.raises(GiveUp, match="document_malformed"):
        SnapshotManifest.from_json(as_stored(sample_snapshot()) | change)


@pytest.mark.parametrize("name", ["../parts/x", "listing-../x.jsonl.zst.age", "listing.jsonl"])
def test_a_listing_of_another_name_is_refused(name):
    with pytest.raises(ValueError, match="no name of a listing"):
        sample_snapshot(listing=replace(stored_part(), name=name))


def test_a_newer_format_is_refused_with_what_to_do():
    with pytest.raises(Refusal, match="format_newer"):
        SnapshotManifest.from_json(as_stored(sample_snapshot()) | {"format_version": 2})


def test_a_snapshot_is_listed_once_its_manifest_is_written(world):
    written = world.write(1)
    found = world.snapshots.found()
    assert (found.usable, found.unusable, found.unfinished) == ((), (), (label_of(1),))
    with pytest.raises(GiveUp, match="snapshot_missing"):
        world.snapshots.snapshot(label_of(1))
    manifest = world.manifest_of(1, written)
    for _ in range(2):
        world.snapshots.write_manifest(manifest)
    found = world.snapshots.found()
    assert (found.usable, found.unusable, found.unfinished) == ((manifest,), (), ())
    assert world.snapshots.snapshot(label_of(1)) == manifest


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("harm", ["absent", "short"])
def test_a_manifest_is_not_written_over_an_absent_or_short_object(world, which, harm):
    manifest = world.manifest_of(1, world.write(1))
    path = world.path(manifest.objects()[which][0])
    path.unlink() if harm == "absent" else path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(GiveUp, match="part_corrupt"):
        world.snapshots.write_manifest(manifest)
    assert world.snapshots.found().usable == ()


def test_another_snapshot_under_the_same_label_is_refused(world):
    first = world.take(1)
    with pytest.raises(GiveUp, match="snapshot_exists"):
        world.snapshots.write_manifest(replace(first, source="elsewhere"))
    assert world.snapshots.snapshot(label_of(1)) == first


def test_without_a_signing_key_there_is_no_snapshot(world):
    manifest = world.manifest_of(1, world.write(1))
    snapshots = Repository(world.store, world.sealer, replace(KEYS, signing_key=None)).snapshots("files", manifest.resource)
    with pytest.raises(GiveUp, match="signing_key_missing"):
        snapshots.write_manifest(manifest)


def test_a_manifest_moved_to_another_label_or_resource_is_refused(world):
    world.take(1)
    content = world.path(world.snapshots.place.manifest(label_of(1))).read_bytes()
    world.store.put(world.snapshots.place.manifest(label_of(2)), [content])
    elsewhere = world.repository.snapshots("bucket", ResourceName("documents"))
    world.store.put(elsewhere.place.manifest(label_of(1)), [content])
    for snapshots, label in ((world.snapshots, label_of(2)), (elsewhere, label_of(1))):
        with pytest.raises(GiveUp, match="document_malformed"):
            snapshots.snapshot(label)


def test_the_newest_that_was_complete_at_a_moment_is_found_and_unusable_ones_are_passed_over(world):
    for number in (10, 20, 30):
        world.take(number)
    world.path(world.snapshots.place.manifest(label_of(20))).write_bytes(b"{}")

    def newest(seconds):
        found = world.snapshots.newest_before(BEGUN + timedelta(seconds=seconds))
        return found and found.label

    assert [newest(seconds) for seconds in (5, 10, 25, 30, 99)] == [None, label_of(10), label_of(10), label_of(30), label_of(30)]


def test_the_sums_are_what_sha256sum_checks(world):
    first = world.take(1)
    world.collection.put("b", b"more")
    second = world.take(2, first)
    folder = world.path(world.snapshots.place.folder(label_of(2)))
    checked = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.count(": OK") == 1 + len(second.parts) == 3


def test_a_listing_that_a_killed_attempt_left_is_no_obstacle(world):
    world.write(1)
    second = world.take(1, attempt="a2")
    assert second.listing.name == "listing-a2.jsonl.zst.age"
    assert world.restored(second) == {"a": b"content"}


@pytest.fixture
def far(tmp_path):
    return FileStore.create(tmp_path / "far")


def copied(world, snapshot, far, newest_there=None):
    listener = Listener()
    return copy_snapshot_objects(snapshot, world.store, far, newest_there=newest_there, progress=listener, cancellation=listener)


def test_a_copy_restores_and_the_next_one_costs_what_is_new(world, far):
    first = world.take(1)
    world.collection.put("b", b"more")
    second = world.take(2, first)
    there = Repository(far, world.sealer, KEYS).snapshots("files", first.resource)
    assert copied(world, first, far).objects == 2
    there.write_manifest(first)
    assert (copied(world, first, far).objects, copied(world, first, far).already_there) == (0, 2)
    reads = []
    read = far.read
    far.read = lambda key, offset=0: reads.append(key) or read(key, offset)
    found = copied(world, second, far, there.snapshot(first.label))
    assert (found.objects, found.already_there) == (2, 1)
    assert not [key for key in reads if "/parts/" in key]
    there.write_manifest(second)
    world.snapshots = there
    assert world.restored(second) == {"a": b"content", "b": b"more"}


def test_a_part_that_is_damaged_on_either_side_is_not_taken_for_a_copy(world, far):
    first = world.take(1)
    path = world.path(first.objects()[1][0])
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(GiveUp, match="part_corrupt"):
        copied(world, first, far)
    path.write_bytes(whole)
    far.put(first.objects()[1][0], [whole[:-1]])
    with pytest.raises(GiveUp, match="part_corrupt"):
        copied(world, first, far)
