"""The pieces of an unfinished segment put together while they are read, without holding any of them whole. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest

from understudy.repository.layout import TailSpan


class ContradictoryTails(Exception):
    """A tail has other bytes than the one before it where both have some."""

    def __init__(self, tail: TailSpan) -> None:
        super().__init__(tail)
        self.tail = tail


def joined(tails: Sequence[TailSpan], read: Callable[[TailSpan], Iterable[bytes]]) -> Iterator[bytes]:
    """The bytes of a cover, each once.

    Where two overlap, their digests over what they share are compared before any byte behind it is given.

    Raises:
        ContradictoryTails.
    """
    reach, said = 0, hashlib.sha256()
    for tail, following in zip_longest(tails, tails[1:]):
        shared_from = tail.stop if following is None else following.start
        at, found, says = tail.start, hashlib.sha256(), hashlib.sha256()
        compared = False
        for piece in read(tail):
            found.update(piece[: max(0, reach - at)])
            says.update(piece[max(0, shared_from - at) :])
            fresh = piece[max(0, reach - at) :]
            at += len(piece)
            if at >= reach and not compared:
                compared = True
                if found.digest() != said.digest():
                    raise ContradictoryTails(tail)
            if fresh:
                yield fresh
        reach, said = tail.stop, says
