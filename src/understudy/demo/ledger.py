"""What the writers were promised, and what became of it: one line per commit that the server acknowledged."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

TABLE = "understudy_ledger"
MAKE_TABLE = (
    f"CREATE TABLE IF NOT EXISTS {TABLE} (writer int, entry int, written timestamptz DEFAULT now(), PRIMARY KEY (writer, entry))"
)


class Commit(NamedTuple):
    writer: int
    entry: int


@dataclass(frozen=True, slots=True)
class Loss:
    """Of what was acknowledged before a disaster."""

    commits: int
    work: timedelta
    """From the acknowledgement of the oldest lost commit to the disaster: the recovery point, as it really was."""

    def is_within(self, objective: timedelta, *, synchronous: bool) -> bool:
        """Synchronously nothing may be lost, whatever the objective; asynchronously work that is no older than that."""
        return self.commits == 0 or (not synchronous and self.work <= objective)


def acknowledgement(entry: int, at: datetime) -> str:
    """The line of one commit, written the moment it was acknowledged."""
    return f"{entry} {at.isoformat()}\n"


def read_ledger(directory: Path) -> Mapping[Commit, datetime]:
    """When each commit was acknowledged. A last line without its end is no acknowledgement that was written down."""
    acknowledged: dict[Commit, datetime] = {}
    for path in directory.glob("writer-*.txt"):
        writer = int(path.stem.partition("-")[2])
        *lines, _unfinished = path.read_text().split("\n")
        for line in lines:
            entry, _, at = line.partition(" ")
            acknowledged[Commit(writer, int(entry))] = datetime.fromisoformat(at)
    return acknowledged


def measure_loss(acknowledged: Mapping[Commit, datetime], found: Set[Commit], disaster: datetime) -> Loss:
    """What of ``acknowledged`` the database does not hold any more. What was acknowledged while it was killed has no age."""
    lost = [at for commit, at in acknowledged.items() if commit not in found]
    return Loss(len(lost), max([timedelta(), *(disaster - at for at in lost)]))
