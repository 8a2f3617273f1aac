"""Server processes of this host, as ``/proc`` shows them.

A process id alone proves nothing: it may have been given to somebody else since. PostgreSQL's processes all work in their data
directory (``ChangeToDataDir``), so a process belongs to a server when it is called ``postgres`` and its working directory is
that server's.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    pid: int
    parent: int
    name: str
    ended: bool
    """A zombie: it has ended, and nobody has taken note yet."""


def process_facts(pid: int) -> ProcessFacts | None:
    """What runs under this id; None when nothing does."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    before, _, after = text.rpartition(")")
    state, parent = after.split()[:2]
    return ProcessFacts(pid, int(parent), before.partition("(")[2], state in "ZX")


def is_alive(pid: int) -> bool:
    found = process_facts(pid)
    return found is not None and not found.ended


def works_in(pid: int, directory: str) -> bool:
    """Whether this is a live ``postgres`` process of the server in ``directory``."""
    found = process_facts(pid)
    if found is None or found.ended or found.name != "postgres":
        return False
    try:
        return (_PROC / str(pid) / "cwd").samefile(directory)
    except OSError:
        return False  # gone meanwhile, or not ours to look at: then it is not ours to count either


def servers_processes(directory: str) -> list[int]:
    """Every live ``postgres`` process that works in ``directory``: postmaster, children, and children left by a dead one."""
    if not Path(directory).is_dir():
        return []
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit() and works_in(int(entry.name), directory)]


def send_signal(pid: int, directory: str, number: signal.Signals) -> bool:
    """Signal the postmaster ``pid`` of the server in ``directory``; False when it is no such process (any more).

    Goes through a pidfd, so that between the look and the signal the id cannot pass to somebody else.
    """
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if not works_in(pid, directory):
            return False
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True
