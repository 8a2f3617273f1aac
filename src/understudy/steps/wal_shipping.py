"""From the spool into a repository: segments, history files, and the growing tail.

Shared by the steps that need WAL to be safe now and by the loop that keeps it so. Everything here may be done twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from understudy.ports.wal_receiver import SpoolFacts, WalReceiver, WalSource
from understudy.ports.world import World
from understudy.repository.catalog import Repository
from understudy.repository.epochs import OwnClaim
from understudy.repository.tail_cover import TailCover
from understudy.repository.wal_archive import WAL_CORRUPT, WAL_HOLE, PutOutcome, WalArchive, wal_hole
from understudy.steps.spooled_wal import SEGMENT_MISSING, has_moved_on
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import RepositoryName, ResourceName, SystemIdentifier
from understudy.vocabulary.pieces import NotingDigest, Pieces
from understudy.vocabulary.wal import Lsn, Timeline, WalSegment, history_file_name, parse_history_file


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
    doubtful: WalSegment | None = None
    """The unfinished segment, where the repository holds more of its name than the spool does: whether that is the same shows
    once the spool holds as much."""
    damaged: Mapping[str, GiveUp] = field(default_factory=dict)
    """By the name of the segment or the history file: copies that are damaged there. They held up nothing else, and the spool
    keeps what they should say."""

    @property
    def fault(self) -> GiveUp | None:
        """Of the first copy that is damaged."""
        return next(iter(self.damaged.values()), None)


@dataclass(frozen=True, slots=True)
class _StoredTail:
    """The last piece of an unfinished segment that the repository holds: its bytes [start, stop).

    Two histories that part within a segment differ from there on, so its last piece tells them apart.
    """

    start: int
    stop: int
    sha256: str | None
    """None: stored by another shipper, and not compared yet."""


class WalShipper:
    """Ships one database's spool into one repository, and remembers what that holds, so that it lists it only once.

    A name proves nothing: a server that was set back, or a clone of it, writes other bytes under the same names. So what both the
    spool and the repository hold is compared once, by its digest, before it counts as held.
    """

    def __init__(
        self, receiver: WalSource, archive: WalArchive, claim: OwnClaim, compared: dict[WalSegment, str] | None = None
    ) -> None:
        """
        Args:
            receiver: Whose spool it is; or what else lies on this host.
            claim: The controller's on that repository: when another one has taken over, nothing more goes there.
            compared: What an earlier shipper into this repository compared; kept up, so that the next one may have it.
        """
        self._receiver = receiver
        self._archive = archive
        self._claim = claim
        self._known = False
        self._tails: dict[WalSegment, _StoredTail] = {}
        self._covers: dict[WalSegment, TailCover] = {}
        self._complete: set[WalSegment] = set()
        self._compared = compared if compared is not None else {}
        self._histories: dict[Timeline, bytes] = {}
        self._newest: WalSegment | None = None
        self._shorter: WalSegment | None = None
        """The unfinished segment, while the spool holds less of it than the repository does."""
        self._gaps: list[WalSegment] = []
        self._stored = 0

    def ship_once(
        self,
        *,
        with_tail: bool = True,
        backup_begins_in: WalSegment | None = None,
        compare_from: WalSegment | None = None,
        before_each: Callable[[int, int], None] | None = None,
    ) -> Shipped:
        """What the spool holds and the repository does not; the unfinished segment's growth only ``with_tail``.

        ``backup_begins_in``: a base backup that begins in this segment was taken, so WAL that is lost before it may stay lost.
        Nobody else may say so: without a backup behind the hole, what is stored there could never be replayed.

        ``compare_from``: of what is there already and older than this only the newest is compared, for who needs nothing of it.
        Two histories never meet again, so it tells of all before it.

        ``before_each``: told before each segment how many are done, of how many.

        A damaged copy of what the spool holds is no reason to stop: it is returned. Nor is a segment that vanishes from the spool
        meanwhile: who lets go of one has seen that every repository holds it, so it is looked anew what there is.

        Raises what the receiver and the archive raise; ``GiveUp("wal_conflict")`` when other bytes are there under a segment's
        name; ``GiveUp("wal_hole")`` when a segment between the two is lost; Refusal ``controller_superseded``.
        """
        self._gaps, self._stored = [], 0
        damaged: dict[str, GiveUp] = {}
        while True:
            remembered = self._known
            self._learn()
            spool = self._receiver.spool()
            damaged |= self._ship_histories(spool)
            try:
                damaged |= self._ship_segments(spool, backup_begins_in, compare_from, before_each)
                tail_bytes = self._ship_tail(spool, backup_begins_in) if with_tail else 0
            except GiveUp as error:
                # Others ship here, too: a recovery brings what never was in the spool.
                filled = error.code == WAL_HOLE and remembered
                if not filled and (error.code != SEGMENT_MISSING or not has_moved_on(self._receiver, spool)):
                    raise
                self._known = False
            else:
                return self._shipped(spool, self._stored, tail_bytes, damaged)

    def compare_once(self) -> GiveUp | None:
        """Compare what both hold; nothing is stored that is not there.

        Returns the fault of a copy that is damaged, which does not count as held. Raises as ``ship_once`` does.
        """
        self._learn()
        spool = self._receiver.spool()
        damaged = None
        for segment in spool.segments:
            if segment in self._complete and not self.holds(segment, spool):
                try:
                    self._ship_segment(segment, spool, None)
                except GiveUp as error:
                    if error.code == SEGMENT_MISSING:
                        continue  # who let go of it has seen that every repository holds it
                    if error.code != WAL_CORRUPT:
                        raise
                    damaged = _copy_damaged(error)
        return damaged

    def look(self) -> None:
        """Whether the repository is there at all, and still this controller's. Raises what the archive raises."""
        self._claim.require()
        self._archive.look()

    def holds(self, segment: WalSegment, spool: SpoolFacts) -> bool:
        """Whether the repository holds the very bytes that the spool has under this name: they were stored or compared here.

        What an earlier shipper compared counts only once this one has seen that it is still there.
        """
        compared = self._compared.get(segment)
        return self._known and compared is not None and compared == spool.versions.get(segment)

    def _learn(self) -> None:
        if self._known:
            return
        known = self._archive.contents()
        self._complete.update(known.segments)
        for segment in self._compared.keys() - self._complete:
            del self._compared[segment]
        self._tails.update({segment: _StoredTail(tail.start, tail.stop, None) for segment, tail in known.last_tails().items()})
        self._covers.update({segment: TailCover.of(tails) for segment, tails in known.tails_of_unfinished().items()})
        self._newest = max([*self._complete, *self._tails], default=None)
        self._known = True

    def _ship_histories(self, spool: SpoolFacts) -> dict[str, GiveUp]:
        """Returns the faults of copies that are damaged, by the file's name; they hold up nothing else."""
        damaged: dict[str, GiveUp] = {}
        for timeline in spool.histories:
            content = self._receiver.read_history(timeline)
            if self._histories.get(timeline) == content:
                continue
            self._claim.require()
            try:
                self._archive.put_history(timeline, content)
            except GiveUp as error:
                if error.code != WAL_CORRUPT:
                    raise
                damaged[history_file_name(timeline)] = _copy_damaged(error)
            else:
                self._histories[timeline] = content
        return damaged

    def _ship_segments(
        self,
        spool: SpoolFacts,
        backup_begins_in: WalSegment | None,
        compare_from: WalSegment | None,
        before_each: Callable[[int, int], None] | None,
    ) -> dict[str, GiveUp]:
        """Returns the faults of copies that are damaged, by the segment's name."""
        damaged: dict[str, GiveUp] = {}
        older = [each for each in spool.segments if each in self._complete and compare_from is not None and each < compare_from]
        wanted = [each for each in spool.segments if not self.holds(each, spool) and each not in older[:-1]]
        for number, segment in enumerate(wanted):
            if before_each is not None:
                before_each(number, len(wanted))
            is_there = segment in self._complete
            try:
                self._stored += self._ship_segment(segment, spool, backup_begins_in) is PutOutcome.STORED
            except GiveUp as error:
                if error.code != WAL_CORRUPT or not is_there:
                    raise
                damaged[segment.name] = _copy_damaged(error)
        return damaged

    def _ship_segment(self, segment: WalSegment, spool: SpoolFacts, backup_begins_in: WalSegment | None) -> PutOutcome:
        content = self._receiver.read_segment(segment)
        last = self._tails.get(segment)
        if last is not None and segment not in self._complete:
            self._compare_tail(segment, last, content.between(last.start, last.stop))

        def put(begin_after_gap: bool) -> PutOutcome:
            return self._archive.put_segment(segment, content, begin_after_gap=begin_after_gap)

        outcome = self._put(segment, put, spool, backup_begins_in)
        self._complete.add(segment)
        self._compared[segment] = spool.versions.get(segment, "")
        self._tails.pop(segment, None)
        self._covers.pop(segment, None)
        self._newest = max(segment, self._newest or segment)
        return outcome

    def _ship_tail(self, spool: SpoolFacts, backup_begins_in: WalSegment | None) -> int:
        segment = spool.partial
        if segment is None or segment in self._complete:
            return 0
        last = self._tails.get(segment)
        offset, begin = (last.stop, last.start) if last is not None else (0, 0)
        content = self._receiver.read_tail(segment, begin)
        held = content.size_bytes
        tail = content.between(offset - begin, held)
        self._shorter = segment if held < offset - begin else None
        if last is not None and self._shorter is None:
            self._compare_tail(segment, last, content.between(0, offset - begin))
        if not tail.size_bytes:
            return 0
        stop, noting = offset + tail.size_bytes, NotingDigest(tail)

        def put(begin_after_gap: bool) -> PutOutcome:
            return self._archive.put_tail(segment, offset, noting.pieces, begin_after_gap=begin_after_gap)

        self._put(segment, put, spool, backup_begins_in)
        self._tails[segment] = _StoredTail(offset, stop, noting.sha256)
        self._covers[segment] = self._covers.get(segment, TailCover()).followed_by(offset, stop)
        self._newest = max(segment, self._newest or segment)
        self._put_together(segment, spool, backup_begins_in)
        return tail.size_bytes

    def _put_together(self, segment: WalSegment, spool: SpoolFacts, backup_begins_in: WalSegment | None) -> None:
        """Store many small tails once more as one: so a segment that fills slowly is read back in a few pieces."""
        due = self._covers[segment].put_together()
        if due is None:
            return
        cover, start, stop = due
        content = self._receiver.read_tail(segment, start).between(0, stop - start)

        def put(begin_after_gap: bool) -> PutOutcome:
            return self._archive.put_tail(segment, start, content, begin_after_gap=begin_after_gap)

        if content.size_bytes == stop - start:  # else the receiver has just begun it again
            self._put(segment, put, spool, backup_begins_in)
            self._covers[segment] = cover

    def _compare_tail(self, segment: WalSegment, last: _StoredTail, piece: Pieces) -> None:
        """``piece``: what the spool holds now where the repository's last tail is. The archive says what a difference means."""
        digest = piece.sha256()
        if last.sha256 == digest:
            return
        self._claim.require()
        try:
            self._archive.put_tail(segment, last.start, piece)
        except GiveUp as error:
            if error.code != WAL_CORRUPT:  # one that nobody can read is superseded by the whole segment
                raise
        self._tails[segment] = _StoredTail(last.start, last.stop, digest)

    def _put(
        self, segment: WalSegment, put: Callable[[bool], PutOutcome], spool: SpoolFacts, backup_begins_in: WalSegment | None
    ) -> PutOutcome:
        self._claim.require()
        try:
            self._require_joined(segment, spool)
            return put(False)
        except GiveUp as error:
            if error.code != WAL_HOLE or backup_begins_in is None:
                raise
            if segment.timeline != backup_begins_in.timeline or segment > backup_begins_in:
                raise
            outcome = put(True)
            self._gaps.append(segment)
            return outcome

    def _require_joined(self, segment: WalSegment, spool: SpoolFacts) -> None:
        """The first WAL of a timeline follows on what its parent holds; the archive sees to each timeline by itself only."""
        known = [*self._complete, *self._tails] if self._is_first_of_timeline(segment) else []
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

    def _shipped(self, spool: SpoolFacts, segments: int, tail_bytes: int, damaged: Mapping[str, GiveUp]) -> Shipped:
        """The end of the newest timeline's WAL; where the server writes before that, only what was compared counts."""
        newest, gaps, writing = self._newest, tuple(self._gaps), spool.partial
        if newest is None:
            return Shipped(None, None, segments, tail_bytes, gaps, damaged=damaged)
        doubtful = writing if writing in self._complete or writing == self._shorter else None
        end = self._end_of(newest)
        if writing is not None and writing.timeline == newest.timeline and writing <= newest:
            end = writing.start if doubtful is not None else self._end_of(writing)
        return Shipped(newest.timeline, end, segments, tail_bytes, gaps, doubtful, damaged)

    def _end_of(self, segment: WalSegment) -> Lsn:
        if segment in self._complete:
            return segment.end
        return segment.start + (self._tails[segment].stop if segment in self._tails else 0)


