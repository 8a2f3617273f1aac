"""What lies in the state directory is its owner's alone: plans, answers to the operator's checks, the names of who agreed.

The directory itself lets others pass, because drills run below it as another user; so each thing in it is closed by itself,
whatever the umask. What an earlier version left open is closed when it is met.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_OTHERS = 0o077


def make_private_directory(directory: Path) -> None:
    """Nothing is made where it is there."""
    directory.mkdir(mode=0o700, exist_ok=True)
    _close_to_others(directory)


def make_private_file(file: Path) -> None:
    """Empty where it is not there yet: whoever opens it to write finds it closed to others already."""
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    _close_to_others(file)


def make_private_database(file: Path) -> None:
    """SQLite gives what it makes beside a database the mode of the database."""
    make_private_file(file)
    for beside in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            _close_to_others(file.with_name(f"{file.name}{beside}"))


def _close_to_others(path: Path) -> None:
    mode = path.stat().st_mode
    if mode & _OTHERS:
        with suppress(OSError):  # somebody else's, or a disk that is read-only: nothing fails by that
            path.chmod(mode & 0o700)
