"""The ``WalRemains`` port over a data directory whose server is stopped.

    <directory>/pg_wal/             a link where the server was made with --waldir: the only one that is followed
    ├─ 0000000100000000000000A3     written up to some page; behind that, what the file held under an earlier name
    ├─ 0000000100000000000000A4     recycled: all of it is from under an earlier name
    └─ 00000002.history

Whoever owns the data directory may have put anything there, and root may read it: so only plain files of that owner, in a
directory of that owner, are opened. What a page holds counts only where its header says that it is of this place in the WAL.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from understudy.ports.wal_receiver import SpoolFacts
from understudy.ports.wal_remains import OLD_WAL_UNUSABLE, HeldWal, Remains
from understudy.repository.wal_records import WAL_PAGE_BYTES, Behind, SegmentPages, WalRecords, page_end
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import SystemIdentifier
from understudy.vocabulary.pieces import PIECE_BYTES, Pieces
from understudy.vocabulary.wal import (
    Lsn,
    Timeline,
    TimelineFork,
    WalSegment,
    history_file_name,
    is_segment_name,
    parse_history_file,
    timeline_of_history_file,
)

_WAL = "pg_wal"
_MOST_HISTORY_BYTES = 1 << 20
_PAGE_HEADER = struct.Struct("<HxxIQ")
"""``XLogPageHeaderData``: magic, timeline, address of the page."""
_FIRST_PAGE_HEADER = struct.Struct("<24xQII")
"""What ``XLogLongPageHeaderData`` has behind that, on a segment's first page: system, segment size, page size."""
_ZEROS = bytes(WAL_PAGE_BYTES)


class DataDirectoryRemains:
    def look(
        self,
        directory: str,
        system_identifier: SystemIdentifier,
        held: HeldWal,
        timeline: Timeline,
        between_pieces: Callable[[], None],
    ) -> Remains:
        files = _WalFiles(directory, system_identifier, held.segment_bytes)
        forks = files.ancestry(timeline)
        legs = [*((fork.parent, fork.at) for fork in forks), (timeline, None)]
        for leg, left_at in reversed(legs):
            reach = held.reaches.get(leg)
            if reach is not None:
                base = reach if left_at is None else min(reach, left_at)
                return _Walk(files, forks, timeline, held, between_pieces).behind(leg, base)
        raise _unusable(f"{files.path()} does not say how timeline {timeline} goes on from what is held")

    def continuation(
        self, directory: str, system_identifier: SystemIdentifier, held: HeldWal, timeline: Timeline
    ) -> tuple[Timeline, tuple[TimelineFork, ...]] | None:
        files = _WalFiles(directory, system_identifier, held.segment_bytes)
        reach = held.reaches.get(timeline, Lsn(0))
        for later in sorted({each.timeline for each in files.segments if each.timeline > timeline}, reverse=True):
            forks = files.ancestry(later)
            left = next((fork for fork in forks if fork.parent == timeline), None)
            if left is not None and left.at >= reach:
                return later, forks
        return None


