"""The processes that were started for something, found by what they wear in their environment, and ended.

A process id alone proves nothing, and a process group does not hold what began a session of its own. The environment is handed
down to all of them, also where whoever started them was killed. What wrote over its own environment is found by its session as
long as that is known.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from understudy.ports.clock import Clock

MARK_VARIABLE = "UNDERSTUDY_STREAM"
_GRACE_SECONDS = 5.0
_LOOK_EVERY_SECONDS = 0.05
_PROC = Path("/proc")


def marked(mark: str, session: int | None = None) -> tuple[int, ...]:
    """Ids of live processes that wear the mark, or are in the session, as far as this user may look."""
    found = (int(each.name) for each in _PROC.iterdir() if each.name.isdigit())
    return tuple(sorted(pid for pid in found if _belongs(pid, mark, session)))


def end_marked(mark: str, clock: Clock, session: int | None = None) -> None:
    """Ask them to end, and after some seconds end them."""
    deadline = clock.monotonic_seconds() + _GRACE_SECONDS
    asked: set[int] = set()
    while found := marked(mark, session):
        for pid in found:
            if clock.monotonic_seconds() >= deadline:
                _signal(pid, mark, session, signal.SIGKILL)
            elif pid not in asked:
                _signal(pid, mark, session, signal.SIGTERM)
                asked.add(pid)
        clock.wait(_LOOK_EVERY_SECONDS)


def _belongs(pid: int, mark: str, session: int | None) -> bool:
    try:
        state, _, _, in_session = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()[:4]
        if state in "ZX":
            return False
        if session is not None and int(in_session) == session:
            return True
        return f"{MARK_VARIABLE}={mark}".encode() in (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False  # gone meanwhile, or not ours to look at


def _signal(pid: int, mark: str, session: int | None, number: signal.Signals) -> None:
    """Through a handle, so that between the look and the signal the id cannot pass to somebody else."""
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            if _belongs(pid, mark, session):
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)
