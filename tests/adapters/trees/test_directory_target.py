"""What is restored into a directory: everything as it was, nothing outside it, and what is missing is said."""

import errno
import os
import pwd
import shutil
import stat
import struct
import tempfile
from pathlib import Path

import pytest

from tests.adapters.files.refusing_kernel import said_by
from tests.adapters.trees.refusals import refused_with
from tests.adapters.trees.unprivileged import as_nobody
from tests.contracts.collections import ANOTHER_RUN, KEYS, RUN, CollectionTargetContract, everything, file_of
from tests.servers.tiny_disk import filled
from understudy.adapters.trees import DirectoryCollection, DirectoryTarget
from understudy.ports.collection import Entry, EntryKind

MIB = 1024 * 1024


@pytest.fixture
def root(tmp_path):
    return tmp_path / "target"


@pytest.fixture
def target(root):
    return DirectoryTarget(root)


class TestDirectoryTarget(CollectionTargetContract):
    KEYS = (*KEYS, "tab\tand\nline")

    @pytest.fixture
    def target(self, target):
        return target

    @pytest.fixture
    def again(self, target, root):
        return DirectoryTarget(root)

    @pytest.fixture
    def as_collection(self, target, root):
        return DirectoryCollection(root)

    @pytest.fixture
    def put_stray(self, target, root):
        def put(key):
            root.mkdir()
            (root / key).touch()

        return put


@pytest.mark.parametrize("mode", [0o2775, 0o700, 0o755])
def test_a_directory_that_stood_there_before_is_given_back_as_it_was(root, mode):
    root.mkdir()
    owner = (1234, 2345) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(root, *owner)
    root.chmod(mode)
    before = root.stat()
    DirectoryTarget(root).claim(RUN)
    DirectoryTarget(root).claim(RUN)
    target = DirectoryTarget(root)
    target.write(file_of("a/b", b"content"), [b"content"])
    os.chown(root, os.geteuid(), os.getegid())  # as a restore may
    assert target.abandon(RUN, everything) == ()
    after = root.stat()
    assert [*root.iterdir()] == []
    assert (after.st_ino, after.st_mode, after.st_uid, after.st_gid) == (before.st_ino, before.st_mode, *owner)
    DirectoryTarget(root).claim(ANOTHER_RUN)


def test_a_directory_that_the_restore_made_goes_with_it(root, target):
    target.claim(RUN)
    target.claim(RUN)
    target.write(file_of("a/b"), [])
    assert target.abandon(RUN, everything) == ()
    assert not root.exists()


def access_list(user: int) -> bytes:
    entries = [(1, 6, 0xFFFFFFFF), (2, 4, user), (4, 4, 0xFFFFFFFF), (0x10, 4, 0xFFFFFFFF), (0x20, 0, 0xFFFFFFFF)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *each) for each in entries)


def restored(source: Path, target: DirectoryTarget) -> list[Entry]:
    """A copy in the order that the port asks for."""
    collection = DirectoryCollection(source)
    entries = [*collection.entries()]
    target.claim(RUN)
    for entry in sorted(entries, key=lambda each: (each.kind is EntryKind.HARD_LINK, each.key)):
        target.write(entry, collection.read(entry) if entry.kind is EntryKind.FILE else ())
    target.finish(entries, RUN)
    return entries


def as_told(directory: Path) -> dict[str, tuple[object, ...]]:
    """Which of a file's names is the file, and which the links, depends on the order in which they are met: left out."""
    told: dict[str, tuple[object, ...]] = {}
    for each in DirectoryCollection(directory).entries():
        has_content = each.kind in (EntryKind.FILE, EntryKind.HARD_LINK)
        told[each.key] = (has_content or each.kind, each.attributes, has_content or each.link)
    return told


