"""Bringing a snapshot, or some of it, into a target: several parts at once, and of each several contents."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from understudy.ports.collection import CollectionTarget, Entry, EntryKind
from understudy.ports.running import Cancellation, Progress
from understudy.repository.at_once import parts_read, processors
from understudy.repository.sealing import close
from understudy.repository.snapshots.catalog import OpenedSnapshot
from understudy.repository.snapshots.manifest import SealedPart
from understudy.repository.snapshots.part_contents import StoredContent, compared, contents_of
from understudy.repository.snapshots.reading_index import ReadingIndex
from understudy.repository.snapshots.selection import EVERYTHING, Selection
from understudy.vocabulary.errors import Cancelled, GiveUp
from understudy.vocabulary.identifiers import RunId

_ACTIVITY = "restore"
PART_IN_HAND = "part"
"""In the proof of an error: the part that was being read. Which codes are damage of it, the caller knows."""
_LOOK_EVERY_SECONDS = 0.2
_WRITERS = 16
_HELD_BYTES = 1024 * 1024
"""What is larger is written while it is opened, and for further names read back from the target."""
_WAITING_BYTES = 4 * 1024 * 1024
_WAITING_WRITES = 64


@dataclass(frozen=True, slots=True)
class RestoredSnapshot:
    entries: int
    """That were wanted: written now or by an earlier attempt."""
    content_bytes: int
    """Of all of them."""
    read_bytes: int
    """From parts in this call, opened."""
    read_parts: int
    skipped_parts: int
    """Done by an earlier attempt."""


def restore_snapshot(
    opened: OpenedSnapshot,
    target: CollectionTarget,
    *,
    index: Path,
    run: RunId,
    progress: Progress,
    cancellation: Cancellation,
    select: Selection = EVERYTHING,
    done_parts: Collection[str] = (),
    part_done: Callable[[str], None] | None = None,
) -> RestoredSnapshot:
    """Claim the target and write every wanted entry; ``finish_restore`` follows. Only the parts that are needed are read.

    Args:
        index: A scratch file in the run's own directory.
        part_done: Called from the calling thread with a part's name when all that was wanted of it survives the machine; what it
            was called with may be given as ``done_parts`` to a later attempt on the same target, which then skips those parts.

    Raises:
        Refusal: ``target_not_empty``; ``entry_missing``: nothing of that name is in the snapshot. Nothing was written.
        GiveUp: ``part_corrupt``, ``part_missing``, ``part_incomplete``, ``document_malformed``; what target, sealer and store do.
        TryAgain: what they raise.
        Cancelled: asked for; looked at several times a second.
    """
    with ReadingIndex(index, opened, select) as wanted:
        wanted.load()
        target.claim(run)
        restore = _Restore(opened, target, wanted, progress, cancellation, part_done)
        needed = wanted.needed_parts()
        left = [(number, part) for number, part in needed if part.name not in done_parts]
        restore.carry_out(left)
        return RestoredSnapshot(
            entries=wanted.count_entries(),
            content_bytes=wanted.content_bytes(),
            read_bytes=restore.read_bytes,
            read_parts=len(left),
            skipped_parts=len(needed) - len(left),
        )


def finish_restore(
    opened: OpenedSnapshot, target: CollectionTarget, *, index: Path, run: RunId, select: Selection = EVERYTHING
) -> None:
    """Times and modes of directories, then everything durable, then the mark off. Twice is the same as once. A receipt that says
    that ``restore_snapshot`` is through comes before it: behind it the target can no longer be claimed.
    """
    with ReadingIndex(index, opened, select) as wanted:
        wanted.load()
        target.finish(wanted.entries(), run)


class _Restore:
    """One call of ``restore_snapshot``: what its threads share."""

    def __init__(
        self,
        opened: OpenedSnapshot,
        target: CollectionTarget,
        wanted: ReadingIndex,
        progress: Progress,
        cancellation: Cancellation,
        part_done: Callable[[str], None] | None,
    ) -> None:
        self._opened = opened
        self._target = target
        self._wanted = wanted
        self._progress = progress
        self._cancellation = cancellation
        self._part_done = part_done
        self._stopping = threading.Event()
        self._counting = threading.Lock()
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="write")
        self.read_bytes = 0

    def carry_out(self, parts: list[tuple[int, SealedPart]]) -> None:
        """Directories before what lies in them, links behind what they name."""
        try:
            for entry in self._wanted.without_content(EntryKind.DIRECTORY):
                self._cancellation.raise_if_requested()
                self._target.write(entry, ())
            self._write_each(self._wanted.without_content(EntryKind.FILE))
            self._unpack(parts)
            self._write_each(self._wanted.without_content(EntryKind.SYMLINK))
            self._write_each(self._wanted.without_content(EntryKind.HARD_LINK))
        finally:
            self._stopping.set()
            self._writers.shutdown(wait=True, cancel_futures=True)

    def _write_each(self, entries: Iterator[Entry]) -> None:
        with _Writes(self._writers) as writes:
            for entry in filter(self._target.takes, entries):
                self._cancellation.raise_if_requested()
                writes.add(self._target, entry, b"")

    def _unpack(self, parts: list[tuple[int, SealedPart]]) -> None:
        total_bytes = sum(part.plain_bytes for _, part in parts)
        with ThreadPoolExecutor(parts_read(processors()), thread_name_prefix="unpack") as threads:
            pending = {threads.submit(self._unpack_part, number, part) for number, part in parts}
            try:
                while pending:
                    ended, pending = wait(pending, timeout=_LOOK_EVERY_SECONDS, return_when=FIRST_COMPLETED)
                    for future in ended:
                        name = future.result()
                        if self._part_done is not None:
                            self._part_done(name)
                    self._progress.report(_ACTIVITY, self.read_bytes, total_bytes)
                    self._cancellation.raise_if_requested()
            finally:
                # Leaving early: parts not begun are dropped, those under way end at their next piece.
                self._stopping.set()
                for future in pending:
                    future.cancel()

    def _unpack_part(self, number: int, part: SealedPart) -> str:
        try:
            with _Writes(self._writers) as writes, closing(self._counted(self._opened.read_part(part))) as plain:
                for content in contents_of(self._opened, part, plain, self._wanted.members(number)):
                    self._write(content, writes)
        except GiveUp as error:
            error.add_proof(**{PART_IN_HAND: part.name})
            raise
        if self._part_done is not None:
            self._target.flush()
        return part.name

    def _write(self, content: StoredContent, writes: _Writes) -> None:
        names = filter(self._target.takes, self._wanted.names(content.sha256))
        if content.size_bytes <= _HELD_BYTES:
            data = b"".join(content.pieces)
            for entry in names:
                writes.add(self._target, entry, data)
            return
        first = next(names, None)
        if first is None:
            deque(content.pieces, maxlen=0)  # compared all the same
            return
        self._target.write(first, content.pieces)
        for entry in names:
            self._target.write(entry, compared(self._target.read_back(first), content.sha256, _another_wrote))

    def _counted(self, chunks: Iterator[bytes]) -> Generator[bytes]:
        try:
            for chunk in chunks:
                if self._stopping.is_set():
                    raise Cancelled("another part of the same snapshot failed")
                with self._counting:
                    self.read_bytes += len(chunk)
                yield chunk
        finally:
            close(chunks)


def _another_wrote(found: str) -> GiveUp:
    return GiveUp(
        "target_unexpected",
        found=f"what was just written has SHA-256 {found} when it is read back",
        expected="that nobody else writes into the target of a restore",
        hint="end what writes there and see that its disk works, then restore into an empty target",
    )


class _Writes:
    """Small contents on their way into the target, bounded. Left well, all of them are there."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self._threads = threads
        self._under_way: deque[tuple[Future[None], int]] = deque()
        self._waiting_bytes = 0

    def __enter__(self) -> _Writes:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            for future, _ in self._under_way:
                future.cancel()
            return
        while self._under_way:
            self._await_oldest()

    def add(self, target: CollectionTarget, entry: Entry, data: bytes) -> None:
        """Raises what earlier ones raised."""
        while self._under_way and (self._waiting_bytes > _WAITING_BYTES or len(self._under_way) >= _WAITING_WRITES):
            self._await_oldest()
        pieces: Iterable[bytes] = (data,) if data else ()
        self._under_way.append((self._threads.submit(target.write, entry, pieces), len(data)))
        self._waiting_bytes += len(data)

    def _await_oldest(self) -> None:
        future, size_bytes = self._under_way.popleft()
        self._waiting_bytes -= size_bytes
        future.result()
