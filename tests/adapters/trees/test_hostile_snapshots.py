"""Whatever a snapshot lists, nothing outside the directory is written, changed or read."""

import stat

import pytest

from tests.adapters.trees.refusals import refused_with
from tests.contracts.collections import RUN, file_of
from understudy.adapters.trees import DirectoryTarget
from understudy.ports.collection import Entry, EntryKind


@pytest.fixture
def root(tmp_path):
    return tmp_path / "target"


@pytest.fixture
def target(root):
    return DirectoryTarget(root)


HOSTILE = ["", "..", "../up", "a/../../b", "/etc/passwd", "a//b", "a/", "./a", "a\0b", ".understudy-run", ".understudy-run.x"]


@pytest.mark.parametrize("key", HOSTILE)
def test_a_key_that_leads_out_of_the_directory_is_refused(root, target, key):
    target.claim(RUN)
    target.write(file_of("f"), [])
    for use in (
        lambda: target.write(file_of(key, b"x"), [b"x"]),
        lambda: target.write(Entry(key, EntryKind.DIRECTORY), []),
        lambda: target.write(Entry(key, EntryKind.SYMLINK, link="/etc"), []),
        lambda: target.write(Entry(key, EntryKind.HARD_LINK, link="f"), []),
        lambda: target.write(Entry("l", EntryKind.HARD_LINK, link=key), []),
        lambda: target.finish([Entry(key, EntryKind.DIRECTORY, attributes={"mode": "0777"})], RUN),
        lambda: [*target.read_back(file_of(key))],
    ):
        refused_with("entry_refused", use)
    assert {each.name for each in root.iterdir()} == {".understudy-run", "f"}
    assert [each.name for each in root.parent.iterdir()] == ["target"]


def test_a_link_in_the_snapshot_leads_nobody_out_of_the_directory(tmp_path, root, target):
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o700)
    (outside / "f").write_bytes(b"kept")
    target.claim(RUN)
    target.write(Entry("d", EntryKind.SYMLINK, link=str(outside)), [])
    target.write(Entry("l", EntryKind.SYMLINK, link=str(outside / "f")), [])
    for use in (
        lambda: target.write(file_of("d/f", b"x"), [b"x"]),
        lambda: target.write(file_of("d/new", b"x"), [b"x"]),
        lambda: target.write(Entry("d/e", EntryKind.DIRECTORY), []),
        lambda: target.write(Entry("d/e/f", EntryKind.SYMLINK, link="x"), []),
        lambda: target.write(Entry("d", EntryKind.DIRECTORY), []),
        lambda: target.finish([Entry("d", EntryKind.DIRECTORY, attributes={"mode": "0777"})], RUN),
        lambda: target.finish([Entry("d/f", EntryKind.FILE, attributes={"mode": "0000"})], RUN),
    ):
        refused_with("target_unexpected", use)
    for key in ("d/f", "l"):
        refused_with("entry_gone", lambda key=key: [*target.read_back(file_of(key))])
        refused_with("entry_gone", lambda key=key: target.write(Entry("h", EntryKind.HARD_LINK, link=key), []))
    assert [(each.name, each.read_bytes()) for each in outside.iterdir()] == [("f", b"kept")]
    assert stat.S_IMODE(outside.stat().st_mode) == 0o700
    target.write(file_of("l", b"a file now"), [b"a file now"])
    assert (outside / "f").read_bytes() == b"kept"
    assert not (root / "l").is_symlink()


@pytest.mark.parametrize(
    "attributes",
    [
        {"mode": "99999"},
        {"mode": 420},
        {"mtime": "yesterday"},
        {"uid": -1},
        {"gid": 2**32 - 1},
        {"uid": "root"},
        {"user": 5},
        {"xattrs": {"user.x": "no base64"}},
        {"xattrs": []},
    ],
)
def test_attributes_that_no_file_can_have_are_refused(target, attributes):
    target.claim(RUN)
    refused_with("entry_refused", lambda: target.write(Entry("f", EntryKind.FILE, attributes=attributes), []))
