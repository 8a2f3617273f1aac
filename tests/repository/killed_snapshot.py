"""Run as a program: a snapshot whose process is killed once two of its parts are stored.

Arguments: the directory of its world, and to whom it is sealed.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from tests.contracts.collections_in_memory import MemoryCollection
from tests.repository.snapshot_world import SnapshotWorld

CONTENTS = 120
PART_BYTES = 700_000


def fill(collection: MemoryCollection) -> None:
    """The same in every process."""
    for number in range(CONTENTS):
        collection.put(f"{number:03}", bytes([number]) * 300_000)


class KillingCollection(MemoryCollection):
    index: Path

    def read(self, entry):
        with closing(sqlite3.connect(self.index)) as seen:
            if seen.execute("select count(*) from parts where stored = 1").fetchone()[0] >= 2:
                os.kill(os.getpid(), signal.SIGKILL)
        yield from super().read(entry)


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    world = SnapshotWorld(directory)
    world.recipients = (sys.argv[2],)
    world.collection = KillingCollection()
    world.collection.index = directory / "runs" / "1-index"
    fill(world.collection)
    world.write(1, part_bytes=PART_BYTES)
