"""What a directory is read as: everything in it, nothing outside it, and nothing that is half old, half new."""

import os
import shutil
import socket
import struct
import tracemalloc
from types import SimpleNamespace

import pytest

from tests.adapters.files.refusing_kernel import said_by
from tests.adapters.trees.refusals import refused_with
from tests.adapters.trees.unprivileged import NOBODY, as_nobody
from tests.contracts.collections import KEYS, CollectionContract
from tests.servers.tiny_disk import small_disk
from understudy.adapters.trees import DirectoryCollection
from understudy.adapters.trees.stamps import bears, fingerprint_of
from understudy.ports.collection import EntryKind
from understudy.vocabulary.errors import Refusal


@pytest.fixture
def root(tmp_path):
    made = tmp_path / "root"
    made.mkdir()
    return made


@pytest.fixture
def collection(root):
    return DirectoryCollection(root)


def listed(collection):
    found = [*collection.entries()]
    by_key = {each.key: each for each in found}
    assert len(by_key) == len(found)
    return by_key


class TestDirectoryCollection(CollectionContract):
    KEYS = (*KEYS, "tab\tand\nline")

    @pytest.fixture
    def collection(self, collection):
        return collection

    @pytest.fixture
    def put(self, root):
        def put(key, content):
            path = root / key
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = root.parent / "aside"
            aside.write_bytes(content)
            aside.replace(path)

        return put

    @pytest.fixture
    def remove(self, root):
        return lambda key: (root / key).unlink()


class TestDirectoryWrittenInPlace(TestDirectoryCollection):
    """As programs do that open a file and write into it."""

    @pytest.fixture
    def put(self, root):
        def put(key, content):
            path = root / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

        return put


def test_every_kind_of_name_is_listed_as_what_it_is(root, collection):
    (root / "d/empty").mkdir(parents=True)
    (root / "d/f").write_bytes(b"12345")
    (root / "l").symlink_to("d/f")
    (root / "broken").symlink_to("/no/where")
    (root / "to-directory").symlink_to("d")
    found = listed(collection)
    assert {key: (each.kind, each.size_bytes, each.link) for key, each in found.items()} == {
        ".": (EntryKind.DIRECTORY, 0, ""),
        "d": (EntryKind.DIRECTORY, 0, ""),
        "d/empty": (EntryKind.DIRECTORY, 0, ""),
        "d/f": (EntryKind.FILE, 5, ""),
        "l": (EntryKind.SYMLINK, 0, "d/f"),
        "broken": (EntryKind.SYMLINK, 0, "/no/where"),
        "to-directory": (EntryKind.SYMLINK, 0, "d"),
    }
    assert {key: collection.look(key) for key in found if key != "d/f"} == {key: found[key] for key in found if key != "d/f"}


def test_owner_mode_and_time_are_told_in_words_that_stock_tools_take(root, collection):
    path = root / "f"
    path.write_bytes(b"")
    os.utime(path, ns=(0, 1_764_270_000_123_456_789))
    path.chmod(0o6750)
    told = listed(collection)["f"].attributes
    assert told["mode"] == "6750"
    assert told["mtime"] == "1764270000.123456789"
    assert (told["uid"], told["gid"]) == (os.geteuid(), os.getegid())
    assert told["user"] == path.owner()
    assert told["group"] == path.group()
    os.utime(path, ns=(0, -1_500_000_000))
    assert listed(collection)["f"].attributes["mtime"] == "-1.500000000"


def test_extended_attributes_and_access_lists_are_told(root, collection):
    path = root / "f"
    path.write_bytes(b"")
    os.setxattr(path, "user.raw", bytes(range(256)))
    entries = [(1, 6, 0xFFFFFFFF), (2, 4, 1234), (4, 4, 0xFFFFFFFF), (0x10, 4, 0xFFFFFFFF), (0x20, 0, 0xFFFFFFFF)]
    os.setxattr(path, "system.posix_acl_access", struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *each) for each in entries))
    assert set(listed(collection)["f"].attributes["xattrs"]) == {"user.raw", "system.posix_acl_access"}


