"""A process to which the kernel answers chosen system calls with an error, as a failing disk does."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

_REFUSE = """
import ctypes, errno, json, os, struct, sys
from pathlib import Path
from understudy.adapters.files import FileStore, file_store, incoming
from understudy.vocabulary.errors import GiveUp, TryAgain

NUMBERS = json.loads(sys.argv[2])

def refuse(**calls):
    # A seccomp filter (linux/seccomp.h): load the call's number, answer each of these with its error, allow the rest.
    rules = [struct.pack("HBBI", 0x20, 0, 0, 0)]
    for name, error in calls.items():
        if name in NUMBERS:
            rules += [struct.pack("HBBI", 0x15, 0, 1, NUMBERS[name]), struct.pack("HBBI", 0x06, 0, 0, 0x00050000 | error)]
    rules.append(struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000))
    code = ctypes.create_string_buffer(b"".join(rules))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(rules), ctypes.addressof(code)))
    library = ctypes.CDLL(None, use_errno=True)
    assert library.prctl(38, 1, 0, 0, 0) == 0 and library.prctl(22, 2, program, 0, 0) == 0, ctypes.get_errno()

def open_files():
    return len(os.listdir("/proc/self/fd"))

def code_of(call):
    try:
        call()
    except (GiveUp, TryAgain) as error:
        return error.code
    return "nothing"

store = FileStore.create(Path(sys.argv[1]))
"""
_CALLS = {
    "x86_64": {
        "link": 86, "linkat": 265, "renameat2": 316, "pread64": 17, "read": 0,
        "fsync": 74, "flock": 73, "unlink": 87, "unlinkat": 263, "syncfs": 306,
    },
    "aarch64": {
        "linkat": 37, "renameat2": 276, "pread64": 67, "read": 63, "fsync": 82, "flock": 32, "unlinkat": 35,
        "syncfs": 267,
    },
}  # fmt: skip


def said_by(directory, program):
    """What a process prints that runs ``program`` with a ``store`` in the directory; ``refuse(unlink=errno.EIO)`` is for it."""
    numbers = _CALLS.get(platform.machine())
    if numbers is None:
        pytest.skip(f"the numbers of system calls on {platform.machine()} are not known here")
    words = str(numbers).replace("'", '"')
    done = subprocess.run(
        [sys.executable, "-c", _REFUSE + program, str(directory), words],
        check=False, capture_output=True, text=True, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
