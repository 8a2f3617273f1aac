"""Run as a program: snapshots of many entries, and how much memory that took. Arguments: a directory, how many entries.

Prints the highest resident memory in KiB before, after two snapshots, and after a restore, as JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tests.repository.snapshot_world import SnapshotWorld
from understudy.ports.collection import Entry, EntryKind
from understudy.repository.at_once import share_arenas
from understudy.vocabulary.identifiers import RunId

_FILES_ONE_IN = 20


class ManyEntries:
    """As many as asked for, none of them held; most are directories, because contents take time and are bounded otherwise."""

    url = "memory://many"

    def __init__(self, count: int) -> None:
        self.count = count

    def entries(self, known: Callable[[str], Entry | None]) -> Iterator[Entry]:
        for number in range(self.count):
            key = f"{number * 7919 % 100:02}/some directory/{number:08}.txt"
            attributes = {"mode": "0644", "owner": "somebody", "mtime": number}
            if number % _FILES_ONE_IN:
                yield Entry(key, EntryKind.DIRECTORY, attributes=attributes)
            else:
                yield Entry(key, EntryKind.FILE, 8, f"v{number}", attributes=attributes)

    def passed_over(self) -> tuple[str, ...]:
        return ()

    def look(self, key: str) -> Entry | None:
        return None

    def read(self, entry: Entry) -> Iterator[bytes]:
        yield entry.key[-12:-4].encode()


class CountingTarget:
    """Compares what comes and keeps none of it."""

    url = "memory://nowhere"

    def __init__(self) -> None:
        self.written = 0
        self._counting = threading.Lock()

    def claim(self, run: RunId) -> None:
        pass

    def takes(self, entry):
        return True

    def write(self, entry: Entry, content: Iterable[bytes]) -> None:
        assert b"".join(content) == (entry.key[-12:-4].encode() if entry.kind is EntryKind.FILE else b"")
        with self._counting:
            self.written += 1

    def finish(self, entries: Iterable[Entry], run: RunId) -> None:
        assert sum(1 for _ in entries) == self.written


def peak_kibibytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(directory: Path, count: int) -> None:
    share_arenas()
    world = SnapshotWorld(directory)
    world.collection = ManyEntries(10)
    world.restore(world.take(1), CountingTarget())
    before = peak_kibibytes()
    world.collection = ManyEntries(count)
    first = world.take(2)
    second = world.take(3, first)
    assert first.parts == second.parts
    written = peak_kibibytes()
    world.restore(second, CountingTarget())
    sys.stdout.write(json.dumps({"before": before, "written": written, "restored": peak_kibibytes()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
