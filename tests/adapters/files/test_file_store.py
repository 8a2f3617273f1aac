"""A repository in a directory, and what a disk does to it."""

import fcntl
import os
import resource
import signal
import subprocess
import sys

import pytest

from tests.contracts.object_store import ObjectStoreContract
from understudy.adapters.files import FileStore
from understudy.ports.object_store import StoreAbilities
from understudy.vocabulary.errors import GiveUp, TryAgain


class TestFileStore(ObjectStoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        return FileStore.create(tmp_path / "store")


@pytest.fixture
def root(tmp_path):
    FileStore.create(tmp_path / "store")
    return tmp_path / "store"


def test_a_disk_that_is_not_mounted_is_not_written_to(tmp_path):
    mount_point = tmp_path / "disk"
    mount_point.mkdir()
    store = FileStore(mount_point)
    for use in (
        lambda: store.put("a", [b"x"]),
        lambda: list(store.read("a")),
        lambda: store.head("a"),
        lambda: list(store.list()),
        lambda: list(store.folders("")),
        lambda: store.delete("a"),
        lambda: store.probe(),
    ):
        with pytest.raises(TryAgain) as refused:
            use()
        assert refused.value.code == "store_unreachable"
        assert "findmnt" in refused.value.hint


def test_a_disk_that_is_unmounted_while_an_object_is_written_gets_no_folders_in_its_mount_point(tmp_path):
    mount_point = tmp_path / "disk"
    store = FileStore.create(mount_point)

    def content():
        yield b"x"
        mount_point.rename(tmp_path / "away")
        mount_point.mkdir()

    with pytest.raises(TryAgain) as refused:
        store.put("a/b/c", content())
    assert refused.value.code == "store_unreachable"
    assert list(mount_point.iterdir()) == []
    assert list(mount_point.iterdir()) == []


def test_creating_twice_is_creating_once(root):
    FileStore(root).put("a", [b"x"])
    assert [each.key for each in FileStore.create(root).list()] == ["a"]
    assert root.stat().st_mode & 0o777 == 0o700


def test_what_a_dead_process_left_is_swept_and_never_listed(root):
    (root / ".incoming" / "0123456789abcdef").write_bytes(b"left behind")
    store = FileStore(root)
    assert list(store.list()) == []
    store.put("a", [b"x"])
    assert list((root / ".incoming").iterdir()) == []


def test_what_another_process_is_writing_is_not_swept(root):
    busy = root / ".incoming" / "0123456789abcdef"
    with busy.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        FileStore(root).put("a", [b"x"])
        assert busy.exists()


def test_a_process_killed_while_writing_leaves_no_object(root):
    program = (
        "import sys, os, signal; from pathlib import Path; from understudy.adapters.files import FileStore\n"
        "def chunks():\n"
        "    yield b'x' * 100000\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "FileStore(Path(sys.argv[1])).put('a/b', chunks())\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(root)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert list(FileStore(root).list()) == []
    FileStore(root).put("a/b", [b"again"])
    assert list((root / ".incoming").iterdir()) == []


def test_one_who_comes_second_in_a_race_is_refused(root):
    store = FileStore(root)

    def meanwhile():
        yield b"second"
        FileStore(root).put("raced", [b"first"])

    with pytest.raises(GiveUp) as refused:
        store.put("raced", meanwhile())
    assert refused.value.code == "object_exists"
    assert b"".join(store.read("raced")) == b"first"


def test_a_full_disk_is_reported_with_what_is_free(root):
    """A limit on the size of files (EFBIG) stands for the full disk: the kernel refuses the same write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(GiveUp) as refused:
            FileStore(root).put("a", [b"x" * 200_000])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert refused.value.code == "store_full"
    assert "bytes are free" in refused.value.found
    assert list(FileStore(root).list()) == []
    assert list((root / ".incoming").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without the right")
def test_a_directory_of_somebody_else_is_denied(tmp_path):
    root = tmp_path / "store"
    FileStore.create(root)
    child = os.fork()
    if child == 0:
        code = "nothing"
        try:
            for folder in (tmp_path, *list(tmp_path.parents)[:2]):
                folder.chmod(0o755)
            root.chmod(0o755)
            (root / ".incoming").chmod(0o755)
            os.setgid(65534)
            os.setuid(65534)
            FileStore(root).put("a", [b"x"])
        except GiveUp as error:
            code = error.code
        finally:
            os._exit(0 if code == "store_denied" else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_reading_behind_the_end_says_that_the_object_changed(root):
    store = FileStore(root)
    store.put("a", [b"123"])
    with pytest.raises(GiveUp) as refused:
        list(store.read("a", 4))
    assert refused.value.code == "object_changed"


def test_the_way_in_is_no_key(root):
    with pytest.raises(ValueError, match="not a key"):
        FileStore(root).put(".incoming/x", [b""])


def test_a_directory_honours_ranges_and_conditions(root):
    assert FileStore(root).probe() == StoreAbilities(conditional_put=True, range_reads=True, versions=False, object_lock=False)
