"""Several commands of one subject in one round, each measured on a settled ground."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from bench.ground import Ground
from bench.processes import costs, tree_cpu_seconds
from bench.rounds import DISTURBED, Figures

_MIB = 2**20


class Turn:
    def __init__(self, ground: Ground, server_pid: int | None = None) -> None:
        """``server_pid``: of a server that works for every subject; its CPU time is told apart."""
        self._ground = ground
        self._server_pid = server_pid
        self._disturbed: list[float] = []
        self._figures: dict[str, float] = {}

    def add(self, what: str, work: Callable[[], object]) -> None:
        self._ground.settle()
        server_before = tree_cpu_seconds(self._server_pid)

        def carried_out() -> str:
            work()
            return ""

        cost = costs(carried_out)
        self._figures |= {f"{what} wall s": cost.wall_seconds, f"{what} CPU s": cost.cpu_seconds}
        server = tree_cpu_seconds(self._server_pid) - server_before
        if self._server_pid is not None:
            self._figures[f"{what} server's CPU s"] = server
        self._disturbed.append(max(0.0, cost.disturbed_share - server / cost.wall_seconds / (os.cpu_count() or 1)))

    def done(self, stored_bytes: int) -> Figures:
        return self._figures | {"size MiB": stored_bytes / _MIB, DISTURBED: max(self._disturbed)}


def size_of(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
