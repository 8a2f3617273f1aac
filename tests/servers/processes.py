"""Killing what a test started, and waiting until it is really gone."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from pathlib import Path

from understudy.adapters.postgres.processes import servers_processes


def state_and_parent(pid: int) -> tuple[str, int] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[1])


def alive(pid: int) -> bool:
    """Running: neither gone nor a zombie that nobody reaped."""
    found = state_and_parent(pid)
    return found is not None and found[0] not in "ZX"


def descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (found := state_and_parent(int(entry.name))):
            children.setdefault(found[1], []).append(int(entry.name))
    found_pids: list[int] = []
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found_pids += below
        waiting += below
    return found_pids


def kill_tree(pid: int) -> None:
    """SIGKILL a process that we started and everything below it; returns when none of them runs any more."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)  # so that it forks nothing between the look and the kill
    doomed = [pid, *descendants(pid)]
    for each in doomed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
    wait_until(lambda: not any(alive(each) for each in doomed), f"process {pid} and its children to be gone")


def kill_servers_in(directory: Path) -> None:
    """Every server process at work in this data directory, whoever started it."""
    for pid in servers_processes(str(directory)):
        kill_tree(pid)


def wait_until(condition, what: str, seconds: float = 60.0) -> None:
    """Look every 20 ms until ``condition()`` holds; fails the test with ``what`` after a generous limit."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        pause.wait(0.02)
    raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")
