"""Every kind of damage to a stored snapshot is noticed by a check and by a restore; what is whole is not blamed."""

import os
import shutil
from dataclasses import replace

import pytest

from tests.contracts.collections_in_memory import MemoryTarget
from tests.repository.sample_keys import fresh_keys
from tests.repository.snapshot_world import KEYS, SnapshotWorld, label_of
from understudy.repository.sealing import read_sealed, store_sealed
from understudy.repository.snapshots.catalog import Snapshots
from understudy.repository.snapshots.checks import check_contents, check_snapshot
from understudy.repository.snapshots.listing import Placed, decode_listing, encode_listing
from understudy.repository.snapshots.manifest import SealedPart
from understudy.vocabulary.errors import GiveUp


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """Two snapshots, the second of which stands on a part of the first."""
    world = SnapshotWorld(tmp_path_factory.mktemp("pristine"))
    for number in range(6):
        world.collection.put(f"a/{number}", os.urandom(4000))
    world.collection.put("large", os.urandom(3_000_000))
    first = world.take(1, part_bytes=10_000)
    world.collection.put("a/0", b"another")
    world.take(2, first, part_bytes=10_000)
    return world


@pytest.fixture
def world(pristine, tmp_path):
    shutil.copytree(pristine.root, tmp_path / "copied")
    world = SnapshotWorld(tmp_path)
    shutil.rmtree(world.root)
    shutil.move(tmp_path / "copied", world.root)
    world.manifest = world.snapshots.snapshot(label_of(2))
    return world


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path):
    path.write_bytes(path.read_bytes() + b"x")


def remove(path):
    path.unlink()


HARMS = [(flip, "part_corrupt"), (cut, "part_corrupt"), (lengthen, "part_corrupt"), (remove, "part_missing")]


def checked(world, deep):
    if deep:
        return check_contents(world.opened(world.manifest), world.directory / "runs/check", lambda _: None)
    return check_snapshot(world.store, world.manifest, lambda _: None)


@pytest.mark.parametrize("deep", [False, True])
def test_what_is_whole_has_no_fault(world, deep):
    passed = []
    found = check_contents(world.opened(world.manifest), world.directory / "i", passed.append) if deep else checked(world, deep)
    assert found.faults == ()
    assert found.objects == 1 + len(world.manifest.parts)
    assert found.sealed_bytes == world.manifest.sealed_bytes
    assert found.files == (7 if deep else None)
    assert not deep or sum(passed) > 3_000_000


@pytest.mark.parametrize(("harm", "code"), HARMS)
@pytest.mark.parametrize("which", ["listing", 0, -1])
def test_a_damaged_object_is_named_by_both_checks_and_nothing_of_it_is_restored(world, pristine, harm, code, which):
    objects = world.manifest.objects()
    key = objects[0][0] if which == "listing" else objects[1:][which][0]
    harm(world.path(key))
    for deep in (False, True):
        assert [(fault.key, fault.code) for fault in checked(world, deep).faults] == [(key, code)]
    target = MemoryTarget()
    with pytest.raises(GiveUp) as raised:
        world.restore(world.manifest, target)
    assert raised.value.code == code
    assert which != "listing" or target.written == {}
    assert all(content == pristine.collection.held[name][1] for name, (_, content) in target.written.items())


def test_two_parts_that_were_swapped_are_both_named(world):
    first, second = (world.path(key) for key, _ in world.manifest.objects()[1:3])
    aside = world.directory / "aside"
    first.rename(aside)
    second.rename(first)
    aside.rename(second)
    assert [fault.code for fault in checked(world, False).faults] == ["part_corrupt"] * 2
    with pytest.raises(GiveUp, match="part_corrupt"):
        world.restored(world.manifest)


def signed_again(world, change, **changes):
    """The snapshot with another listing, signed as it should be: what no key is lost for, only what was written is wrong."""
    listing_key = world.manifest.objects()[0][0]
    entries = list(decode_listing(read_sealed(world.store, world.sealer, listing_key, KEYS.identity)))
    world.path(listing_key).unlink()
    sealed = store_sealed(world.store, world.sealer, listing_key, encode_listing(map(change, entries)), KEYS.recipients)
    world.path(world.snapshots.place.manifest(label_of(2))).unlink()
    world.path(world.snapshots.place.sums(label_of(2))).unlink()
    listing = SealedPart(world.manifest.listing.name, sealed.sealed_bytes, sealed.sealed_sha256, sealed.plain_bytes)
    world.manifest = replace(world.manifest, listing=listing, **changes)
    world.snapshots.write_manifest(world.manifest)


