"""Which of a segment's tails are read, and when many small ones are stored once more as one. Pure.

A tail every ``ship_every`` makes tens of thousands of pieces of a segment that fills slowly. So 32 pieces in a row are stored
again as one, 32 of those again, and so on: a reader needs a few dozen, and each byte is stored a few times, not thousands.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from understudy.repository.layout import TailSpan
from understudy.vocabulary.wal import WalSegment

PUT_TOGETHER_PIECES = 32


def covers_of(tails: Iterable[TailSpan]) -> dict[WalSegment, tuple[TailSpan, ...]]:
    """``cover_of`` for each segment that has a tail from its beginning on."""
    covers = {segment: cover_of([*of_one]) for segment, of_one in groupby(sorted(tails), lambda each: each.segment)}
    return {segment: cover for segment, cover in covers.items() if cover}


def cover_of(tails: Sequence[TailSpan]) -> tuple[TailSpan, ...]:
    """The fewest of one segment's tails that hold its bytes from the beginning on, as far as there is no hole.

    Each begins where the one before ends, or earlier: of those that do, the one that reaches furthest.
    """
    cover: list[TailSpan] = []
    reach, furthest = 0, None
    for tail in sorted(tails):
        if tail.start > reach and furthest is not None:
            cover.append(furthest)
            reach, furthest = furthest.stop, None
        if tail.start > reach:
            break
        if tail.stop > (reach if furthest is None else furthest.stop):
            furthest = tail
    return tuple(cover) if furthest is None else (*cover, furthest)


@dataclass(frozen=True, slots=True)
class _Piece:
    start: int
    stop: int
    level: int
    """How often pieces were put together in it: 0 for one as it was shipped."""


@dataclass(frozen=True, slots=True)
class TailCover:
    """The pieces of one unfinished segment that a reader takes, for the writer, who sees to it that they are few."""

    _pieces: tuple[_Piece, ...] = ()

    @classmethod
    def of(cls, tails: Iterable[TailSpan]) -> TailCover:
        """From all that are stored of one segment."""
        known = sorted(tails)
        starts = [tail.start for tail in known]

        def level(tail: TailSpan) -> int:
            within, found = bisect_left(starts, tail.stop) - bisect_left(starts, tail.start) - 1, 0
            while within >= PUT_TOGETHER_PIECES:
                within, found = within // PUT_TOGETHER_PIECES, found + 1
            return found

        return cls(tuple(_Piece(tail.start, tail.stop, level(tail)) for tail in cover_of(known)))

    def followed_by(self, start: int, stop: int) -> TailCover:
        """With one more piece, stored just now."""
        return TailCover((*self._pieces, _Piece(start, stop, 0)))

    def put_together(self) -> tuple[TailCover, int, int] | None:
        """What is to be stored once more, as one piece of the bytes ``[start, stop)``, and what is read then. None: nothing."""
        pieces, due = list(self._pieces), False
        while pieces:
            run = len(pieces)
            while run and pieces[run - 1].level == pieces[-1].level:
                run -= 1
            if len(pieces) - run < PUT_TOGETHER_PIECES:
                break
            pieces[run:] = [_Piece(pieces[run].start, pieces[-1].stop, pieces[-1].level + 1)]
            due = True
        return (TailCover(tuple(pieces)), pieces[-1].start, pieces[-1].stop) if due else None