def test_a_file_with_holes_is_told_as_one(root, collection):
    with (root / "holes").open("wb") as file:
        file.truncate(1 << 20)
    (root / "zeros").write_bytes(bytes(1 << 20))
    found = listed(collection)
    assert found["holes"].attributes["sparse"] is True
    assert "sparse" not in found["zeros"].attributes
    assert b"".join(collection.read(found["holes"])) == bytes(1 << 20)


def test_names_that_are_no_utf_8_are_listed_and_read(root, collection):
    name = b"caf\xe9/\xff\xfe"
    path = root / os.fsdecode(name)
    path.parent.mkdir()
    path.write_bytes(b"latin")
    found = listed(collection)[os.fsdecode(name)]
    assert os.fsencode(found.key) == name
    assert b"".join(collection.read(found)) == b"latin"


def test_paths_longer_than_the_kernel_takes_at_once_are_listed_and_read(root, collection):
    here = os.open(root, os.O_RDONLY)
    for _ in range(50):
        os.mkdir("x" * 200, dir_fd=here)
        below = os.open("x" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    with os.fdopen(os.open("f", os.O_WRONLY | os.O_CREAT, dir_fd=here), "wb") as file:
        file.write(b"deep down")
    os.close(here)
    key = "/".join(["x" * 200] * 50 + ["f"])
    found = listed(collection)
    assert len(found) == 52
    assert b"".join(collection.read(found[key])) == b"deep down"
    assert collection.look(key).size_bytes == 9


def test_of_several_names_of_a_file_one_is_the_file_and_the_others_are_links_to_it(root, collection):
    (root / "d").mkdir()
    (root / "a").write_bytes(b"once")
    for name in ("b", "d/c"):
        (root / name).hardlink_to(root / "a")
    found = [each for each in collection.entries() if each.key != "." and each.kind is not EntryKind.DIRECTORY]
    first, *others = found
    assert first.kind is EntryKind.FILE
    assert {(each.kind, each.link, each.fingerprint) for each in others} == {(EntryKind.HARD_LINK, first.key, first.fingerprint)}
    assert {each.key for each in found} == {"a", "b", "d/c"}
    seen = collection.look(others[0].key)
    assert (seen.kind, seen.size_bytes) == (EntryKind.FILE, 4)
    assert b"".join(collection.read(seen)) == b"once"


def test_a_name_whose_other_name_is_excluded_or_outside_is_a_file(root):
    (root / "a.tmp").write_bytes(b"x")
    (root / "b").hardlink_to(root / "a.tmp")
    (root.parent / "outside").write_bytes(b"y")
    (root / "c").hardlink_to(root.parent / "outside")
    found = listed(DirectoryCollection(root, ["*.tmp"]))
    assert {key: each.kind for key, each in found.items() if key != "."} == {"b": EntryKind.FILE, "c": EntryKind.FILE}


def test_a_further_name_of_what_changed_meanwhile_is_told_from_what_it_was_listed_as(root, collection):
    for name in ("a", "b"):
        (root / name).write_bytes(name.encode())
        (root / f"{name}-too").hardlink_to(root / name)
    listing = collection.entries()
    next(listing)
    first = next(listing)
    with (root / first.key).open("ab") as file:
        file.write(b" and more")
    link = next(each for each in listing if each.link == first.key)
    assert link.fingerprint != first.fingerprint


def test_what_cannot_be_kept_is_passed_over_and_named(root, collection):
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(os.path.relpath(root / "s"))
        assert set(listed(collection)) == {"."}
    assert sorted(collection.passed_over()) == ["pipe: a pipe", "s: a socket"]
    assert collection.look("pipe") is None
    (root / "pipe").unlink()
    (root / "s").unlink()
    listed(collection)
    assert collection.passed_over() == ()


def test_what_a_run_left_of_a_mark_is_no_part_of_what_lies_there(root, collection):
    (root / "d").mkdir()
    for name in (".understudy-run.1-2", "d/.understudy-run"):
        (root / name).write_bytes(b"")
    assert set(listed(collection)) == {".", "d", "d/.understudy-run"}


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        (["*.tmp"], {".", "keep.txt", "cache", "cache/x", "d", "d/cache", "d/cache/y"}),
        (["/cache/"], {".", "a.tmp", "keep.txt", "d", "d/b.tmp", "d/cache", "d/cache/y"}),
        (["cache"], {".", "a.tmp", "keep.txt", "d", "d/b.tmp"}),
        (["/*", "!/d/", "b.tmp"], {".", "d", "d/cache", "d/cache/y"}),
        (["*.tmp", "!a.tmp"], {".", "a.tmp", "keep.txt", "cache", "cache/x", "d", "d/cache", "d/cache/y"}),
        (["d/**/y", "# a comment", ""], {".", "a.tmp", "keep.txt", "cache", "cache/x", "d", "d/b.tmp", "d/cache"}),
    ],
)
def test_patterns_leave_out_what_they_would_in_a_gitignore(root, exclude, left):
    (root / "d/cache").mkdir(parents=True)
    (root / "cache").mkdir()
    for name in ("a.tmp", "keep.txt", "cache/x", "d/b.tmp", "d/cache/y"):
        (root / name).write_bytes(b"")
    assert set(listed(DirectoryCollection(root, exclude))) == left


