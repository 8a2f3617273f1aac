"""Killing what a test started, and waiting until it is really gone."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

from understudy.adapters.postgres.processes import servers_processes

_SHORTEST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.02, 0.25


def state_and_parent(pid: int) -> tuple[str, int] | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 (read for every process, at every look)
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(b")")[2].split()
    return fields[0].decode(), int(fields[1])


def alive(pid: int) -> bool:
    """Running: neither gone nor a zombie that nobody reaped."""
    found = state_and_parent(pid)
    return found is not None and found[0] not in "ZX"


def descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 (see above)
        if name.isdigit() and (found := state_and_parent(int(name))):
            children.setdefault(found[1], []).append(int(name))
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


def wait_until(condition, what: str, seconds: float = 120.0) -> None:
    """Look until ``condition()`` holds, less often the more a look costs; fails the test with ``what`` after a generous limit.

    A look may open a connection, or read a repository's listing: waiting takes at most a quarter of a processor.
    """
    pause, waited_seconds = threading.Event(), 0.0
    while waited_seconds < seconds:
        began = time.perf_counter()
        if condition():
            return
        rest_seconds = min(_LONGEST_PAUSE_SECONDS, max(_SHORTEST_PAUSE_SECONDS, 3 * (time.perf_counter() - began)))
        pause.wait(rest_seconds)
        waited_seconds += rest_seconds
    raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")
