"""Parts of a backup on their way into a store: filled by one thread, compressed, sealed and stored by others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

from understudy.ports.object_store import ObjectStore
from understudy.ports.running import Cancellation, Progress
from understudy.ports.sealer import Sealer
from understudy.repository.at_once import HANDED_OFF_BYTES
from understudy.repository.compression import DEFAULT_LEVEL
from understudy.repository.handoff import Handoff, ReceiverGone
from understudy.repository.layout import part_name
from understudy.repository.manifests import PartEntry
from understudy.repository.sealing import SealedObject, store_sealed
from understudy.repository.tar_stream import END_OF_ARCHIVE, MemberKind, TarMember
from understudy.vocabulary.errors import Cancelled, GiveUp

_PIECE_BYTES = 1024 * 1024
_LOOK_EVERY_SECONDS = 0.2
_ACTIVITY = "base backup"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PackingPlace:
    """Where the parts of one attempt go, and to whom they are sealed."""

    store: ObjectStore
    sealer: Sealer
    recipients: Sequence[str]
    prefix: str
    """The backup's own place, ending in ``/``: ``postgres/orders/7344…/backups/20261123-030000F/``."""
    attempt: str
    """Letters, digits and hyphens, unique to this attempt: part names are made of it (``layout.part_name``)."""
    level: int = DEFAULT_LEVEL
    """Of zstd."""

    def store_sealed(self, name: str, chunks: Iterable[bytes]) -> SealedObject:
        return store_sealed(self.store, self.sealer, self.prefix + name, chunks, self.recipients, level=self.level)


class FillingPart:
    """One part: what was put into it, and the pipe to the thread that stores it."""

    def __init__(self, name: str, tablespace_oid: int | None, waiting_bytes: int) -> None:
        self.name = name
        self.tablespace_oid = tablespace_oid
        self.files = 0
        self.plain_bytes = 0
        self.handoff = Handoff(waiting_bytes)
        self.stored: Future[SealedObject] = Future()

    def entry(self) -> PartEntry:
        sealed = self.stored.result()
        if sealed.plain_bytes != self.plain_bytes:
            raise GiveUp(
                "part_incomplete",
                found=f"{self.name}: {sealed.plain_bytes} bytes were sealed",
                expected=f"{self.plain_bytes} bytes",
                hint="take the backup again; if it happens again, report it",
            )
        return PartEntry(
            self.name, sealed.sealed_bytes, sealed.sealed_sha256, sealed.plain_bytes, self.tablespace_oid, self.files
        )