def test_a_pattern_that_is_none_is_refused(root):
    with pytest.raises(Refusal) as refused:
        DirectoryCollection(root, ["*.tmp", "!"])
    assert refused.value.code == "exclude_invalid"


def test_another_file_system_is_left_alone_where_that_is_asked_for(root):
    (root / "d").mkdir()
    with small_disk(root / "mounted", 1) as disk:
        (disk / "below").write_bytes(b"")
        assert set(listed(DirectoryCollection(root))) == {".", "d", "mounted", "mounted/below"}
        assert set(listed(DirectoryCollection(root, one_file_system=True))) == {".", "d", "mounted"}


def test_the_directory_itself_may_be_a_link_and_must_be_there(root):
    (root / "f").write_bytes(b"x")
    link = root.parent / "link"
    link.symlink_to(root)
    assert set(listed(DirectoryCollection(link))) == {".", "f"}
    for missing in (root / "nowhere", root / "f"):
        away = DirectoryCollection(missing)
        refused_with("source_missing", lambda away=away: listed(away))
        refused_with("source_missing", lambda away=away: away.look("f"))


def test_a_link_that_took_the_place_of_what_was_listed_is_not_followed(root, collection):
    (root / "d").mkdir()
    for name in ("f", "d/g", "p"):
        (root / name).write_bytes(b"ours")
    found = listed(collection)
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "g").write_bytes(b"secret")
    shutil.rmtree(root / "d")
    (root / "d").symlink_to(outside)
    (root / "f").unlink()
    (root / "f").symlink_to(outside / "g")
    (root / "p").unlink()
    os.mkfifo(root / "p")
    for key in ("f", "d/g", "p"):
        refused_with("entry_changed", lambda key=key: [*collection.read(found[key])])
    assert collection.look("d/g") is None
    assert collection.look("f").kind is EntryKind.SYMLINK


def test_a_directory_that_becomes_a_link_while_it_is_listed_is_not_followed(root, collection):
    (root / "d").mkdir()
    (root / "d/f").write_bytes(b"")
    listing = collection.entries()
    assert [next(listing).key, next(listing).key] == [".", "d"]
    shutil.rmtree(root / "d")
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"")
    (root / "d").symlink_to(outside)
    assert [*listing] == []