class _WalFiles:
    """One ``pg_wal``, read with care."""

    def __init__(self, directory: str, system_identifier: SystemIdentifier, segment_bytes: int) -> None:
        """
        Raises:
            GiveUp: ``old_wal_unusable``.
        """
        self._directory = directory
        with self._faults(), _opened(directory) as (wal, _):
            names = sorted(os.listdir(wal))  # noqa: PTH208 - of a directory that is held open
        segments = [WalSegment.parse(name, segment_bytes) for name in names if is_segment_name(name)]
        owners = {segment: self._owner_of(segment) for segment in segments}
        self._histories = {timeline_of_history_file(name) for name in names}
        self.segments = [segment for segment, owner in owners.items() if owner == system_identifier]
        """Those that were written under their name, ascending; no recycled ones."""
        strangers = sorted({owner for owner in owners.values() if owner is not None} - {system_identifier})
        if strangers:
            raise _unusable(f"{self.path()} holds WAL of cluster {', '.join(strangers)}, and not of {system_identifier} alone")

    def path(self, name: str = "") -> str:
        return str(Path(self._directory, _WAL, name))

    def ancestry(self, timeline: Timeline) -> tuple[TimelineFork, ...]:
        """Empty where its history file is not there, or makes no sense."""
        if not self.has_history(timeline):
            return ()
        try:
            return parse_history_file(self.read_history(timeline).decode())
        except ValueError:
            return ()

    def has_history(self, timeline: Timeline) -> bool:
        return timeline in self._histories

    def read_history(self, timeline: Timeline) -> bytes:
        return self._read(history_file_name(timeline), 0, _MOST_HISTORY_BYTES)

    def read(self, segment: WalSegment, start: int, stop: int) -> bytes:
        """Whole pages, with zeros for each that is not of this place. Behind a switch of segments there are zeros anyway."""
        content = self._read(segment.name, start, stop, segment.size_bytes)
        stale = [at for at in range(0, len(content), WAL_PAGE_BYTES) if not _is_of(content, at, segment, start)]
        if not stale:
            return content
        cleaned = bytearray(content)
        for at in stale:
            cleaned[at : at + WAL_PAGE_BYTES] = _ZEROS
        return bytes(cleaned)

    def pieces(self, segment: WalSegment, stop: int) -> Pieces:
        """Up to ``stop``."""

        def read(first: int, last: int) -> Iterator[bytes]:
            for begin in range(first // PIECE_BYTES * PIECE_BYTES, last, PIECE_BYTES):
                piece = self.read(segment, begin, min(begin + PIECE_BYTES, segment.size_bytes))
                yield piece[max(0, first - begin) : last - begin]

        return Pieces(stop, read)

    def _owner_of(self, segment: WalSegment) -> str | None:
        """The cluster by which it was written; None where its first page is of another place, or cannot be read."""
        try:
            header = self._read(segment.name, 0, _FIRST_PAGE_HEADER.size)
        except GiveUp:
            return None
        if len(header) < _FIRST_PAGE_HEADER.size or not _is_of(header, 0, segment, 0):
            return None
        system, segment_bytes, page_bytes = _FIRST_PAGE_HEADER.unpack(header)
        return str(system) if (segment_bytes, page_bytes) == (segment.size_bytes, WAL_PAGE_BYTES) else None

    def _read(self, name: str, start: int, stop: int, wanted_bytes: int | None = None) -> bytes:
        """``wanted_bytes``: how long the file must be."""
        with self._faults(name), _opened(self._directory) as (wal, owner), _plain_file(name, wal, owner) as file:
            size_bytes = os.fstat(file.fileno()).st_size
            if wanted_bytes is not None and size_bytes != wanted_bytes:
                raise _unusable(f"{self.path(name)} has {size_bytes} bytes, and not {wanted_bytes}")
            file.seek(start)
            return file.read(stop - start)

    @contextmanager
    def _faults(self, name: str = "") -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _unusable(f"{self.path(name)}: {error.strerror or error}") from error


@dataclass(frozen=True, slots=True)
class _Walk:
    """Along the records from what is held to the end of a timeline."""

    files: _WalFiles
    forks: tuple[TimelineFork, ...]
    timeline: Timeline
    held: HeldWal
    between_pieces: Callable[[], None]

    def behind(self, leg: Timeline, base: Lsn) -> Remains:
        """``leg``: the timeline on which ``base`` lies, and all before it is held."""
        written = set(self.files.segments)
        before, run = self._segment(base.position // self.held.segment_bytes - 1), list[WalSegment]()
        while (following := self._segment(before.number + 1 + len(run))) in written:
            run.append(following)
        later = [each for each in written if each.number > following.number and each == self._segment(each.number)]
        hole = ""
        if later or (not run and base > following.start):
            hole = f"{self.files.path(following.name)} is not there, or holds none of its own WAL"
            hole += f", although {min(later)} does" if later else ""
        histories = tuple(each for each in self._timelines() if each > leg and self.files.has_history(each))
        if not run:
            return Remains(_LeftWal(self.files, (), None, base, histories), base, hole)
        unread: list[str] = []
        records, ahead = self._records(run, unread), self._ahead_of(before, written)
        begin, end = self._whole(records, ahead, run[0], base)
        if begin is None or end is None:
            return Remains(_LeftWal(self.files, (), None, base, histories), base, f"{self.files.path(run[0].name)} is damaged")
        damaged = records.behind(end) is Behind.DAMAGE and records.reaches > page_end(end + 1)
        file = self.files.path(self._segment(end.position // self.held.segment_bytes).name)
        faults = [*unread, *([f"{file} is damaged behind {end}"] if damaged else []), *([hole] if hole else [])]
        compared = [before] if begin <= before.start and before in self.held.segments else []
        whole = tuple(each for each in (*compared, *run) if each.end <= end)
        rest = next((each for each in run if each.start < end < each.end), None)
        return Remains(_LeftWal(self.files, whole, rest, end, histories), end, next(iter(faults), ""))

    def _ahead_of(self, before: WalSegment, written: set[WalSegment]) -> list[WalSegment]:
        """Where the way may begin: with ``before``, and the one in which the record begins that reaches over into that."""
        earlier = self._segment(before.number - 1)
        return [each for each in (earlier, before) if {each, before} <= written]

    def _whole(self, records: WalRecords, ahead: list[WalSegment], first: WalSegment, base: Lsn) -> tuple[Lsn | None, Lsn | None]:
        """From where on each record is whole that the way to the last whole one leads over, and where that ends.

        Damage to what is held anyway does no harm. So where the way ends before ``first`` it begins anew further on; in ``first``
        only where the record that reaches over there is held to its end, or nothing is left that would tell.
        """
        for each in ahead:
            begin = records.first_behind(each.start)
            end = records.whole_until(begin)
            if end is not None and end >= first.start:
                return begin, end
        begin = records.first_behind(first.start)
        if ahead and begin is not None and begin > base:
            return None, None
        return begin, records.whole_until(begin)

    def _segment(self, number: int) -> WalSegment:
        """A segment within which a timeline is left is of the one that goes on, whose copy begins with the same bytes."""
        size = self.held.segment_bytes
        own = next((fork.parent for fork in self.forks if number < fork.at.position // size), self.timeline)
        return WalSegment(own, number, size)

    def _timelines(self) -> list[Timeline]:
        return [*(fork.parent for fork in self.forks), self.timeline]

    def _records(self, run: list[WalSegment], unread: list[str]) -> WalRecords:
        newest: dict[tuple[int, int], bytes] = {}

        def piece(number: int, begin: int) -> bytes:
            if (number, begin) not in newest:
                self.between_pieces()
                newest.clear()
                newest[number, begin] = self._readable(number, begin, run[0], unread)
            return newest[number, begin]

        def read(number: int, offset: int, count: int) -> bytes:
            begin = offset // PIECE_BYTES * PIECE_BYTES
            return piece(number, begin)[offset - begin : offset - begin + count]

        last = run[-1]
        reach = _up_to_zeros(last.size_bytes, lambda begin: piece(last.number, begin))
        return WalRecords(SegmentPages(read, self.held.segment_bytes), last.start + reach)

    def _readable(self, number: int, begin: int, first: WalSegment, unread: list[str]) -> bytes:
        """Zeros where it cannot be read, with the reason in ``unread`` if it is one of those that are wanted."""
        stop = min(begin + PIECE_BYTES, self.held.segment_bytes)
        try:
            return self.files.read(self._segment(number), begin, stop)
        except GiveUp as error:
            if number >= first.number:
                unread.append(error.found)
            return bytes(stop - begin)


@dataclass(frozen=True, slots=True)
class _LeftWal:
    """``ports.WalSource``."""

    files: _WalFiles
    segments: tuple[WalSegment, ...]
    unfinished: WalSegment | None
    end: Lsn
    histories: tuple[Timeline, ...]

    def spool(self) -> SpoolFacts:
        versions = dict.fromkeys(self.segments, "left behind")
        return SpoolFacts(self.segments, self.unfinished, self.histories, 0, 0, versions)

    def read_segment(self, segment: WalSegment) -> Pieces:
        return self.files.pieces(segment, segment.size_bytes)

    def read_tail(self, segment: WalSegment, offset: int) -> Pieces:
        whole = self.files.pieces(segment, min(self.end.bytes_since(segment.start), segment.size_bytes))

        def piece(begin: int) -> bytes:
            return b"".join(whole.between(begin, begin + PIECE_BYTES))

        return whole.between(offset, _up_to_zeros(whole.size_bytes, piece))

    def read_history(self, timeline: Timeline) -> bytes:
        return self.files.read_history(timeline)


@contextmanager
def _opened(directory: str) -> Iterator[tuple[int, int]]:
    """The descriptor of its ``pg_wal``, and the user who owns both."""
    data = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        owner = os.fstat(data).st_uid
        wal = os.open(_WAL, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=data)
        try:
            if os.fstat(wal).st_uid != owner:
                raise PermissionError(0, "it belongs to another user than the data directory")
            yield wal, owner
        finally:
            os.close(wal)
    finally:
        os.close(data)


@contextmanager
def _plain_file(name: str, wal: int, owner: int) -> Iterator[BinaryIO]:
    """No link is followed, and no pipe waited for."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=wal)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != owner:
            raise PermissionError(0, "it is no plain file of the data directory's owner")
        yield file


def _is_of(content: bytes, at: int, segment: WalSegment, start: int) -> bool:
    """Whether the page there is of this place, on this timeline or one before it. ``start``: where the content lies."""
    magic, timeline, address = _PAGE_HEADER.unpack_from(content, at)
    return bool(magic) and address == segment.start.position + start + at and 0 < timeline <= segment.timeline


def _up_to_zeros(size_bytes: int, piece: Callable[[int], bytes]) -> int:
    """Behind the last byte that is not zero, looked for from the back."""
    for begin in range((size_bytes - 1) // PIECE_BYTES * PIECE_BYTES, -1, -PIECE_BYTES):
        if found := len(piece(begin).rstrip(b"\0")):
            return begin + found
    return 0


def _unusable(found: str) -> GiveUp:
    return GiveUp(
        OLD_WAL_UNUSABLE,
        found=found,
        expected="the pg_wal of the old server, with WAL that goes on from what is held",
        hint="what the old server had written and nobody received cannot be taken from there",
    )
