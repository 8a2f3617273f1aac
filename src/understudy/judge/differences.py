"""What differs between two states of the same thing, from two streams in order; neither is ever held in memory. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

V = TypeVar("V")


class Change(StrEnum):
    """Of the later state against the earlier one."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Difference:
    change: Change
    key: bytes
    count: int = 1
    """How many: of rows without a key several may be alike."""


def compared_by_key(earlier: Iterable[tuple[bytes, str]], later: Iterable[tuple[bytes, str]]) -> Iterator[Difference]:
    """
    Args:
        earlier: A key, once, and the digest of what it stands for; ascending by key. ``later`` likewise.

    Raises:
        ValueError: keys do not ascend: what was compared by then means nothing.
    """
    for key, before, after in _side_by_side(earlier, later):
        if before is None:
            yield Difference(Change.ADDED, key)
        elif after is None:
            yield Difference(Change.REMOVED, key)
        elif before != after:
            yield Difference(Change.CHANGED, key)


def compared_by_count(earlier: Iterable[tuple[bytes, int]], later: Iterable[tuple[bytes, int]]) -> Iterator[Difference]:
    """Of what has no key: how often each digest occurs, ascending by digest. A changed one is one that went and one that came.

    Raises as ``compared_by_key`` does.
    """
    for digest, before, after in _side_by_side(earlier, later):
        more = (after or 0) - (before or 0)
        if more:
            yield Difference(Change.ADDED if more > 0 else Change.REMOVED, digest, abs(more))


def _side_by_side(
    earlier: Iterable[tuple[bytes, V]], later: Iterable[tuple[bytes, V]]
) -> Iterator[tuple[bytes, V | None, V | None]]:
    left, right = _ascending(earlier), _ascending(later)
    before, after = next(left, None), next(right, None)
    while before is not None or after is not None:
        key = min(each[0] for each in (before, after) if each is not None)
        yield (
            key,
            before[1] if before is not None and before[0] == key else None,
            after[1] if after is not None and after[0] == key else None,
        )
        before = next(left, None) if before is not None and before[0] == key else before
        after = next(right, None) if after is not None and after[0] == key else after


def _ascending(stream: Iterable[tuple[bytes, V]]) -> Iterator[tuple[bytes, V]]:
    last: bytes | None = None
    for key, value in stream:
        if last is not None and key <= last:
            raise ValueError(f"{key!r} behind {last!r}")
        last = key
        yield key, value
