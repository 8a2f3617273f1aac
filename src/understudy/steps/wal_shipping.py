"""From the spool into a repository: segments, history files, and the growing tail.

Shared by the steps that need WAL to be safe now and by the loop that keeps it so. Everything here may be done twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from understudy.ports.wal_receiver import SpoolFacts, WalReceiver
from understudy.ports.world import World
from understudy.repository.catalog import Repository
from understudy.repository.epochs import OwnClaim
from understudy.repository.layout import TailSpan
from understudy.repository.wal_archive import WAL_HOLE, PutOutcome, WalArchive, WalContents, wal_hole
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import RepositoryName, ResourceName, SystemIdentifier
from understudy.vocabulary.wal import Lsn, Timeline, WalSegment, parse_history_file

SPOOL_OF_ANOTHER_CLUSTER = "spool_of_another_cluster"


@dataclass(frozen=True, slots=True)
class Shipped:
    """How far a repository holds the WAL after one pass. None: it holds nothing yet.

    ``safe`` is the last byte that was stored. What the receiver had written behind it by then are zeros.
    """

    timeline: Timeline | None
    safe: Lsn | None
    segments: int
    tail_bytes: int
    began_after_gap: tuple[WalSegment, ...] = ()
    """Segments right before which WAL is lost for good."""


class WalShipper:
    """Ships one database's spool into one repository, and remembers what that holds, so that it lists it only once."""

    def __init__(self, receiver: WalReceiver, archive: WalArchive, claim: OwnClaim) -> None:
        """``claim`` is the controller's on that repository: when another one has taken over, nothing more goes there."""
        self._receiver = receiver
        self._archive = archive
        self._claim = claim
        self._known = False
        self._tail_reach: dict[WalSegment, int] = {}
        self._complete: set[WalSegment] = set()
        self._histories: set[Timeline] = set()
        self._newest: WalSegment | None = None
        self._gaps: list[WalSegment] = []

    def ship_once(
        self,
        *,
        with_tail: bool = True,
        backup_begins_in: WalSegment | None = None,
        before_each: Callable[[int, int], None] | None = None,
    ) -> Shipped:
        """What the spool holds and the repository does not; the unfinished segment's growth only ``with_tail``.

        ``backup_begins_in``: a base backup that begins in this segment was taken, so WAL that is lost before it may stay lost.
        Nobody else may say so: without a backup behind the hole, what is stored there could never be replayed.

        ``before_each``: told before each segment how many are shipped, of how many.

        Raises what the receiver and the archive raise; ``GiveUp("wal_hole")`` when a segment between the two is lost; Refusal
        ``controller_superseded``.
        """
        if not self._known:
            self._learn(self._archive.contents())
        self._gaps = []
        spool = self._receiver.spool()
        for timeline in spool.histories:
            if timeline not in self._histories:
                self._claim.require()
                self._archive.put_history(timeline, self._receiver.read_history(timeline))
                self._histories.add(timeline)
        wanted = [segment for segment in spool.segments if segment not in self._complete]
        for number, segment in enumerate(wanted):
            if before_each is not None:
                before_each(number, len(wanted))
            self._ship_segment(segment, spool, backup_begins_in)
        tail_bytes = self._ship_tail(spool, backup_begins_in) if with_tail else 0
        return self._shipped(len(wanted), tail_bytes)

    def look(self) -> None:
        """Whether the repository is there at all, and still this controller's. Raises what the archive raises."""
        self._claim.require()
        self._archive.look()

    def holds(self, segment: WalSegment) -> bool:
        return segment in self._complete

    def _learn(self, known: WalContents) -> None:
        self._complete.update(known.segments)
        self._histories.update(known.histories)
        self._tail_reach.update(known.tail_reaches())
        self._newest = max([*self._complete, *self._tail_reach], default=None)
        self._known = True

    def _ship_segment(self, segment: WalSegment, spool: SpoolFacts, backup_begins_in: WalSegment | None) -> None:
        content = self._receiver.read_segment(segment)

        def put(begin_after_gap: bool) -> PutOutcome:
            return self._archive.put_segment(segment, content, begin_after_gap=begin_after_gap)

        self._put(segment, put, spool, backup_begins_in)
        self._complete.add(segment)
        self._tail_reach.pop(segment, None)
        self._newest = max(segment, self._newest or segment)

    def _ship_tail(self, spool: SpoolFacts, backup_begins_in: WalSegment | None) -> int:
        segment = spool.partial
        if segment is None or segment in self._complete:
            return 0
        offset = self._tail_reach.get(segment, 0)
        tail = self._receiver.read_tail(segment, offset)
        if not tail:
            return 0

        def put(begin_after_gap: bool) -> PutOutcome:
            return self._archive.put_tail(segment, offset, tail, begin_after_gap=begin_after_gap)

        self._put(segment, put, spool, backup_begins_in)
        self._tail_reach[segment] = offset + len(tail)
        self._newest = max(segment, self._newest or segment)
        return len(tail)

    def _put(
        self, segment: WalSegment, put: Callable[[bool], PutOutcome], spool: SpoolFacts, backup_begins_in: WalSegment | None
    ) -> None:
        self._claim.require()
        try:
            self._require_joined(segment, spool)
            put(False)
        except GiveUp as error:
            if error.code != WAL_HOLE or backup_begins_in is None:
                raise
            if segment.timeline != backup_begins_in.timeline or segment > backup_begins_in:
                raise
            put(True)
            self._gaps.append(segment)

    def _require_joined(self, segment: WalSegment, spool: SpoolFacts) -> None:
        """The first WAL of a timeline follows on what its parent holds; the archive sees to each timeline by itself only."""
        known = [*self._complete, *self._tail_reach] if self._is_first_of_timeline(segment) else []
        if not known or segment.timeline not in spool.histories:
            return
        forks = parse_history_file(self._receiver.read_history(segment.timeline).decode())
        if not forks:
            return
        fork = forks[-1]
        left_in = WalSegment.holding(fork.parent, fork.at, segment.size_bytes)
        if segment.number > left_in.number:
            raise wal_hole(f"timeline {segment.timeline} began at {fork.at}, and its first segment here is {segment}")
        earlier = [each for each in known if each.timeline <= fork.parent and each.number < segment.number]
        if earlier and not any(each.number == segment.number - 1 and each in self._complete for each in earlier):
            raise wal_hole(f"{segment} is the first of timeline {segment.timeline}, and what is before it ends in {max(earlier)}")

    def _is_first_of_timeline(self, segment: WalSegment) -> bool:
        newest = self._newest
        return segment.timeline > 1 and newest is not None and newest.timeline < segment.timeline

    def _shipped(self, segments: int, tail_bytes: int) -> Shipped:
        """The end of the newest timeline's WAL."""
        newest, gaps = self._newest, tuple(self._gaps)
        if newest is None:
            return Shipped(None, None, segments, tail_bytes, gaps)
        end = newest.end if newest in self._complete else newest.start + self._tail_reach[newest]
        return Shipped(newest.timeline, end, segments, tail_bytes, gaps)


