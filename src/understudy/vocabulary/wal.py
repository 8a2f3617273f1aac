"""Positions in the write-ahead log and the names of its files.

Source: PostgreSQL manual, "Reliability and the Write-Ahead Log" → "WAL Internals", and ``access/xlog_internal.h``:
a segment's file name is timeline, then the segment number split at 4 GiB, eight hexadecimal digits each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NewType

Timeline = NewType("Timeline", int)

DEFAULT_SEGMENT_BYTES = 16 * 1024 * 1024
SET_BACK_HINT = (
    "to have again what it lost, stop it and run: understudy recover database_corruption. To go on from where it stands instead, "
    "protect it under another name: rename it in the stack file, take its first backup, and drop the slot of the old name there"
)
"""For a server that writes one timeline a second time, from an earlier position on, with other work."""
_FOUR_GIB = 0x1_0000_0000
_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")
_SEGMENT_NAME = re.compile(r"[0-9A-F]{24}")
_HISTORY_NAME = re.compile(r"([0-9A-F]{8})\.history")


@dataclass(frozen=True, slots=True, order=True)
class Lsn:
    """A byte position in the WAL. Prints as PostgreSQL does: ``0/3000060``."""

    position: int

    @classmethod
    def parse(cls, text: str) -> Lsn:
        found = _LSN.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"not a WAL position: {text!r}; expected something like 0/3000060")
        return cls((int(found.group(1), 16) << 32) | int(found.group(2), 16))

    def __str__(self) -> str:
        return f"{self.position >> 32:X}/{self.position & 0xFFFFFFFF:X}"

    def __add__(self, size_bytes: int) -> Lsn:
        return Lsn(self.position + size_bytes)

    def bytes_since(self, earlier: Lsn) -> int:
        """How many bytes of WAL lie between ``earlier`` and here; never negative."""
        return max(0, self.position - earlier.position)


@dataclass(frozen=True, slots=True, order=True)
class WalSegment:
    """One WAL file of a timeline. Ordered by timeline, then by position."""

    timeline: Timeline
    number: int
    size_bytes: int = DEFAULT_SEGMENT_BYTES

    @classmethod
    def parse(cls, name: str, size_bytes: int = DEFAULT_SEGMENT_BYTES) -> WalSegment:
        if not _SEGMENT_NAME.fullmatch(name):
            raise ValueError(f"not the name of a WAL segment: {name!r}; expected 24 hexadecimal digits")
        per_log = _FOUR_GIB // size_bytes
        return cls(Timeline(int(name[:8], 16)), int(name[8:16], 16) * per_log + int(name[16:], 16), size_bytes)

    @classmethod
    def holding(cls, timeline: Timeline, lsn: Lsn, size_bytes: int = DEFAULT_SEGMENT_BYTES) -> WalSegment:
        """The segment that holds the byte at ``lsn``."""
        return cls(timeline, lsn.position // size_bytes, size_bytes)

    @property
    def name(self) -> str:
        per_log = _FOUR_GIB // self.size_bytes
        return f"{self.timeline:08X}{self.number // per_log:08X}{self.number % per_log:08X}"

    @property
    def start(self) -> Lsn:
        return Lsn(self.number * self.size_bytes)

    @property
    def end(self) -> Lsn:
        """The first position behind this segment."""
        return Lsn((self.number + 1) * self.size_bytes)

    @property
    def following(self) -> WalSegment:
        return WalSegment(self.timeline, self.number + 1, self.size_bytes)

    def through(self, last: WalSegment) -> Iterator[WalSegment]:
        """This segment and those behind it up to and with ``last``, on this timeline."""
        for number in range(self.number, last.number + 1):
            yield WalSegment(self.timeline, number, self.size_bytes)

    def __str__(self) -> str:
        return self.name


def segments_covering(timeline: Timeline, start: Lsn, stop: Lsn, size_bytes: int) -> list[WalSegment]:
    """Every segment that holds a byte in ``[start, stop)``; at least the one that holds ``start``."""
    first = WalSegment.holding(timeline, start, size_bytes)
    last = WalSegment.holding(timeline, Lsn(max(start.position, stop.position - 1)), size_bytes)
    return list(first.through(last))


def is_segment_name(name: str) -> bool:
    return bool(_SEGMENT_NAME.fullmatch(name))


def history_file_name(timeline: Timeline) -> str:
    return f"{timeline:08X}.history"


def timeline_of_history_file(name: str) -> Timeline | None:
    """The timeline that a ``.history`` file begins, or None when the name is of another kind."""
    found = _HISTORY_NAME.fullmatch(name)
    return Timeline(int(found.group(1), 16)) if found else None


@dataclass(frozen=True, slots=True)
class TimelineFork:
    """One line of a ``.history`` file: ``parent`` ends at ``at``, where the next timeline begins."""

    parent: Timeline
    at: Lsn
    reason: str = ""


def parse_history_file(text: str) -> tuple[TimelineFork, ...]:
    """The ancestry that a ``.history`` file records, oldest first.

    Source: PostgreSQL manual, "Continuous Archiving" → "Timelines". A line is ``<parent> <lsn> <reason>``.

    Raises:
        ValueError: a line has another form, or timelines do not rise.
    """
    forks: list[TimelineFork] = []
    for line in text.splitlines():
        stripped = line.split("#", 1)[0].strip()
        if not stripped:
            continue
        fields = stripped.split(None, 2)
        if len(fields) < 2 or not (fields[0].isascii() and fields[0].isdigit()):
            raise ValueError(f"not a line of a timeline history file: {line!r}")
        fork = TimelineFork(Timeline(int(fields[0])), Lsn.parse(fields[1]), fields[2] if len(fields) > 2 else "")
        if forks and fork.parent <= forks[-1].parent:
            raise ValueError(f"timelines must rise in a history file, found {fork.parent} after {forks[-1].parent}")
        forks.append(fork)
    return tuple(forks)
