"""Kills this process at the first point that no process before it reached."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from tests.crash.scene import CALLS_COUNTED

_NO_POINTS = {"clock.*": 0, "progress.*": 0, "cancellation.*": 0}


class KillSwitch:
    """Shared by the threads of a process; ``visited`` is a file that outlives it, one label a line."""

    def __init__(
        self, visited: Path | None, caps: Mapping[str, int], points: Collection[str] = ("*",), reads: Collection[str] = ()
    ) -> None:
        """Without ``visited`` it never kills."""
        self._visited = visited
        self._caps = {**_NO_POINTS, **caps}
        self._points = points
        self._reads = reads
        self._lock = threading.Lock()
        self._known = set(visited.read_text().splitlines()) if visited is not None and visited.exists() else set()

    def point(self, label: str) -> None:
        if self._visited is None or not any(fnmatchcase(label, pattern) for pattern in self._points):
            return
        with self._lock:
            if label in self._known:
                return
            with self._visited.open("a") as file:
                file.write(label + "\n")
                file.flush()
                os.fsync(file.fileno())
            # Still under the lock, so that no other thread gets past a point of its own meanwhile.
            os.kill(os.getpid(), signal.SIGKILL)

    def only_looks(self, method: str) -> bool:
        return any(fnmatchcase(method, pattern) for pattern in self._reads)

    def calls_counted(self, method: str) -> int:
        return next((cap for pattern, cap in self._caps.items() if fnmatchcase(method, pattern)), CALLS_COUNTED)


class PointCounter:
    """The points of one execution of one step."""

    def __init__(self, switch: KillSwitch, step: str) -> None:
        self._switch = switch
        self._step = step
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()

    def call(self, method: str) -> str | None:
        """The label of this call, ``put#2``, or None when it is one too many to be a point."""
        with self._lock:
            self._calls[method] += 1
            number = self._calls[method]
        return f"{method}#{number}" if number <= self._switch.calls_counted(method) else None

    def only_looks(self, method: str) -> bool:
        return self._switch.only_looks(method)

    def point(self, label: str) -> None:
        self._switch.point(f"{self._step}:{label}")
