"""``ports.StartedProcesses`` by what processes wear in their environment, and by where they work."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from understudy.adapters.streams.leftovers import end_all, found_by, live, marked, reached
from understudy.adapters.streams.workplace import Workplace


class MarkedProcesses:
    def __init__(self, workplace: Workplace) -> None:
        self._workplace = workplace

    def of(self, commands: Sequence[str], directory: str) -> tuple[int, ...]:
        return tuple(pid for pid in live(self._found_by(commands, directory)) if pid != os.getpid())

    def end(self, commands: Sequence[str], directory: str) -> None:
        belongs = self._found_by(commands, directory)
        end_all(lambda pid: pid != os.getpid() and belongs(pid), self._workplace.clock)

    def reach(self, commands: Sequence[str], places: Sequence[str]) -> tuple[str, ...]:
        resolved = [os.path.realpath(place) for place in places]
        pids = {pid for command in commands for pid in marked(self._workplace.mark(command))}
        return tuple(dict.fromkeys(path for pid in sorted(pids) for path in reached(pid, resolved)))

    def _found_by(self, commands: Sequence[str], directory: str) -> Callable[[int], bool]:
        return found_by([self._workplace.mark(command) for command in commands], os.path.realpath(directory))