def test_everything_is_as_it_was(tmp_path, root, target):
    source = tmp_path / "source"
    (source / "d/inner").mkdir(parents=True)
    (source / "d/f").write_bytes(b"content")
    (source / "d/inner/hard").hardlink_to(source / "d/f")
    (source / "l").symlink_to("d/f")
    os.utime(source / "l", ns=(1, 1_000_000_001), follow_symlinks=False)
    (source / os.fsdecode(b"caf\xe9")).write_bytes(b"latin")
    os.setxattr(source / "d/f", "user.raw", b"\x00\xff")
    os.setxattr(source / "d/f", "system.posix_acl_access", access_list(1234))
    os.setxattr(source / "d", "system.posix_acl_default", access_list(1234))
    with (source / "holes").open("wb") as file:
        file.seek(8 * MIB)
        file.write(b"x")
        file.truncate(16 * MIB)
    (source / "holes").chmod(0o600)
    (source / "program").write_bytes(b"")
    if os.geteuid() == 0:
        os.chown(source / "program", 1234, 4321)
        os.chown(source / "l", 1234, 4321, follow_symlinks=False)
        os.setxattr(source / "program", "security.capability", struct.pack("<IIIII", 0x02000001, 0x400, 0, 0, 0))
    (source / "program").chmod(0o6755)
    (source / "d/inner").chmod(0o555)
    for name in ("d/f", "d/inner", "d"):
        os.utime(source / name, ns=(1, 1_234_567_890_123_456_789))
    os.utime(source, ns=(1, -5))
    source.chmod(0o751)

    restored(source, target)
    assert as_told(root) == as_told(source)
    assert (root / "d/inner/hard").stat().st_ino == (root / "d/f").stat().st_ino
    assert (root / "d/inner/hard").read_bytes() == b"content"
    assert (root / "holes").read_bytes() == (source / "holes").read_bytes()
    assert (root / "holes").stat().st_blocks * 512 < MIB
    assert (root / os.fsdecode(b"caf\xe9")).read_bytes() == b"latin"
    assert target.fell_short() == ()
    (root / "d/inner").chmod(0o755)


def test_paths_longer_than_the_kernel_takes_at_once_are_written(tmp_path, root, target):
    key = "/".join(["x" * 200] * 50 + ["f"])
    target.claim(RUN)
    target.write(file_of(key, b"deep"), [b"deep"])
    target.write(Entry(f"{key}-too", EntryKind.HARD_LINK, link=key), [])
    target.finish([file_of(key)], RUN)
    found = {each.key: each for each in DirectoryCollection(root).entries()}
    assert {each.kind for each in found.values() if each.key.startswith(key)} == {EntryKind.FILE, EntryKind.HARD_LINK}
    assert b"".join(target.read_back(file_of(f"{key}-too"))) == b"deep"


def test_until_the_end_nobody_else_may_enter(root, target):
    target.claim(RUN)
    entries = [
        Entry(".", EntryKind.DIRECTORY, attributes={"mode": "0755", "mtime": "7.000000001"}),
        Entry("d", EntryKind.DIRECTORY, attributes={"mode": "0777"}),
    ]
    for entry in entries:
        target.write(entry, [])
    assert {stat.S_IMODE(each.stat().st_mode) for each in (root, root / "d")} == {0o700}
    target.finish(entries, RUN)
    assert stat.S_IMODE(root.stat().st_mode) == 0o755
    assert stat.S_IMODE((root / "d").stat().st_mode) == 0o777
    assert root.stat().st_mtime_ns == 7_000_000_001


def test_what_an_attempt_left_that_was_killed_goes_with_the_next(root, target):
    target.claim(RUN)
    left = root / ".understudy-run.0123456789abcdef"
    left.write_bytes(b"half of a large file")
    DirectoryTarget(root).claim(RUN)
    assert not left.exists()
    left.write_bytes(b"half")
    target.finish([], RUN)
    assert [*root.iterdir()] == []


def test_what_a_bucket_says_of_an_object_is_left_out(root, target):
    target.claim(RUN)
    entry = Entry("f", EntryKind.FILE, 1, attributes={"content_type": "text/plain", "metadata": {"a": "b"}})
    target.write(entry, [b"x"])
    target.finish([entry], RUN)
    assert (root / "f").read_bytes() == b"x"
    assert target.fell_short() == ()


@pytest.mark.parametrize("above", ["/dev/shm", "/var/tmp"])
def test_a_time_that_a_file_system_has_no_room_for_is_told_and_keeps_back_nothing_else(above):
    """As of milliseconds that were taken for seconds. In memory it stays as it was set, most disks take the nearest they have."""
    with tempfile.TemporaryDirectory(dir=above) as place:
        target = DirectoryTarget(Path(place) / "target")
        target.claim(RUN)
        for key, seconds in (("near", "1764270000"), ("far", "1764270000000"), ("farther", f"-{'9' * 30}")):
            entry = Entry(key, EntryKind.FILE, 1, attributes={"mtime": f"{seconds}.000000000"})
            target.write(entry, [b"x"])
            assert b"".join(target.read_back(entry)) == b"x"
        is_kept = (Path(place) / "target/far").stat().st_mtime_ns == 1_764_270_000_000 * 10**9
        told = [each.partition(" (")[0] for each in target.fell_short()]
    assert told == ([] if is_kept else ["far: time of change"]) + ["farther: time of change"]