class PartUploads:
    """Groups members into parts and stores them, several at once: those before finish while the next is filled.

    Used in a ``with``: leaving it by an error abandons what is under way and waits for its threads, so that nothing of an
    unfinished part appears in the store.
    """

    def __init__(
        self,
        place: PackingPlace,
        part_bytes: int,
        estimated_bytes: int | None,
        progress: Progress,
        cancellation: Cancellation,
        parts_at_once: int,
        *,
        named: Callable[[int, int | None], str] | None = None,
        stored: Callable[[PartEntry], None] | None = None,
    ) -> None:
        """
        Args:
            named: The name of the part of that number, of that tablespace; None: as ``layout.part_name``.
            stored: Told of each part, from the thread that fills them, soon after it is stored.
        """
        self._place = place
        self._named = named or (
            lambda number, tablespace_oid: part_name(place.attempt, number, tablespace_oid, sealing=place.sealer.sealing)
        )
        self._stored = stored
        self._estimated_bytes = estimated_bytes
        self._progress = progress
        self._cancellation = cancellation
        self._part_bytes = part_bytes
        self._parts_at_once = parts_at_once
        self._waiting_bytes = HANDED_OFF_BYTES // (parts_at_once + 1)
        """One more part than there are threads is filled already: see ``_wait_for_a_thread``."""
        self._threads = ThreadPoolExecutor(parts_at_once, thread_name_prefix="part")
        self._parts: list[FillingPart] = []
        self._under_way: list[FillingPart] = []
        self._numbers: Counter[int | None] = Counter()
        self._filling: FillingPart | None = None
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self.passed_bytes = 0

    def __enter__(self) -> PartUploads:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            for part in self._under_way:
                part.handoff.fail(Cancelled("the backup that this part belongs to was abandoned"))
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._tell([part for part in self._under_way if not part.stored.cancelled() and part.stored.exception() is None])

    def begin_member(self, tablespace_oid: int | None, member: TarMember) -> None:
        """Choose the part that takes the member, and put its header there. Its content follows through ``send``."""
        part = self.part_for(tablespace_oid, member.archived_bytes)
        if member.kind is MemberKind.FILE:
            part.files += 1
        self.send(member.header)

    def part_for(self, tablespace_oid: int | None, archived_bytes: int) -> FillingPart:
        """The part that takes a member of so many bytes: the one that is being filled, or the next."""
        part = self._filling
        if part is not None and (part.tablespace_oid != tablespace_oid or self._would_overflow(part, archived_bytes)):
            self._end_part(part)
            part = None
        return self._start_part(tablespace_oid) if part is None else part

    def beside(self, work: Callable[[], T]) -> Future[T]:
        """Have one of the threads that store parts do something else meanwhile."""
        return self._threads.submit(work)

    def look(self) -> None:
        """Raises what the storing threads raised, or that the end was asked for."""
        self._raise_failures()

    def send(self, piece: bytes) -> None:
        """Append to the part that is being filled. Raises what the storing threads raised, as soon as it is known."""
        self._gathered.append(piece)
        self._gathered_bytes += len(piece)
        if self._gathered_bytes >= _PIECE_BYTES:
            self._flush()

    def finish(self) -> tuple[PartEntry, ...]:
        """End the last part, wait for all, and say what was stored, in order."""
        if self._filling is not None:
            self._end_part(self._filling)
        pending = {part.stored for part in self._parts}
        while pending:
            _, pending = wait(pending, timeout=_LOOK_EVERY_SECONDS)
            self._raise_failures()
        return tuple(part.entry() for part in self._parts)

    def _would_overflow(self, part: FillingPart, archived_bytes: int) -> bool:
        return part.plain_bytes + self._gathered_bytes + archived_bytes > self._part_bytes

    def _wait_for_a_thread(self) -> None:
        """Until one is free, or nearly: parts smaller than what a handoff holds would pile up in memory before a slow store."""
        while len(self._under_way) > self._parts_at_once:
            wait([part.stored for part in self._under_way], timeout=_LOOK_EVERY_SECONDS, return_when=FIRST_COMPLETED)
            self._raise_failures()

    def _start_part(self, tablespace_oid: int | None) -> FillingPart:
        self._wait_for_a_thread()
        self._numbers[tablespace_oid] += 1
        name = self._named(self._numbers[tablespace_oid], tablespace_oid)
        part = FillingPart(name, tablespace_oid, self._waiting_bytes)
        part.stored = self._threads.submit(self._place.store_sealed, part.name, part.handoff)
        # However the storing thread ends, nobody may wait for it to take more.
        part.stored.add_done_callback(lambda _: part.handoff.abandon())
        self._parts.append(part)
        self._under_way.append(part)
        self._filling = part
        return part

    def _end_part(self, part: FillingPart) -> None:
        self.send(END_OF_ARCHIVE)
        self._flush()
        part.handoff.close()
        self._filling = None

    def _flush(self) -> None:
        self._raise_failures()
        if self._filling is None or not self._gathered_bytes:
            return
        piece = b"".join(self._gathered)
        self._gathered.clear()
        self._gathered_bytes = 0
        self._filling.plain_bytes += len(piece)
        self.passed_bytes += len(piece)
        self._progress.report(_ACTIVITY, self.passed_bytes, self._estimated_bytes)
        try:
            self._filling.handoff.send(piece)
        except ReceiverGone:
            self._filling.entry()  # raises what ended it, or that it ended too early
            raise AssertionError("a part ended well before it was complete") from None

    def _raise_failures(self) -> None:
        self._cancellation.raise_if_requested()
        for part in self._under_way:
            if part.stored.done() and (error := part.stored.exception()) is not None:
                raise error
        ended = [part for part in self._under_way if part.stored.done() and part is not self._filling]
        self._under_way = [part for part in self._under_way if part not in ended]
        self._tell(ended)

    def _tell(self, ended: Iterable[FillingPart]) -> None:
        if self._stored is not None:
            for part in ended:
                self._stored(part.entry())
