"""Where tests keep servers, repositories and state.

In memory where there is room: nothing here cuts the power, processes are only killed, so that what a flush to disk protects
from can't happen, and it would take up a good part of the time.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

_MEMORY, _DISK = Path("/dev/shm"), Path("/tmp")
_NEEDED_BYTES = 6 * 2**30


def _has_room(directory: Path) -> bool:
    try:
        found = os.statvfs(directory)
        available = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable:"))
    except OSError:
        return False
    runs_programs = not found.f_flag & os.ST_NOEXEC
    free_bytes = min(found.f_bavail * found.f_frsize, int(available.split()[1]) * 1024)
    return runs_programs and os.access(directory, os.W_OK) and free_bytes >= _NEEDED_BYTES


ROOM = _MEMORY if _has_room(_MEMORY) else _DISK


def use_for_temporary_files() -> None:
    """Also what pytest and the processes that tests start make of their own accord."""
    os.environ["TMPDIR"] = str(ROOM)
    tempfile.tempdir = None


def new_path(kind: str = "") -> Path:
    """A path that nothing lies at yet, short enough for a socket below it: of a ``kind`` of thing, for whoever finds it."""
    return ROOM / f"ust-{kind}{'-' if kind else ''}{secrets.token_hex(4)}"