def test_access_lists_that_a_directory_above_hands_down_are_not_added(tmp_path, root, target):
    os.setxattr(tmp_path, "system.posix_acl_default", access_list(1234))
    target.claim(RUN)
    entries = [
        Entry("d", EntryKind.DIRECTORY, attributes={"mode": "0750"}),
        Entry("d/f", EntryKind.FILE, attributes={"mode": "0640"}),
    ]
    for entry in entries:
        target.write(entry, [])
    target.finish(entries, RUN)
    found = {each.key: each.attributes for each in DirectoryCollection(root).entries()}
    assert (found["d"]["mode"], found["d/f"]["mode"]) == ("0750", "0640")
    assert "xattrs" not in found["d"]
    assert "xattrs" not in found["d/f"]


def test_another_user_than_root_restores_what_they_may_and_is_told_what_is_missing(own_directory):
    owner = {"uid": 0, "gid": 0, "user": "root", "group": "root"}
    entries = [
        Entry(".", EntryKind.DIRECTORY, attributes={"mode": "0000", **owner}),
        Entry("d", EntryKind.DIRECTORY, attributes={"mode": "0000", "mtime": "5.000000000"}),
        Entry("d/closed", EntryKind.DIRECTORY, attributes={"mode": "0500", "xattrs": {"user.a": "YQ=="}}),
        Entry("d/closed/f", EntryKind.FILE, 1, attributes={"mode": "0000", "xattrs": {"user.a": "YQ==", "trusted.b": "Yg=="}}),
        Entry("setuid", EntryKind.FILE, 1, attributes={"mode": "6755", **owner}),
        Entry("l", EntryKind.SYMLINK, link="d", attributes=owner),
    ]

    def restore():
        root = own_directory / "target"
        for attempt in range(2):  # the second as after a kill at the very end
            target = DirectoryTarget(root)
            if not attempt:
                target.claim(RUN)
                for entry in entries:
                    target.write(entry, [b"x"] if entry.kind is EntryKind.FILE else [])
            target.finish(entries, RUN)
        top = stat.S_IMODE(root.stat().st_mode)
        root.chmod(0o700)
        (root / "d").chmod(0o700)
        modes = {each.key: f"{stat.S_IMODE((root / each.key).lstat().st_mode):04o}" for each in entries}
        modes["."] = f"{top:04o}"
        return [modes, (root / "d").stat().st_mtime_ns, [*target.fell_short()]]

    modes, mtime_ns, fell_short = as_nobody(restore)
    assert modes == {".": "0000", "d": "0700", "d/closed": "0500", "d/closed/f": "0000", "setuid": "0755", "l": "0777"}
    assert mtime_ns == 5_000_000_000
    assert fell_short == [".: owner root:root"]


