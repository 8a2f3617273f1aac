"""The directory that ``pg_receivewal`` fills, read without disturbing it.

    <spool>/wal/          complete segments, ``.partial`` ones, ``.history`` files: ``pg_receivewal``'s own directory
    <spool>/quarantine/   segments that were moved aside, with the reason
    <spool>/stream.json   which cluster it belongs to
    <spool>/lock, receiver.log, passfile   of the receiver's process

Names and sizes as in ``pg_receivewal.c``: a ``.partial`` is padded with zeros to the full size before any WAL is written into it,
written from its beginning to its end, and renamed when complete.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from understudy.adapters.files.incoming import flush_directory
from understudy.ports.wal_receiver import SpoolFacts
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import SystemIdentifier
from understudy.vocabulary.pieces import PIECE_BYTES, Pieces
from understudy.vocabulary.wal import (
    DEFAULT_SEGMENT_BYTES,
    Lsn,
    Timeline,
    WalSegment,
    history_file_name,
    is_segment_name,
    timeline_of_history_file,
)

_PARTIAL = ".partial"
_QUARANTINE = "quarantine"
_BLOCK_BYTES = 256 * 1024
_ZEROS = bytes(_BLOCK_BYTES)


_LONG_PAGE_HEADER = struct.Struct("<H22xQI4x")
"""Of ``XLogLongPageHeaderData`` (``access/xlog_internal.h``), with which each segment begins: magic, system, segment size."""


@dataclass(frozen=True, slots=True)
class SpoolIdentity:
    """Whose WAL a spool holds."""

    system_identifier: SystemIdentifier
    segment_bytes: int


def set_aside_bytes(directory: Path) -> int:
    """What lies in the quarantine of the spool in ``directory``, as far as this user may look. Nothing removes it by itself."""
    total = 0
    for place, _, names in os.walk(directory / _QUARANTINE):
        for name in names:
            with contextlib.suppress(OSError):
                total += (Path(place) / name).stat().st_size
    return total


@dataclass(frozen=True, slots=True)
class StreamStart:
    """Where ``pg_receivewal`` would go on from."""

    timeline: Timeline
    lsn: Lsn


class WalSpool:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.wal = directory / "wal"
        self._identity_file = directory / "stream.json"

    def prepare(self, system: SystemIdentifier, segment_bytes: int) -> None:
        """Make the directories, and note whose WAL this spool holds.

        Raises:
            GiveUp: ``system_identifier_changed``: it holds another cluster's; ``spool_damaged``: it holds several clusters'.
        """
        for path in (self.directory, self.wal):
            if not path.exists():
                path.mkdir(mode=0o700, parents=path is self.directory)
        found = self._identity()
        if found is not None and found.system_identifier != system:
            raise GiveUp(
                "system_identifier_changed",
                found=f"the server has system identifier {system}, {self.directory} holds WAL of {found.system_identifier}",
                expected="the same cluster as before",
                hint=f"if the cluster was replaced on purpose, and its old WAL is uploaded, move {self.directory} away",
            )
        if self._noted() is None:
            self._note(SpoolIdentity(system, segment_bytes))

    def free_bytes(self) -> int:
        """On the spool's file system."""
        return shutil.disk_usage(self.directory).free if self.directory.exists() else 0

    @property
    def segment_bytes(self) -> int:
        found = self._identity()
        return DEFAULT_SEGMENT_BYTES if found is None else found.segment_bytes

    def facts(self, limit_bytes: int) -> SpoolFacts:
        segment_bytes = self.segment_bytes
        complete: dict[WalSegment, str] = {}
        partial: list[WalSegment] = []
        histories: list[Timeline] = []
        size = 0
        for entry in self._names():
            name = entry.removesuffix(_PARTIAL)
            try:
                found = (self.wal / entry).stat()
            except FileNotFoundError:  # renamed or removed since it was listed
                if name != entry and is_segment_name(name):
                    partial.append(WalSegment.parse(name, segment_bytes))
                continue
            size += found.st_size
            if is_segment_name(name) and name == entry:
                complete[WalSegment.parse(name, segment_bytes)] = f"{found.st_ino}-{found.st_ctime_ns}"
            elif is_segment_name(name):
                partial.append(WalSegment.parse(name, segment_bytes))
            elif (timeline := timeline_of_history_file(entry)) is not None:
                histories.append(timeline)
        newest = max(partial, key=_position, default=None)
        if newest is not None and complete and _position(newest) <= max(map(_position, complete)):
            newest = None  # left behind by a timeline that ended
        owner = self._identity()
        system = owner.system_identifier if owner is not None else None
        return SpoolFacts(tuple(sorted(complete)), newest, tuple(sorted(histories)), size, limit_bytes, complete, system)

    def stream_start(self) -> StreamStart | None:
        """Where ``pg_receivewal`` goes on: at the newest partial segment, else behind the newest complete one; None when empty.

        Source: ``FindStreamingStart``; the position decides before the timeline does.
        """
        facts = self.facts(0)
        if facts.partial is not None:
            return StreamStart(facts.partial.timeline, facts.partial.start)
        newest = max(facts.segments, key=_position, default=None)
        return StreamStart(newest.timeline, newest.end) if newest else None

    def behind(self, timeline: Timeline, common_end: Lsn | None) -> tuple[WalSegment, ...]:
        """What must be quarantined for the stream to go on, when the history shared with the server ends at ``common_end``.

        Complete segments that reach beyond it, and a partial one that begins beyond it; all of this timeline without one.
        """
        facts = self.facts(0)
        limit = common_end or Lsn(-1)
        beyond = [each for each in facts.segments if each.timeline == timeline and each.end > limit]
        partial = facts.partial
        if partial is not None and partial.timeline == timeline and partial.start > limit:
            beyond.append(partial)
        return tuple(beyond)

    def read_segment(self, segment: WalSegment) -> Pieces:
        """
        Raises:
            GiveUp: ``segment_missing``, or ``segment_damaged`` when its size is wrong; both also while the pieces are read.
        """
        path = self.wal / segment.name
        try:
            size_bytes = path.stat().st_size
        except FileNotFoundError:
            raise self._missing(segment) from None
        if size_bytes != segment.size_bytes:
            raise _cut_short(path, size_bytes, segment.size_bytes)
        return Pieces(size_bytes, lambda start, stop: self._read(segment, (segment.name,), start, stop))

    def read_tail(self, segment: WalSegment, offset: int) -> Pieces:
        """
        Raises:
            GiveUp: ``segment_missing``: neither a partial nor a complete segment of this name is there.
        """
        # the rename from partial to complete may happen between two looks, never back
        names = (segment.name + _PARTIAL, segment.name)
        with self._opened(segment, names) as file:
            reach = _last_but_zeros(file, offset, segment.size_bytes)
        return Pieces(reach - offset, lambda start, stop: self._read(segment, names, offset + start, offset + stop))

    def _read(self, segment: WalSegment, names: Sequence[str], start: int, stop: int) -> Iterator[bytes]:
        with self._opened(segment, names) as file:
            file.seek(start)
            while start < stop:
                piece = file.read(min(PIECE_BYTES, stop - start))
                if not piece:
                    raise _cut_short(Path(file.name), start, stop)
                start += len(piece)
                yield piece

    def _opened(self, segment: WalSegment, names: Sequence[str]) -> BinaryIO:
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                return (self.wal / name).open("rb")
        raise self._missing(segment)

    def read_history(self, timeline: Timeline) -> bytes:
        """
        Raises:
            GiveUp: ``timeline_history_missing``.
        """
        try:
            return (self.wal / history_file_name(timeline)).read_bytes()
        except FileNotFoundError:
            raise GiveUp(
                "timeline_history_missing",
                found=f"{self.wal} holds no {history_file_name(timeline)}",
                expected="a timeline that the receiver has followed",
                hint="if it was moved away, put it back; otherwise the receiver fetches it anew when it is started again",
            ) from None

    def forget(self, segments: Sequence[WalSegment]) -> None:
        newest = max(self.facts(0).segments, key=_position, default=None)
        for segment in segments:
            if segment != newest:
                (self.wal / segment.name).unlink(missing_ok=True)

    def quarantine(self, segments: Sequence[WalSegment], reason: str, now: datetime) -> str:
        """Move these segments aside, complete or partial. Only while nothing writes here.

        Partial segments that ended timelines left behind go too: with newer files gone, the receiver would begin at one of them.
        """
        aside = self.directory / _QUARANTINE / f"{now:%Y%m%dT%H%M%S.%fZ}"
        aside.mkdir(mode=0o700, parents=True)
        (aside / "REASON").write_text(reason + "\n")
        names = {name for segment in segments for name in (segment.name, segment.name + _PARTIAL)} | self._leftover_partials()
        for name in names & self._names():
            (self.wal / name).rename(aside / name)
        return str(aside)

    def begin_segment(self, segment: WalSegment) -> None:
        """Lay down an empty partial segment, which is where ``pg_receivewal`` will begin. Only while nothing writes here."""
        path = self.wal / (segment.name + _PARTIAL)
        path.touch(mode=0o600)

    def mend_unpadded(self) -> None:
        """Empty a partial segment that was cut off while it was padded with zeros, which ``pg_receivewal`` refuses.

        One that holds more is left to the receiver's own refusal. Only while nothing writes here.
        """
        for name in self._partial_names():
            path = self.wal / name
            size_bytes = path.stat().st_size
            with path.open("rb") as file:
                holds_something = _last_but_zeros(file, 0, size_bytes) > 0
            if 0 < size_bytes < self.segment_bytes and not holds_something:
                os.truncate(path, 0)

    def _identity(self) -> SpoolIdentity | None:
        """As noted; where the note is gone or cut off, as the WAL itself says. None: nothing is here yet."""
        return self._noted() or self._written_in_wal()

    def _noted(self) -> SpoolIdentity | None:
        try:
            fields = json.loads(self._identity_file.read_text())
            return SpoolIdentity(SystemIdentifier(fields["system_identifier"]), int(fields["segment_bytes"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def _written_in_wal(self) -> SpoolIdentity | None:
        """
        Raises:
            GiveUp: ``spool_damaged``.
        """
        found = set()
        for name in self._names():
            if is_segment_name(name.removesuffix(_PARTIAL)):
                with contextlib.suppress(FileNotFoundError), (self.wal / name).open("rb") as file:
                    found.add(_identity_in(file.read(_LONG_PAGE_HEADER.size)))
        found.discard(None)
        if len(found) > 1:
            systems = ", ".join(sorted(each.system_identifier for each in found if each is not None))
            raise GiveUp(
                "spool_damaged",
                found=f"{self._identity_file} cannot be read, and {self.wal} holds WAL of {systems}",
                expected="the WAL of one cluster",
                hint=f"move the files of the cluster that is not protected here out of {self.wal}; keep them",
            )
        return next(iter(found), None)

    def _note(self, identity: SpoolIdentity) -> None:
        """Safe from a power cut when this returns."""
        unfinished = self._identity_file.with_suffix(".new")
        with unfinished.open("w") as file:
            file.write(
                json.dumps({"system_identifier": identity.system_identifier, "segment_bytes": identity.segment_bytes}) + "\n"
            )
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._identity_file)
        flush_directory(self.directory)

    def _names(self) -> set[str]:
        """What lies in the directory, once two readings agree: a file renamed during a reading may show in neither form."""
        before: set[str] | None = None
        while True:
            try:
                now = set(os.listdir(self.wal))  # noqa: PTH208
            except FileNotFoundError:
                return set()
            if now == before:
                return now
            before = now

    def _partial_names(self) -> set[str]:
        return {name for name in self._names() if name.endswith(_PARTIAL) and is_segment_name(name.removesuffix(_PARTIAL))}

    def _leftover_partials(self) -> set[str]:
        current = self.facts(0).partial
        return self._partial_names() - ({current.name + _PARTIAL} if current else set())

    def _missing(self, segment: WalSegment) -> GiveUp:
        return GiveUp(
            "segment_missing",
            found=f"{self.wal} holds no {segment.name}",
            expected="a segment that was received and not forgotten",
            hint="look at what the spool holds; a hole in the WAL needs a full backup",
        )


def _identity_in(page_header: bytes) -> SpoolIdentity | None:
    """What a segment's first page says; None where nothing was written into it yet."""
    if len(page_header) < _LONG_PAGE_HEADER.size:
        return None
    magic, system, segment_bytes = _LONG_PAGE_HEADER.unpack(page_header)
    return SpoolIdentity(SystemIdentifier(str(system)), segment_bytes) if magic and segment_bytes else None


def _last_but_zeros(file: BinaryIO, start: int, stop: int) -> int:
    """Behind the last byte before ``stop`` that is not zero; ``start`` where there is none behind it.

    From the back, block by block compared with zeros: a segment is padded to its full size, and stripping 16 MiB byte by byte
    every second would cost more than everything else that is done for an idle database.
    """
    while stop > start:
        block_start = max(start, stop - _BLOCK_BYTES)
        file.seek(block_start)
        block = file.read(stop - block_start)
        if block != _ZEROS[: len(block)]:
            return block_start + len(block.rstrip(b"\0"))
        stop = block_start
    return start


def _cut_short(path: Path, size_bytes: int, expected_bytes: int) -> GiveUp:
    return GiveUp(
        "segment_damaged",
        found=f"{path} has {size_bytes} bytes",
        expected=f"{expected_bytes} bytes",
        hint="was the spool's disk full, or was it copied? quarantine it; the slot may still hold this WAL",
    )


def _position(segment: WalSegment) -> tuple[int, int]:
    return segment.number, segment.timeline
