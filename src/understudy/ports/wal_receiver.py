"""The process that streams a database's WAL to this host, and the spool it fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from understudy.vocabulary.identifiers import SystemIdentifier
from understudy.vocabulary.pieces import Pieces
from understudy.vocabulary.wal import Timeline, WalSegment


@dataclass(frozen=True, slots=True)
class ReceiverFacts:
    running: bool
    pid: int | None
    started: datetime | None
    last_words: tuple[str, ...]
    """The newest lines of its log, for people."""


@dataclass(frozen=True, slots=True)
class SpoolFacts:
    segments: tuple[WalSegment, ...]
    """Complete ones, ascending."""
    partial: WalSegment | None
    """The newest ``.partial`` that is being written; older timelines' leftovers are not counted."""
    histories: tuple[Timeline, ...]
    size_bytes: int
    limit_bytes: int
    versions: Mapping[WalSegment, str] = field(default_factory=dict)
    """Of each complete segment: another one when another file has taken the name, as after a server that was set back."""
    system_identifier: SystemIdentifier | None = None
    """Whose WAL it is; None where none was ever received."""


class WalSource(Protocol):
    """WAL that lies on this host, to be shipped. Failures: ``GiveUp`` with ``segment_missing``."""

    def spool(self) -> SpoolFacts: ...

    def read_segment(self, segment: WalSegment) -> Pieces:
        """A complete segment's bytes, exactly ``segment.size_bytes``; once it is forgotten, ``segment_missing``."""
        ...

    def read_tail(self, segment: WalSegment, offset: int) -> Pieces:
        """What the ``.partial`` holds from ``offset`` up to its last byte that is not zero.

        Bytes behind the returned ones may still come; bytes returned never change. Also answers for a segment that has
        meanwhile become complete, as if it were still the partial one.
        """
        ...

    def read_history(self, timeline: Timeline) -> bytes: ...


class WalReceiver(WalSource, Protocol):
    """One detached receiver per database. It survives this process and is adopted again by the next one.

    Failures: ``TryAgain`` with ``receiver_starting`` or ``slot_in_use``; ``GiveUp`` with ``receiver_failed`` (its own words as
    finding), ``wal_removed`` (the server no longer has what comes next), ``spool_full``, ``spool_busy`` (another receiver holds
    the spool), ``receiver_diverged`` (it is ahead of the server's history: the hint says what to do on the server),
    ``remote_apply_never_ends``, ``segment_missing``; and those of ``Database`` on starting.
    """

    def ensure_running(self, begin_with: WalSegment | None = None) -> ReceiverFacts:
        """Start it, or adopt the one that runs. With ``spool_full`` it is stopped and stays so until there is room.

        ``begin_with``: the first segment of a spool that is empty; by itself it begins where the slot does.
        """
        ...

    def stop(self) -> None:
        """End it by its process id, and wait until it is gone."""
        ...

    def facts(self) -> ReceiverFacts: ...

    def forget(self, segments: Sequence[WalSegment]) -> None:
        """Remove complete segments that are safe elsewhere. The newest complete one stays: the receiver starts from it."""
        ...

    def quarantine(self, segments: Sequence[WalSegment], reason: str) -> str:
        """Move segments aside (a receiver that ran ahead on a dead timeline); returns where they lie now."""
        ...

    def quarantine_diverged(self, reason: str) -> str:
        """After ``receiver_diverged``: move aside what lies beyond the point where the server's history left our timeline.

        Raises ``receiver_diverged`` again where the server's history names no such point: which side is right is for a person
        to say.
        """
        ...