def test_what_could_not_be_put_back_is_told_by_whom_wrote_it(own_directory):
    entries = [
        Entry("setuid", EntryKind.FILE, 1, attributes={"mode": "6755", "uid": 4242, "gid": 4243}),
        Entry("l", EntryKind.SYMLINK, link="d", attributes={"uid": 4242}),
        Entry("x", EntryKind.FILE, 1, attributes={"mode": "0600", "xattrs": {"trusted.b": "Yg==", "user.a": "YQ=="}}),
    ]

    def restore():
        target = DirectoryTarget(own_directory / "target")
        target.claim(RUN)
        for entry in entries:
            target.write(entry, [b"x"] if entry.kind is EntryKind.FILE else [])
        return [*target.fell_short()]

    assert as_nobody(restore) == [
        "setuid: owner 4242:4243",
        "setuid: mode 6755, which goes with the owner",
        "l: owner 4242:None",
        "x: attribute trusted.b (Operation not permitted)",
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_an_owner_is_who_has_that_name_here_or_the_number_where_that_is_asked_for(root):
    attributes = {"mode": "0644", "uid": 4242, "gid": 4243, "user": "nobody", "group": "no such group"}
    for numeric, owner in ((False, (65534, 4243)), (True, (4242, 4243))):
        target = DirectoryTarget(root, numeric_owner=numeric)
        target.claim(RUN)
        target.write(Entry("f", EntryKind.FILE, attributes=attributes), [])
        found = (root / "f").stat()
        assert (found.st_uid, found.st_gid) == owner


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_setuid_bit_is_not_lent_to_a_stranger_who_has_the_number_here(root, target):
    target.claim(RUN)
    taken = {"uid": 65534, "gid": pwd.getpwnam("nobody").pw_gid, "user": "no such user", "group": "no such group"}
    free = {"uid": 4242, "gid": 4243, "user": "no such user", "group": "no such group"}
    for key, owner in (("taken", taken), ("free", free), ("nameless", {"uid": 65534, "gid": taken["gid"]})):
        target.write(Entry(key, EntryKind.FILE, attributes={"mode": "6755", **owner}), [])
    modes = {key: f"{stat.S_IMODE((root / key).stat().st_mode):04o}" for key in ("taken", "free", "nameless")}
    assert modes == {"taken": "0755", "free": "6755", "nameless": "6755"}
    assert (root / "taken").stat().st_uid == 65534
    assert target.fell_short() == ("taken: mode 6755, which goes with the owner",)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_directory_of_somebody_else_is_ours_until_the_end(root, target):
    root.mkdir()
    os.chown(root, 65534, 65534)
    target.claim(RUN)
    assert (root.stat().st_uid, stat.S_IMODE(root.stat().st_mode)) == (0, 0o700)
    target.finish([Entry(".", EntryKind.DIRECTORY, attributes={"mode": "0750", "uid": 65534, "gid": 65534})], RUN)
    assert (root.stat().st_uid, stat.S_IMODE(root.stat().st_mode)) == (65534, 0o750)


def test_where_no_further_names_can_be_made_there_is_a_copy_and_that_is_told(tmp_path):
    program = """
from understudy.adapters.trees import DirectoryTarget
from understudy.ports.collection import Entry, EntryKind
target = DirectoryTarget(Path(sys.argv[1]) / "target")
target.claim("run-1")
entry = Entry("f", EntryKind.FILE, 1, attributes={"mode": "0640"})
target.write(entry, [b"x"])
refuse(linkat=errno.EPERM)
target.write(Entry("h", EntryKind.HARD_LINK, link="f", attributes={"mode": "0640"}), [])
target.finish([entry], "run-1")
print(*target.fell_short())
"""
    said = said_by(tmp_path, program)
    assert said.strip() == "h: a copy, and not a further name of f (Operation not permitted)"
    copy = tmp_path / "target/h"
    assert copy.read_bytes() == b"x"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o640
    assert copy.stat().st_nlink == 1


def test_a_full_disk_is_said_to_be_full_and_takes_up_nothing(tiny_file_system):
    target = DirectoryTarget(tiny_file_system / "target")
    target.claim(RUN)
    before = shutil.disk_usage(tiny_file_system).used
    refused_with("target_full", lambda: target.write(file_of("large"), [bytes(MIB)] * 20))
    assert shutil.disk_usage(tiny_file_system).used == before
    with filled(tiny_file_system):
        refused_with("target_full", lambda: target.write(file_of("small", b"x"), [b"x" * 5000]))
    target.write(file_of("small", b"x"), [b"x"])


def test_a_directory_that_may_not_be_written_is_said_to_be_denied(own_directory):
    def restore():
        target = DirectoryTarget(own_directory / "target")
        target.claim(RUN)
        (own_directory / "target").chmod(0o500)
        return refused_with("target_denied", lambda: target.write(file_of("f"), [])).found

    assert as_nobody(restore).startswith("writing f: ")


def test_a_disk_that_fails_is_said_to_fail(tmp_path):
    program = """
from understudy.adapters.trees import DirectoryTarget
from understudy.ports.collection import Entry, EntryKind
target = DirectoryTarget(Path(sys.argv[1]) / "target")
target.claim("run-1")
refuse(fsync=errno.EIO, syncfs=errno.EIO)
print(code_of(target.flush))
print(code_of(lambda: target.finish([], "run-1")))
print((Path(sys.argv[1]) / "target/.understudy-run").exists())
"""
    assert said_by(tmp_path, program).split() == ["target_unwritable", "target_unwritable", "True"]


def test_a_directory_in_place_of_a_file_is_not_replaced(root, target):
    target.claim(RUN)
    target.write(file_of("d/f"), [])
    refused_with("target_unexpected", lambda: target.write(file_of("d"), []))
    refused_with("target_unexpected", lambda: target.write(Entry("d/f", EntryKind.DIRECTORY), []))
    refused_with("target_unexpected", lambda: target.write(file_of("d/f/g"), []))
    assert {each.name for each in root.iterdir()} == {".understudy-run", "d"}


def test_a_name_that_the_file_system_does_not_take_is_told(target):
    target.claim(RUN)
    found = refused_with("target_unwritable", lambda: target.write(file_of("\udce9\n" + "x" * 300), []))
    assert os.strerror(errno.ENAMETOOLONG) in found.found
    assert "\\udce9\\n" in str(found)


def test_a_second_run_does_not_finish_what_the_first_began(root, target):
    target.claim(RUN)
    entry = Entry("d", EntryKind.DIRECTORY, attributes={"mode": "0777"})
    target.write(entry, [])
    refused_with("target_not_empty", lambda: target.finish([entry], ANOTHER_RUN))
    assert stat.S_IMODE((root / "d").stat().st_mode) == 0o700
