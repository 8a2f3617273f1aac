"""From the spool into a repository: segments, history files, and the growing tail.

Shared by the steps that need WAL to be safe now and by the loop that keeps it so. Everything here may be done twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from understudy.ports.wal_receiver import SpoolFacts, WalReceiver
from understudy.repository.wal_archive import WalArchive, WalContents
from understudy.vocabulary.wal import Lsn, Timeline, WalSegment


@dataclass(frozen=True, slots=True)
class Shipped:
    """How far a repository holds the WAL after one pass. None: it holds nothing yet.

    ``safe`` is the last byte that was stored. What the receiver had written behind it by then are zeros.
    """

    timeline: Timeline | None
    safe: Lsn | None
    segments: int
    tail_bytes: int


class WalShipper:
    """Ships one database's spool into one repository, and remembers what that holds, so that it lists it only once."""

    def __init__(self, receiver: WalReceiver, archive: WalArchive) -> None:
        self._receiver = receiver
        self._archive = archive
        self._known: WalContents | None = None
        self._tail_reach: dict[WalSegment, int] = {}
        self._complete: set[WalSegment] = set()
        self._histories: set[Timeline] = set()

    def ship_once(self, *, with_tail: bool = True) -> Shipped:
        """What the spool holds and the repository does not; the unfinished segment's growth only ``with_tail``.

        Raises what the receiver and the archive raise; ``GiveUp("wal_hole")`` when a segment between the two is lost.
        """
        if self._known is None:
            self._learn(self._archive.contents())
        spool = self._receiver.spool()
        for timeline in spool.histories:
            if timeline not in self._histories:
                self._archive.put_history(timeline, self._receiver.read_history(timeline))
                self._histories.add(timeline)
        segments = 0
        for segment in spool.segments:
            if segment not in self._complete:
                self._archive.put_segment(segment, self._receiver.read_segment(segment))
                self._complete.add(segment)
                self._tail_reach.pop(segment, None)
                segments += 1
        tail_bytes = self._ship_tail(spool) if with_tail else 0
        return self._shipped(segments, tail_bytes)

    def holds(self, segment: WalSegment) -> bool:
        return segment in self._complete

    def _learn(self, known: WalContents) -> None:
        self._known = known
        self._complete.update(known.segments)
        self._histories.update(known.histories)
        self._tail_reach.update(known.tail_reaches())

    def _ship_tail(self, spool: SpoolFacts) -> int:
        if spool.partial is None or spool.partial in self._complete:
            return 0
        offset = self._tail_reach.get(spool.partial, 0)
        tail = self._receiver.read_tail(spool.partial, offset)
        if tail:
            self._archive.put_tail(spool.partial, offset, tail)
            self._tail_reach[spool.partial] = offset + len(tail)
        return len(tail)

    def _shipped(self, segments: int, tail_bytes: int) -> Shipped:
        """The end of the newest timeline's WAL."""
        newest = max([*self._complete, *self._tail_reach], default=None)
        if newest is None:
            return Shipped(None, None, segments, tail_bytes)
        if newest in self._complete:
            return Shipped(newest.timeline, newest.end, segments, tail_bytes)
        return Shipped(newest.timeline, newest.start + self._tail_reach[newest], segments, tail_bytes)


def forget_shipped(receiver: WalReceiver, shippers: Sequence[WalShipper]) -> int:
    """Remove from the spool what every repository holds; how many segments that were."""
    safe = [segment for segment in receiver.spool().segments if all(shipper.holds(segment) for shipper in shippers)]
    if safe:
        receiver.forget(safe)
    return len(safe)
