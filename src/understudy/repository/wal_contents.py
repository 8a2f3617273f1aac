"""What a WAL archive holds, seen by one listing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from understudy.repository.layout import TailSpan, WalKeys
from understudy.repository.tail_cover import covers_of
from understudy.repository.wal_records import page_end
from understudy.vocabulary.wal import Lsn, Timeline, WalSegment


@dataclass(frozen=True)
class WalContents:
    """The sidecars that exist. Signatures and digests are checked when something is fetched, not here."""

    segment_bytes: int
    segments: tuple[WalSegment, ...]
    """Complete ones of all timelines, ascending."""
    tails: tuple[TailSpan, ...]
    """Ascending; also of segments that are complete by now."""
    histories: tuple[Timeline, ...]
    """Timelines whose ``.history`` file is there."""
    _complete: frozenset[WalSegment] = field(init=False, repr=False, compare=False)
    _last_tails: Mapping[WalSegment, TailSpan] = field(init=False, repr=False, compare=False)
    _tail_reaches: Mapping[WalSegment, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_complete", frozenset(self.segments))
        object.__setattr__(self, "_last_tails", {segment: cover[-1] for segment, cover in covers_of(self.tails).items()})
        object.__setattr__(self, "_tail_reaches", {segment: tail.stop for segment, tail in self._last_tails.items()})

    @classmethod
    def of_keys(cls, keys: WalKeys, listed: Iterable[str], segment_bytes: int) -> WalContents:
        """From the keys of everything below ``wal/``; data without its sidecar does not count."""
        segments: list[WalSegment] = []
        tails: list[TailSpan] = []
        histories: list[Timeline] = []
        for key in listed:
            match keys.recognise(key, segment_bytes):
                case WalSegment() as segment:
                    segments.append(segment)
                case TailSpan() as tail:
                    tails.append(tail)
                case int() as timeline:
                    histories.append(Timeline(timeline))
        return cls(segment_bytes, tuple(sorted(segments)), tuple(sorted(tails)), tuple(sorted(histories)))

    def holds(self, segment: WalSegment) -> bool:
        """Whether the segment is there, complete."""
        return segment in self._complete

    def tail_reaches(self) -> Mapping[WalSegment, int]:
        """How many bytes, from their beginning on, the tails of each segment hold without a hole."""
        return self._tail_reaches

    def last_tails(self) -> Mapping[WalSegment, TailSpan]:
        """The tail with which each of these reaches ends."""
        return self._last_tails

    def tails_of_unfinished(self) -> Mapping[WalSegment, tuple[TailSpan, ...]]:
        """All tails of each segment that is not complete, ascending."""
        of_one: dict[WalSegment, list[TailSpan]] = {}
        for tail in self.tails:
            if tail.segment not in self._complete:
                of_one.setdefault(tail.segment, []).append(tail)
        return {segment: tuple(tails) for segment, tails in of_one.items()}

    def timelines(self) -> tuple[Timeline, ...]:
        """Those of which any WAL is there, ascending."""
        return tuple(sorted({each.timeline for each in self.segments} | {each.timeline for each in self._tail_reaches}))

    def reaches(self, timeline: Timeline) -> Lsn | None:
        """The end of the newest WAL of the timeline, tails counted; None when there is none. Says nothing of holes before it."""
        ends = [segment.end for segment in self.segments if segment.timeline == timeline]
        ends += [segment.start + reach for segment, reach in self._tail_reaches.items() if segment.timeline == timeline]
        return max(ends, default=None)

    def gap_between(self, first: WalSegment, last: WalSegment) -> WalSegment | None:
        """The first missing segment from ``first`` up to and with ``last``; None when there is no hole.

        A tail stands for a complete segment only in the last place: behind it, replay would end.
        """
        for segment in first.through(last):
            if segment not in self._complete and not (segment == last and self._tail_reaches.get(segment)):
                return segment
        return None

    def lacking_of(self, needed: Sequence[WalSegment], stop: Lsn) -> WalSegment | None:
        """The first of the needed segments that is not there; the last, too, if only a tail of it is that ends before ``stop``.

        A tail ends with its last byte that is not zero, and what it leaves out ends with the page.
        """
        gap = self.gap_between(needed[0], needed[-1])
        return needed[-1] if gap is None and page_end(self.reach_of(needed[-1])) < stop else gap

    def reach_of(self, segment: WalSegment) -> Lsn:
        """How far this one segment is there: to its end, or as far as its tails go."""
        return segment.end if self.holds(segment) else segment.start + self._tail_reaches.get(segment, 0)

    def bytes_lacking(self, others: WalContents) -> int:
        """How many bytes of WAL the others hold, and these do not."""
        segments = [segment for segment in others.segments if not self.holds(segment)]
        lacking = sum(segment.size_bytes - self._tail_reaches.get(segment, 0) for segment in segments)
        for segment, reach in others.tail_reaches().items():
            if not self.holds(segment) and segment not in segments:
                lacking += max(0, reach - self._tail_reaches.get(segment, 0))
        return lacking

    def continued_by(self, others: WalContents) -> WalContents:
        """With what follows on it in the others, as far as that goes without a hole; the first of a timeline on its parent's."""
        segments, tails = set(self.segments), set(self.tails)
        histories = {*self.histories, *others.histories}
        begun = set(self.timelines())

        def joins(segment: WalSegment) -> bool:
            own = segment.timeline
            if own in begun:
                return segment in self._tail_reaches or WalSegment(own, segment.number - 1, segment.size_bytes) in segments
            parents = map(Timeline, range(1, own)) if own in histories else ()
            return any(WalSegment(parent, segment.number - 1, segment.size_bytes) in segments for parent in parents)

        for segment in others.segments:
            if joins(segment):
                segments.add(segment)
                begun.add(segment.timeline)
        tails.update(tail for tail in others.tails if joins(tail.segment))
        return WalContents(self.segment_bytes, tuple(sorted(segments)), tuple(sorted(tails)), tuple(sorted(histories)))
