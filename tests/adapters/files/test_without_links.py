"""A directory on a file system without hard links, as exFAT, SMB and most of FUSE are: the kernel refuses the call."""

import errno
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from understudy.adapters.files import FileStore

_REFUSING = """
import ctypes, json, struct, sys
from pathlib import Path
from understudy.adapters.files import FileStore
from understudy.vocabulary.errors import GiveUp

def refuse(calls):
    # A seccomp filter (linux/seccomp.h): load the call's number, answer each of these with its error, allow the rest.
    rules = [struct.pack("HBBI", 0x20, 0, 0, 0)]
    for number, error in calls:
        rules += [struct.pack("HBBI", 0x15, 0, 1, number), struct.pack("HBBI", 0x06, 0, 0, 0x00050000 | error)]
    rules.append(struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000))
    code = ctypes.create_string_buffer(b"".join(rules))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(rules), ctypes.addressof(code)))
    library = ctypes.CDLL(None, use_errno=True)
    assert library.prctl(38, 1, 0, 0, 0) == 0 and library.prctl(22, 2, program, 0, 0) == 0, ctypes.get_errno()

store = FileStore.create(Path(sys.argv[1]))
refuse(json.loads(sys.argv[2]))
try:
    store.put("a/b", [b"first"])
    print(store.probe().conditional_put)
    store.put("a/b", [b"second"])
except GiveUp as error:
    print(error)
"""
_CALLS = {"x86_64": {"link": 86, "linkat": 265, "renameat2": 316}, "aarch64": {"linkat": 37, "renameat2": 276}}


def stored(directory, refused):
    """What a process says that stores twice under one key, while the kernel answers these calls with these errors."""
    numbers = _CALLS.get(platform.machine())
    if numbers is None:
        pytest.skip(f"the numbers of system calls on {platform.machine()} are not known here")
    calls = [(numbers[name], error) for name, error in refused.items() if name in numbers]
    done = subprocess.run(
        [sys.executable, "-c", _REFUSING, str(directory), str([list(call) for call in calls])],
        check=False, capture_output=True, text=True, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


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