def ship_spool(world: World, resource: str, repository: str, system_identifier: str, segment_bytes: int) -> Shipped:
    """One pass of a step over everything that the spool holds now. Raises as ``ship_source`` does."""
    receiver = world.receivers[ResourceName(resource)]
    return ship_source(world, receiver, resource, repository, system_identifier, segment_bytes)


def ship_source(
    world: World, source: WalSource, resource: str, repository: str, system_identifier: str, segment_bytes: int
) -> Shipped:
    """One pass of a step over everything that is there now. Raises as ``WalShipper.ship_once`` does, and Cancelled.

    Of what both hold only the newest is compared, because somebody waits for it.
    """
    place = Repository.of(world, RepositoryName(repository))
    archive = place.wal(ResourceName(resource), SystemIdentifier(system_identifier), segment_bytes)

    def before_each(shipped: int, of: int) -> None:
        world.cancellation.raise_if_requested()
        world.progress.report("shipping WAL", shipped * segment_bytes, of * segment_bytes)

    claim, newest = place.own_claim(world.controller, world.clock), max(source.spool().segments, default=None)
    return WalShipper(source, archive, claim).ship_once(compare_from=newest, before_each=before_each)


def forget_shipped(receiver: WalReceiver, shippers: Sequence[WalShipper]) -> int:
    """Remove from the spool what every repository holds; how many segments that were."""
    spool = receiver.spool()
    safe = shipped_everywhere(spool.segments, [partial(shipper.holds, spool=spool) for shipper in shippers])
    if safe:
        receiver.forget(safe)
    return len(safe)


def shipped_everywhere(spooled: Sequence[WalSegment], holds: Iterable[Callable[[WalSegment], bool]]) -> tuple[WalSegment, ...]:
    """What the spool need not hold any longer: every repository has it, and the receiver does not go on from it."""
    asked = tuple(holds)
    newest = max(spooled, key=lambda each: (each.number, each.timeline), default=None)
    return tuple(each for each in spooled if each != newest and all(holds(each) for holds in asked))


def _copy_damaged(error: GiveUp) -> GiveUp:
    """The spool still has what the repository's copy no longer says."""
    return GiveUp(
        error.code,
        found=error.found,
        expected=error.expected,
        hint="the spool keeps this WAL, and other WAL is shipped: move the named object out of the store, and it is stored anew",
    )
