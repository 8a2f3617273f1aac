"""What the writers were promised, and what became of it: one line for each commit, file and object that was acknowledged."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, TypeVar

Entry = TypeVar("Entry")

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

    count: int
    """Of commits, files or objects."""
    work: timedelta
    """From the acknowledgement of the oldest that is lost to the disaster: the recovery point, as it really was."""

    def is_within(self, objective: timedelta, *, synchronous: bool) -> bool:
        """Synchronously nothing may be lost, whatever the objective; asynchronously work that is no older than that."""
        return self.count == 0 or (not synchronous and self.work <= objective)


@dataclass(frozen=True, slots=True)
class Compared:
    """What was acknowledged of one kind, held against what is there after a recovery."""

    acknowledged: int
    recovered: int
    loss: Loss


def acknowledgement(entry: int, at: datetime) -> str:
    """The line of one commit, file or object, written the moment it was acknowledged."""
    return f"{entry} {at.isoformat()}\n"


def read_ledger(directory: Path) -> Mapping[Commit, datetime]:
    """When each commit was acknowledged."""
    return {
        Commit(int(path.stem.partition("-")[2]), entry): at
        for path in directory.glob("writer-*.txt")
        for entry, at in read_acknowledgements(path).items()
    }


def read_acknowledgements(path: Path) -> Mapping[int, datetime]:
    """When each number of one writer was. A last line without its end is no acknowledgement that was written down."""
    *lines, _unfinished = path.read_text().split("\n")
    entries = (line.partition(" ") for line in lines)
    return {int(entry): datetime.fromisoformat(at) for entry, _, at in entries}


def measure_loss(acknowledged: Mapping[Entry, datetime], found: Set[Entry], disaster: datetime) -> Loss:
    """What of ``acknowledged`` is not there any more. What was acknowledged while all was destroyed has no age."""
    lost = [at for entry, at in acknowledged.items() if entry not in found]
    return Loss(len(lost), max([timedelta(), *(disaster - at for at in lost)]))


def compare(acknowledged: Mapping[Entry, datetime], found: Set[Entry], disaster: datetime) -> Compared:
    return Compared(len(acknowledged), len(acknowledged.keys() & found), measure_loss(acknowledged, found, disaster))
