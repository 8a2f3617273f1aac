"""A directory that becomes another one, or is written to, while it is read."""

import pytest

from tests.adapters.trees.refusals import refused_with
from understudy.adapters.trees import DirectoryCollection, directory_collection
from understudy.adapters.trees.descent import open_root


@pytest.fixture
def root(tmp_path):
    made = tmp_path / "root"
    made.mkdir()
    return made


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
