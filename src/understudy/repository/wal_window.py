"""Which WAL segments should lie on disk for a server that replays. Pure; whoever uses it from several threads locks it."""

from __future__ import annotations

from collections.abc import Sequence

_KEPT_BEHIND_SEGMENTS = 1
"""The newest delivered segment stays: a server that finds its WAL incomplete asks for the same one again."""


class WalWindow:
    """Which segments should lie on disk: from just behind the one asked for last, up to ``size`` ahead of it."""

    def __init__(self, names: tuple[str, ...], size: int) -> None:
        self.names = names
        self.size = size
        self.position = 0
        self.in_progress: set[str] = set()
        self._numbers = {name: number for number, name in enumerate(names)}
        self._left: frozenset[str] = frozenset()

    def wanted(self) -> tuple[str, ...]:
        return self.names[self.position : self.position + self.size]

    def move_to(self, asked_for: Sequence[str]) -> bool:
        """Whether the newest of these requests moved the window; names that are not ours to fetch do not."""
        known = [name for name in asked_for if name in self._numbers]
        before = self.position
        if known:
            self.position = self._numbers[known[-1]]
        return self.position != before

    def extend(self, names: Sequence[str]) -> None:
        """Behind all others."""
        self._numbers |= {name: len(self.names) + offset for offset, name in enumerate(names)}
        self.names += tuple(names)

    def newest_asked(self) -> list[str]:
        """The segment that was asked for last, behind the one before it."""
        return list(self.names[max(0, self.position - 1) : self.position + 1])

    def kept(self) -> frozenset[str]:
        return self._left | frozenset(self.names[max(0, self.position - _KEPT_BEHIND_SEGMENTS) : self.position + self.size])

    def leave(self, names: Sequence[str]) -> tuple[str, ...]:
        """Those of the names that are ours to fetch; from now on they are kept."""
        known = tuple(name for name in names if name in self._numbers)
        self._left |= frozenset(known)
        return known