@pytest.mark.parametrize("key", ["", "..", "a/../b", "/etc/passwd", "a//b", "a/", "./a", "a\0b"])
def test_a_key_that_leads_out_of_the_directory_is_none(collection, key):
    with pytest.raises(ValueError, match="no name within"):
        collection.look(key)


def test_what_may_not_be_read_is_said_with_its_name(own_directory):
    def try_it():
        (own_directory / "closed").write_bytes(b"x")
        (own_directory / "closed").chmod(0)
        collection = DirectoryCollection(own_directory)
        entry = listed(collection)["closed"]
        file = refused_with("source_denied", lambda: [*collection.read(entry)]).found
        (own_directory / "d").mkdir(mode=0)
        folder = refused_with("source_denied", lambda: listed(collection)).found
        excluded = set(listed(DirectoryCollection(own_directory, ["/d/"])))
        return [file, folder, sorted(excluded)]

    file, folder, excluded = as_nobody(try_it)
    assert file.startswith("reading closed")
    assert folder.startswith("listing d")
    assert excluded == [".", "closed"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of another user")
def test_files_of_others_that_may_be_read_are_read(own_directory):
    """Their access time cannot be spared: that is for their owner alone."""
    path = own_directory / "of-root"
    path.write_bytes(b"readable")
    path.chmod(0o644)

    def read():
        collection = DirectoryCollection(own_directory)
        return b"".join(collection.read(listed(collection)["of-root"])).decode()

    assert path.stat().st_uid != NOBODY
    assert as_nobody(read) == "readable"


def test_reading_leaves_the_access_time_as_it_was(root, collection):
    (root / "f").write_bytes(b"x")
    os.utime(root / "f", ns=(1_000_000_000, 2_000_000_000))
    b"".join(collection.read(listed(collection)["f"]))
    assert (root / "f").stat().st_atime_ns == 1_000_000_000


def test_a_sector_that_cannot_be_read_is_said_to_be_unreadable(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source/f").write_bytes(b"x")
    program = """
from understudy.adapters.trees import DirectoryCollection
collection = DirectoryCollection(Path(sys.argv[1]) / "source")
entry = collection.look("f")
refuse(read=errno.EIO)
print(code_of(lambda: [*collection.read(entry)]))
"""
    assert said_by(tmp_path, program).strip() == "source_unreadable"


def test_what_was_changed_just_now_has_a_fingerprint_that_never_comes_again():
    """Another change within the tick would leave no trace in its stamps."""

    def found(changed_ns):
        return SimpleNamespace(st_ino=1, st_size=2, st_mtime_ns=3, st_ctime_ns=changed_ns)

    ahead = found((1 << 62) + 1)
    assert fingerprint_of(ahead) != fingerprint_of(ahead)
    assert bears(fingerprint_of(ahead), ahead)
    assert not bears(fingerprint_of(ahead), found((1 << 62) + 2))
    settled = found(1_764_270_000_123_456_789)
    assert fingerprint_of(settled) == fingerprint_of(settled)
    assert bears(fingerprint_of(settled), settled)


def listing_bytes(collection, files):
    listing = collection.entries()
    next(listing), next(listing)
    tracemalloc.start()
    try:
        assert sum(1 for _ in listing) == files - 1
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_listing_takes_no_more_memory_for_more_files(root, collection):
    for number in range(3000):
        (root / f"{number:04d}-{'x' * 60}").write_bytes(b"")
    assert listing_bytes(collection, 3000) < 200_000


def test_of_a_file_whose_other_name_is_outside_a_listing_holds_no_more_than_name_and_stamps(root, collection):
    (root.parent / "outside").mkdir()
    for number in range(1000):
        (root / f"{number:04d}").write_bytes(b"")
        (root.parent / f"outside/{number:04d}").hardlink_to(root / f"{number:04d}")
    assert listing_bytes(collection, 1000) < 500_000
