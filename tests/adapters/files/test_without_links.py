"""A directory on a file system without hard links, as exFAT, SMB and most of FUSE are: the kernel refuses the call."""

import errno

import pytest

from tests.adapters.files.refusing_kernel import said_by
from understudy.adapters.files import FileStore


def stored(directory, refused):
    """What a process says that stores twice under one key, while the kernel answers these calls with these errors."""
    program = f"""
refuse(**{refused})
try:
    store.put("a/b", [b"first"])
    print(store.probe().conditional_put)
    store.put("a/b", [b"second"])
except GiveUp as error:
    print(error)
"""
    return said_by(directory, program)


@pytest.mark.parametrize("answer", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK])
def test_an_object_is_stored_all_the_same_and_who_comes_second_is_refused(tmp_path, answer):
    said = stored(tmp_path / "store", {"link": answer, "linkat": answer})
    assert said.startswith("True\nobject_exists: ")
    store = FileStore(tmp_path / "store")
    assert [(each.key, b"".join(store.read(each.key))) for each in store.list()] == [("a/b", b"first")]
    assert list((tmp_path / "store" / ".incoming").iterdir()) == []


def test_where_a_rename_would_replace_too_nothing_is_stored_and_the_message_says_what_is_missing(tmp_path):
    said = stored(tmp_path / "store", {"link": errno.EPERM, "linkat": errno.EPERM, "renameat2": errno.EINVAL})
    assert said.startswith("store_without_links: ")
    assert "rclone serve s3" in said
    assert list(FileStore(tmp_path / "store").list()) == []
    assert list((tmp_path / "store" / ".incoming").iterdir()) == []
