"""The processes that were started for something, found by what they wear in their environment, and ended.

A process id alone proves nothing, and a process group does not hold what began a session of its own. The environment is handed
down to all of them, also where whoever started them was killed. What wrote over its own environment is found by its session as
long as that is known.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from understudy.ports.clock import Clock

MARK_VARIABLE = "UNDERSTUDY_STREAM"
_GRACE_SECONDS = 5.0
_LOOK_EVERY_SECONDS = 0.05
_PROC = Path("/proc")


def marked(mark: str, session: int | None = None) -> tuple[int, ...]:
    """Ids of live processes that wear the mark, or are in the session, as far as this user may look."""
    return _found(_worn(mark, session))


def end_marked(mark: str, clock: Clock, session: int | None = None) -> None:
    """Ask them to end, and after some seconds end them."""
    _end(_worn(mark, session), clock)


def end_working_in(directory: Path, clock: Clock) -> None:
    """The same of whatever works in a directory that only one program was ever started in."""

    def works_there(pid: int) -> bool:
        return (_PROC / str(pid) / "cwd").samefile(directory)

    if directory.is_dir():
        _end(works_there, clock)


def found_by(marks: Collection[str], directory: str) -> Callable[[int], bool]:
    """Whether a process wears one of the marks, or works in the directory or has something in it open."""
    worn = [_worn(mark, None) for mark in marks]

    def belongs(pid: int) -> bool:
        return any(wears(pid) for wears in worn) or bool(reached(pid, (directory,)))

    return belongs


def live(belongs: Callable[[int], bool]) -> tuple[int, ...]:
    return _found(belongs)


def end_all(belongs: Callable[[int], bool], clock: Clock) -> None:
    """Ask them to end, and after some seconds end them."""
    _end(belongs, clock)


def reached(pid: int, places: Collection[str]) -> tuple[str, ...]:
    """What of these places the process works in, or has open. Nothing of one that is not ours to look at."""
    process = _PROC / str(pid)
    found: list[str] = []
    with suppress(OSError):
        for link in (process / "cwd", process / "root", *(process / "fd").iterdir()):
            with suppress(OSError):
                path = str(link.readlink())
                if any(path == place or path.startswith(f"{place}/") for place in places):
                    found.append(path)
    return tuple(dict.fromkeys(found))


def _worn(mark: str, session: int | None) -> Callable[[int], bool]:
    worn = f"{MARK_VARIABLE}={mark}".encode()

    def belongs(pid: int) -> bool:
        if session is not None and int(_stat(pid)[3]) == session:
            return True
        return worn in (_PROC / str(pid) / "environ").read_bytes().split(b"\0")

    return belongs


def _end(belongs: Callable[[int], bool], clock: Clock) -> None:
    deadline = clock.monotonic_seconds() + _GRACE_SECONDS
    asked: set[int] = set()
    while found := _found(belongs):
        for pid in found:
            if clock.monotonic_seconds() >= deadline:
                _signal(pid, belongs, signal.SIGKILL)
            elif pid not in asked:
                _signal(pid, belongs, signal.SIGTERM)
                asked.add(pid)
        clock.wait(_LOOK_EVERY_SECONDS)


def _found(belongs: Callable[[int], bool]) -> tuple[int, ...]:
    pids = (int(each.name) for each in _PROC.iterdir() if each.name.isdigit())
    return tuple(sorted(pid for pid in pids if _is_live(pid, belongs)))


def _is_live(pid: int, belongs: Callable[[int], bool]) -> bool:
    try:
        return _stat(pid)[0] not in "ZX" and belongs(pid)
    except OSError:
        return False  # gone meanwhile, or not ours to look at


def _stat(pid: int) -> list[str]:
    """State, parent, group, session: what follows the name, which may hold anything."""
    return (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()[:4]


def _signal(pid: int, belongs: Callable[[int], bool], number: signal.Signals) -> None:
    """Through a handle, so that between the look and the signal the id cannot pass to somebody else."""
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            if _is_live(pid, belongs):
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)