def test_a_content_that_is_not_what_the_listing_says_is_named_and_not_restored(world):
    def another_digest(listed):
        if listed.entry.key != "a/3":
            return listed
        return replace(listed, placed=Placed("0" * 64, listed.placed.part, listed.placed.member))

    signed_again(world, another_digest)
    assert checked(world, False).faults == ()
    (fault,) = checked(world, True).faults
    assert fault.code == "part_corrupt"
    target = MemoryTarget()
    with pytest.raises(GiveUp, match="part_corrupt"):
        world.restore(world.manifest, target)
    assert "a/3" not in target.written


def test_a_large_content_that_is_not_what_the_listing_says_is_not_restored(world):
    def another_digest(listed):
        return replace(listed, placed=replace(listed.placed, sha256="1" * 64)) if listed.entry.key == "large" else listed

    signed_again(world, another_digest)
    target = MemoryTarget()
    with pytest.raises(GiveUp, match="part_corrupt"):
        world.restore(world.manifest, target)
    assert "large" not in target.written


def test_a_member_that_is_not_in_its_part_is_named(world):
    def another_member(listed):
        return replace(listed, placed=replace(listed.placed, member=77)) if listed.entry.key == "a/3" else listed

    signed_again(world, another_member)
    assert [fault.code for fault in checked(world, True).faults] == ["part_incomplete"]
    with pytest.raises(GiveUp, match="part_incomplete"):
        world.restored(world.manifest)


def test_a_size_that_is_not_the_contents_is_named_and_not_restored(world):
    def another_size(listed):
        return replace(listed, entry=replace(listed.entry, size_bytes=5)) if listed.entry.key == "a/3" else listed

    signed_again(world, another_size)
    assert [fault.code for fault in checked(world, True).faults] == ["document_malformed"]
    with pytest.raises(GiveUp, match="document_malformed"):
        world.restored(world.manifest)


@pytest.mark.parametrize("changes", [{"entries": 99}, {"parts": ()}])
def test_a_listing_that_does_not_fit_the_manifest_is_refused_before_anything_is_written(world, changes):
    signed_again(world, lambda listed: listed, **changes)
    assert [fault.code for fault in checked(world, True).faults] == ["document_malformed"]
    target = MemoryTarget()
    with pytest.raises(GiveUp, match="document_malformed"):
        world.restore(world.manifest, target)
    assert target.written == {}


@pytest.mark.parametrize("harm", [flip, cut, remove])
def test_sums_that_say_something_else_are_named(world, harm):
    key = world.snapshots.place.sums(label_of(2))
    harm(world.path(key))
    (fault,) = checked(world, False).faults
    assert (fault.key, fault.code) == (key, "object_missing" if harm is remove else "sums_differ")


def test_what_a_check_of_another_snapshot_read_is_not_read_again(world):
    first = world.snapshots.snapshot(label_of(1))
    names = {part.name for part in first.parts}
    found = check_snapshot(world.store, world.manifest, lambda _: None, read_already=names)
    assert found.objects == 1 + len([part for part in world.manifest.parts if part.name not in names])


def test_a_manifest_that_is_unsigned_changed_or_signed_by_a_stranger_is_unusable(world):
    path = world.path(world.snapshots.place.manifest(label_of(2)))
    signed = path.read_bytes()
    stranger = fresh_keys()
    theirs = Snapshots(world.store, world.sealer, stranger, world.snapshots.place)
    for content, code in (
        (b"{}", "signature_missing"),
        (signed.replace(b'"entries":7', b'"entries":8'), "signature_wrong"),
        (signed[:-9], "document_malformed"),
    ):
        path.write_bytes(content)
        found = world.snapshots.found()
        assert [each.error.code for each in found.unusable] == [code]
        assert [each.label for each in found.usable] == [label_of(1)]
        with pytest.raises(GiveUp, match=code):
            world.snapshots.snapshot(label_of(2))
    path.write_bytes(signed)
    assert {each.error.code for each in theirs.found().unusable} == {"signature_untrusted"}


def test_without_the_identity_nothing_opens_and_with_another_one_neither(world):
    stranger = fresh_keys()
    with pytest.raises(GiveUp, match="identity_missing"):
        Snapshots(world.store, world.sealer, replace(KEYS, identity=None), world.snapshots.place).opened(world.manifest)
    opened = Snapshots(world.store, world.sealer, replace(KEYS, identity=stranger.identity), world.snapshots.place)
    with pytest.raises(GiveUp, match="wrong_key"):
        list(opened.opened(world.manifest).listing())
