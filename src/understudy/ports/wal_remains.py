"""What a server that is stopped left in its data directory on this host: WAL that perhaps nobody received."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from understudy.ports.wal_receiver import WalSource
from understudy.vocabulary.identifiers import SystemIdentifier
from understudy.vocabulary.wal import Lsn, Timeline, TimelineFork, WalSegment

OLD_WAL_UNUSABLE = "old_wal_unusable"


@dataclass(frozen=True, slots=True)
class HeldWal:
    """What a repository holds: behind it more is looked for."""

    segment_bytes: int
    segments: frozenset[WalSegment]
    """The newest complete one of each timeline."""
    reaches: Mapping[Timeline, Lsn]
    """Where each timeline that is held at all ends."""


@dataclass(frozen=True, slots=True)
class Remains:
    """The WAL that follows on what is held: whole segments, and the last one up to the end of its last whole record."""

    source: WalSource
    """Before it, the newest segment that is held already, where it is whole here, too: two histories are told apart by it."""
    ends: Lsn
    """Behind the last record that is whole, and right by its checksum."""
    fault: str
    """In words, why it ends there although more was written; empty where the WAL simply ends."""


class WalRemains(Protocol):
    """Only reads; nothing in the directory is ever changed.

    Failures: ``GiveUp`` with ``old_wal_unusable``: there is none, it cannot be read, it is another cluster's, or does not go on
    from what is held.
    """

    def look(
        self,
        directory: str,
        system_identifier: SystemIdentifier,
        held: HeldWal,
        timeline: Timeline,
        between_pieces: Callable[[], None],
    ) -> Remains:
        """What lies in the data directory behind ``held``, on the way to the end of ``timeline``; each record is checked.

        Args:
            between_pieces: Called now and then; raises to end it early.
        """
        ...

    def continuation(
        self, directory: str, system_identifier: SystemIdentifier, held: HeldWal, timeline: Timeline
    ) -> tuple[Timeline, tuple[TimelineFork, ...]] | None:
        """The newest timeline in the data directory that goes on from ``timeline``, with its ancestry; None: there is none.

        One that left it before the end of what is held is another history: that of a copy that was promoted, say.
        """
        ...
