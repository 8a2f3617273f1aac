"""A directory that is restored onto a file system with less room than its files say they are long."""

import os
import shutil

import pytest

from tests.app.shelf import Shelf, flip, proof_of
from tests.room import new_path
from tests.servers.tiny_disk import small_disk

MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def sparse():
    """A file of 24 MB, nearly all of it a hole, beside one of 1 MB; only to be looked at and copied."""
    directory = new_path("shelf")
    directory.mkdir()
    made = Shelf(directory)
    made.docs.mkdir()
    with (made.docs / "disk.img").open("wb") as file:
        file.write(b"begins")
        file.truncate(24 * MEGABYTE)
    (made.docs / "dense").write_bytes(os.urandom(MEGABYTE))
    made.back_up()
    yield made
    made.close()


def errors_of(view):
    return [step.error for step in view.steps if step.error and step.error.code != "predecessor_failed"]


def provision_of(view):
    return next(step.evidence for step in view.steps if step.key.endswith("/provision-target"))


def test_sparse_files_come_back_where_what_they_hold_has_room_and_that_it_is_short_is_said(sparse, tmp_path):
    with small_disk(tmp_path / "disk", 8) as place:
        view = sparse.restore(place / "found")
        assert view.succeeded, errors_of(view)
        assert (place / "found" / "disk.img").read_bytes() == (sparse.docs / "disk.img").read_bytes()
        assert proof_of(view, "provision-target")["bytes_in_sparse_files"] == 24 * MEGABYTE
        assert f"room is short: {24 * MEGABYTE:,} of {25 * MEGABYTE:,} bytes are in sparse files" in provision_of(view).hint
    view = sparse.restore("roomy")
    assert provision_of(view).hint == "", "nothing is said where there is room for the holes, too"


def test_what_the_other_files_take_must_have_room(sparse, tmp_path):
    copy = sparse.copied_to(new_path("shelf"))
    try:
        (copy.docs / "dense").write_bytes(os.urandom(9 * MEGABYTE))
        copy.back_up()
        with small_disk(tmp_path / "disk", 8) as place:
            view = copy.restore(place / "found")
            (error,) = errors_of(view)
            assert error.code == "target_too_small"
            assert f"at least {9 * MEGABYTE:,} bytes there, without the sparse files" in error.expected
            assert list(place.iterdir()) == []
    finally:
        shutil.rmtree(copy.directory)


def test_a_listing_that_is_damaged_gives_way_to_the_copy_also_while_room_is_looked_for(sparse, tmp_path):
    copy = sparse.copied_to(new_path("shelf"))
    try:
        (snapshot,) = copy.snapshots()
        flip(copy.folder() / "snapshots" / snapshot.label.text / snapshot.listing.name)
        with small_disk(tmp_path / "disk", 8) as place:
            view = copy.restore(place / "found")
            assert view.succeeded, errors_of(view)
            assert proof_of(view, "restore-snapshot")["repository"] == "far"
    finally:
        shutil.rmtree(copy.directory)