def ship_spool(world: World, resource: str, repository: str, system_identifier: str, segment_bytes: int) -> Shipped:
    """One pass of a step over everything that the spool holds now. Raises as ``WalShipper.ship_once`` does, and Cancelled."""
    name, place = ResourceName(resource), Repository.of(world, RepositoryName(repository))
    archive = place.wal(name, SystemIdentifier(system_identifier), segment_bytes)

    def before_each(shipped: int, of: int) -> None:
        world.cancellation.raise_if_requested()
        world.progress.report("shipping WAL", shipped * segment_bytes, of * segment_bytes)

    claim = place.own_claim(world.controller, world.clock)
    return WalShipper(world.receivers[name], archive, claim).ship_once(before_each=before_each)


def spooled_wal(receiver: WalReceiver, system_identifier: str, segment_bytes: int) -> WalContents:
    """What the spool holds of this cluster, as the archive that it would make by itself.

    Raises:
        GiveUp: ``spool_unreadable``, ``spool_of_another_cluster``; ``segment_missing`` where others forget meanwhile.
    """
    try:
        spool = receiver.spool()
        reach = len(receiver.read_tail(spool.partial, 0)) if spool.partial is not None else 0
    except OSError as error:
        raise GiveUp(
            "spool_unreadable",
            found=f"{error.filename}: {error.strerror}",
            expected="this host's spool of WAL, which can be read",
            hint="run this as the user that serve runs as, or as root",
        ) from error
    tails = (TailSpan(spool.partial, 0, reach),) if spool.partial is not None and reach else ()
    if (spool.segments or tails) and spool.system_identifier != system_identifier:
        raise GiveUp(
            SPOOL_OF_ANOTHER_CLUSTER,
            found=f"this host's spool holds WAL of cluster {spool.system_identifier or '(not noted)'}",
            expected=f"WAL of cluster {system_identifier}, of which the backup is",
            hint="the server was replaced since the backup was taken: take a new one, understudy backup RESOURCE --full",
        )
    return WalContents(segment_bytes, spool.segments, tails, spool.histories)


def forget_shipped(receiver: WalReceiver, shippers: Sequence[WalShipper]) -> int:
    """Remove from the spool what every repository holds; how many segments that were."""
    safe = [segment for segment in receiver.spool().segments if all(shipper.holds(segment) for shipper in shippers)]
    if safe:
        receiver.forget(safe)
    return len(safe)
