"""A directory that becomes another one, or is written to, while it is read."""

import mmap
import os
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.adapters.trees.refusals import refused_with
from understudy.adapters.trees import DirectoryCollection, directory_collection
from understudy.adapters.trees.descent import open_root

MIB = 1024 * 1024
COARSE_CLOCK = 5
"""``linux/time.h``: by which files are stamped."""


@pytest.fixture
def root(tmp_path):
    made = tmp_path / "root"
    made.mkdir()
    return made


@pytest.fixture
def on_disk():
    """Where stores into mapped memory leave stamps, once the pages were written out: in memory they never are."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        with mapped(Path(directory) / "tried") as store:
            store(0, b"1")
            before = stored_long_ago(Path(directory) / "tried")
            os.sync()
            store(0, b"2")
        if (Path(directory) / "tried").stat().st_ctime_ns == before:
            pytest.skip("the disk of /var/tmp stamps no stores into mapped memory")
        (Path(directory) / "tried").unlink()
        yield Path(directory)


@contextmanager
def mapped(path):
    path.write_bytes(bytes(4 * MIB))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:

        def store(at, content):
            memory[at : at + len(content)] = content

        yield store


def stored_long_ago(path):
    """Its stamp, of a tick that is over."""
    waited = threading.Event()
    while time.clock_gettime_ns(COARSE_CLOCK) <= path.stat().st_ctime_ns:
        waited.wait(0.002)
    return path.stat().st_ctime_ns


def listed(collection):
    return {each.key: each for each in collection.entries()}


def test_a_directory_that_becomes_another_one_while_it_is_read_ends_it(root):
    """As a link to the newest release does, and the mount point of a disk that goes away: nothing of it was removed."""
    (root / "f").write_bytes(b"x")
    (root.parent / "next").mkdir()
    link = root.parent / "current"
    link.symlink_to(root)
    collection = DirectoryCollection(link)
    entry = listed(collection)["f"]
    listing = collection.entries()
    next(listing)
    (root.parent / "switched").symlink_to("next")
    (root.parent / "switched").replace(link)
    refused_with("source_replaced", lambda: [*listing])
    refused_with("source_replaced", lambda: [*collection.read(entry)])
    refused_with("source_replaced", lambda: collection.look("f"))
    assert set(listed(collection)) == {"."}
    assert collection.look("f") is None


def test_a_directory_that_becomes_another_one_between_opening_it_and_looking_lost_no_file(root, monkeypatch):
    (root / "f").write_bytes(b"x")
    collection = DirectoryCollection(root)
    entry = listed(collection)["f"]

    def replaced_at_once(path):
        handle = open_root(path)
        if (root / "f").exists():
            (root / "f").rename(root.parent / "f")
            root.rename(root.parent / "earlier")
            root.mkdir()
        return handle

    monkeypatch.setattr(directory_collection, "open_root", replaced_at_once)
    refused_with("source_replaced", lambda: [*collection.read(entry)])


@pytest.mark.parametrize(("mark", "named"), [('{"run": "run-7"}', "understudy resume run-7"), ("half of", "remove the mark")])
def test_a_directory_that_is_being_restored_is_not_kept_as_if_it_were_whole(root, mark, named):
    (root / "f").write_bytes(b"x")
    (root / ".understudy-run").write_text(mark)
    refused = refused_with("source_being_restored", lambda: listed(DirectoryCollection(root)))
    assert named in refused.hint
    (root / ".understudy-run").unlink()
    assert set(listed(DirectoryCollection(root))) == {".", "f"}


def test_what_is_stored_into_mapped_memory_after_a_listing_has_another_fingerprint(on_disk):
    collection = DirectoryCollection(on_disk)
    with mapped(on_disk / "f") as store:
        store(0, b"first")
        stored_long_ago(on_disk / "f")
        before = listed(collection)["f"]
        store(0, b"second")
        assert listed(collection)["f"].fingerprint != before.fingerprint
        refused_with("entry_changed", lambda: [*collection.read(before)])


def test_what_is_stored_into_mapped_memory_while_it_is_listed_is_read_again_and_is_no_mixture(on_disk):
    collection = DirectoryCollection(on_disk)
    with mapped(on_disk / "f") as store:
        listed(collection)
        store(0, b"first")
        stored_long_ago(on_disk / "f")
        entry = collection.look("f")
        assert collection.look("f").fingerprint != entry.fingerprint
        reading = collection.read(entry)
        next(reading)
        store(0, b"second")
        store(3 * MIB, b"second")
        refused_with("entry_changed", lambda: [*reading])
