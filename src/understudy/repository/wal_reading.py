"""Reading the stored WAL back, object by object, without writing anything. Faults are values: one does not hide the next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial

from understudy.repository.at_once import parts_read, processors, segments_opened
from understudy.repository.backup_checks import ObjectFault
from understudy.repository.manifests import BackupManifest
from understudy.repository.wal_archive import WalArchive, WalContents, WalPiece
from understudy.repository.wal_checks import decode_segment
from understudy.vocabulary.errors import Cancelled, GiveUp, TryAgain, UnderstudyError
from understudy.vocabulary.identifiers import SystemIdentifier
from understudy.vocabulary.wal import Timeline, WalSegment, history_file_name

_SUPERSEDED_HINT = (
    "the whole segment is there, so no restore reads this piece of it any more; but look after a store that damages what it holds"
)

Passed = Callable[[int, int], None]
"""Plain bytes of WAL looked at so far, and in all; called from several threads."""


@dataclass(frozen=True, slots=True)
class WalRead:
    """What was read of one cluster's WAL."""

    segments: int
    """Complete ones, and those of which only tails are there."""
    objects: int
    """Segments, tails and history files of which every sealed byte is as its signed sidecar says."""
    faults: tuple[ObjectFault, ...]


@dataclass(frozen=True, slots=True)
class _Look:
    """One thing to be read: ``check`` raises, or returns, what is wrong with it."""

    name: str
    plain_bytes: int
    objects: int
    """That are as they were stored when nothing is wrong."""
    check: Callable[[], ObjectFault | None]
    superseded: bool = False
    """No restore reads it any more."""

    def fault_of(self, error: UnderstudyError) -> ObjectFault:
        fault = ObjectFault.of(self.name, error)
        return replace(fault, hint=_SUPERSEDED_HINT) if self.superseded and isinstance(error, GiveUp) else fault


def read_wal(
    archive: WalArchive,
    contents: WalContents,
    backups: Sequence[BackupManifest],
    passed: Passed,
    *,
    histories: bool,
    decoded_for: SystemIdentifier | None = None,
) -> WalRead:
    """Every sealed byte of the WAL that a restore of any of the backups could read, against its signed sidecar.

    Several at once, in bounded memory, without an identity. A store that goes away midway ends it with one fault, instead of one
    for each object that was not read any more.

    Args:
        histories: The history files, too; for who could not open them.
        decoded_for: With it each segment is also opened, its plain bytes compared with the sidecar, and its first page with this
            cluster and its place in the WAL.
    """
    segments = segments_behind(contents, backups)
    reading = _Reading(archive, passed)
    looks = [
        *reading.of_segments(segments, contents, decoded_for),
        *reading.of_tails(segments, contents),
        *(reading.of_history(timeline) for timeline in contents.histories if histories),
    ]
    opened = segments_opened(processors())
    reading.carry_out(looks, parts_read(processors()) if decoded_for is None else opened)
    return WalRead(len(segments), reading.objects, tuple(sorted(reading.faults, key=lambda fault: fault.key)))


def segments_behind(contents: WalContents, backups: Iterable[BackupManifest]) -> tuple[WalSegment, ...]:
    """All that is there and that a restore of any of the backups could read, ascending."""
    held = sorted({*contents.segments, *contents.tail_reaches()})
    wanted: set[WalSegment] = set()
    for backup in backups:
        wanted.update(each for each in held if each.timeline >= backup.timeline and each.end > backup.start_lsn)
    return tuple(sorted(wanted))


class _Reading:
    """One call of ``read_wal``: what its threads share."""

    def __init__(self, archive: WalArchive, passed: Passed) -> None:
        self._archive = archive
        self._passed = passed
        self._sharing = threading.Lock()
        self._stopping = threading.Event()
        self._looks: Iterator[_Look] = iter(())
        self._done_bytes = 0
        self._total_bytes = 0
        self.objects = 0
        self.faults: list[ObjectFault] = []

    def of_segments(
        self, segments: Sequence[WalSegment], contents: WalContents, decoded_for: SystemIdentifier | None
    ) -> Iterator[_Look]:
        for segment in segments:
            complete = contents.holds(segment)
            if decoded_for is not None:
                # Put together of tails it is no object by itself: those are counted where each of them is read.
                yield _Look(segment.name, segment.size_bytes, int(complete), self._decoding(segment, decoded_for))
            elif complete:
                yield _Look(segment.name, segment.size_bytes, 1, self._comparing(segment))

    def of_tails(self, segments: Sequence[WalSegment], contents: WalContents) -> Iterator[_Look]:
        """Also of segments that are complete by now: they are still what was stored."""
        wanted = frozenset(segments)
        for tail in contents.tails:
            if tail.segment in wanted:
                name = f"{tail.segment.name}, bytes {tail.start} to {tail.stop}"
                superseded = contents.holds(tail.segment)
                yield _Look(name, tail.stop - tail.start, 1, self._comparing(tail), superseded)

    def of_history(self, timeline: Timeline) -> _Look:
        return _Look(history_file_name(timeline), 0, 1, self._comparing(timeline))

    def carry_out(self, looks: Sequence[_Look], workers: int) -> None:
        self._looks = iter(looks)
        self._total_bytes = sum(look.plain_bytes for look in looks)
        with ThreadPoolExecutor(workers, thread_name_prefix="check wal") as threads:
            working = [threads.submit(self._work) for _ in range(workers)]
            try:
                wait(working, return_when=FIRST_EXCEPTION)
            finally:
                # Leaving early (Ctrl-C): what was not begun is dropped, what is under way ends at its next piece.
                self._stopping.set()
        for each in working:
            each.result()

    def _work(self) -> None:
        while (look := self._next()) is not None:
            try:
                fault = look.check()
            except Cancelled:
                return
            except UnderstudyError as error:
                fault = look.fault_of(error)
                if isinstance(error, TryAgain):
                    self._stopping.set()
            with self._sharing:
                self._done_bytes += look.plain_bytes
                if fault is None:
                    self.objects += look.objects
                else:
                    self.faults.append(fault)
                done_bytes = self._done_bytes
            self._passed(done_bytes, self._total_bytes)

    def _next(self) -> _Look | None:
        with self._sharing:
            return None if self._stopping.is_set() else next(self._looks, None)

    def _comparing(self, piece: WalPiece) -> Callable[[], ObjectFault | None]:
        return partial(self._archive.check_sealed, piece, self._raise_if_stopping)

    def _decoding(self, segment: WalSegment, cluster: SystemIdentifier) -> Callable[[], ObjectFault | None]:
        return partial(decode_segment, self._archive, segment, cluster)

    def _raise_if_stopping(self) -> None:
        if self._stopping.is_set():
            raise Cancelled("the check was stopped")
