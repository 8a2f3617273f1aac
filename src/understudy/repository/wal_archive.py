"""The WAL of one cluster in one repository: written piece by piece, each piece once, and read back with everything checked."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum

from understudy.ports.object_store import ObjectStore
from understudy.ports.sealer import Sealer
from understudy.ports.world import Keys
from understudy.repository.compression import WAL_LEVEL
from understudy.repository.layout import SIDECAR_SUFFIX, TailSpan, WalKeys, sealed_suffix, wal_prefix
from understudy.repository.sealing import SealedObject, check_sealed, read_sealed, store_sealed
from understudy.repository.signing import Signer, read_document
from understudy.repository.tail_cover import cover_of
from understudy.repository.tail_joining import ContradictoryTails, joined
from understudy.repository.wal_contents import WalContents
from understudy.repository.wal_sidecars import WalOwner, WalSidecar, WalSubject
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import ResourceName, SystemIdentifier
from understudy.vocabulary.pieces import Pieces, zeros
from understudy.vocabulary.wal import DEFAULT_SEGMENT_BYTES, SET_BACK_HINT, Timeline, WalSegment

__all__ = ["PutOutcome", "WalArchive", "WalContents", "WalPiece"]

WAL_HOLE = "wal_hole"
WAL_CONFLICT = "wal_conflict"
WAL_CORRUPT = "wal_corrupt"

WalPiece = WalSegment | TailSpan | Timeline
"""What one signed sidecar stands for; a timeline, for the history file that begins it."""


class PutOutcome(StrEnum):
    STORED = "stored"
    ALREADY_THERE = "already_there"


class WalArchive:
    """Segments, tails and history files of one (resource, system identifier).

    Data goes first, its signed sidecar last; without a sidecar nothing counts. A second put of the same bytes succeeds, one of
    other bytes never does. Putting is not for two threads at once; reading is.
    """

    def __init__(
        self,
        store: ObjectStore,
        sealer: Sealer,
        keys: Keys,
        resource: ResourceName,
        system_identifier: SystemIdentifier,
        segment_bytes: int = DEFAULT_SEGMENT_BYTES,
    ) -> None:
        self._store = store
        self._sealer = sealer
        self._keys = keys
        self._owner = WalOwner(resource, system_identifier, segment_bytes)
        self._paths = WalKeys(wal_prefix(resource, system_identifier))
        self._signer: Signer | None = None
        self._seen_complete: WalSegment | None = None
        """The newest segment known to be there: its successor needs no look at the store."""
        self._tail_reach: tuple[WalSegment, int] | None = None
        """How far the tails of the segment that is being filled are known to reach: the next one needs no listing."""

    def contents(self) -> WalContents:
        """One listing of everything below ``wal/``."""
        listed = (found.key for found in self._store.list(self._paths.prefix))
        return WalContents.of_keys(self._paths, listed, self._owner.segment_bytes)

    def look(self) -> None:
        """One cheap request, only to see whether the store answers. Raises what it raises."""
        self._store.head(self._paths.prefix + "look")

    def put_segment(self, segment: WalSegment, content: bytes | Pieces, *, begin_after_gap: bool = False) -> PutOutcome:
        """Store a complete segment.

        Args:
            begin_after_gap: The WAL right before it is known to be lost; the sidecar says so, and the order is not checked.

        Raises:
            GiveUp: ``wal_conflict`` (other bytes are there), ``wal_hole`` (earlier segments of the timeline are there, the one
                before this is not), ``wal_size_wrong``, ``signing_key_missing``; and as the store and the sealer do.
        """
        self._require_own(segment)
        content = _in_pieces(content)
        if content.size_bytes != segment.size_bytes:
            raise _size_wrong(f"{segment}", content.size_bytes, segment.size_bytes)
        if not begin_after_gap:
            self._require_predecessor(segment)
        outcome = self._put(self._paths.segment(segment), self._owner.segment(segment), content, begin_after_gap)
        self._seen_complete = segment
        return outcome

    def put_tail(
        self, segment: WalSegment, from_offset: int, content: bytes | Pieces, *, begin_after_gap: bool = False
    ) -> PutOutcome:
        """Store the bytes of an unfinished segment from ``from_offset`` on. Tails may overlap, but leave no hole.

        Already there when the segment is there, complete.

        Raises:
            GiveUp: as ``put_segment``; ``wal_hole`` also when no earlier tail reaches ``from_offset``.
        """
        self._require_own(segment)
        content = _in_pieces(content)
        stop = from_offset + content.size_bytes
        if not content.size_bytes or from_offset < 0 or stop > segment.size_bytes:
            raise ValueError(f"not a tail of {segment}: bytes [{from_offset}, {stop}) of {segment.size_bytes}")
        if self._is_there(segment):
            return PutOutcome.ALREADY_THERE
        reach = self._reach_for(segment, from_offset, begin_after_gap)
        stem = self._paths.tail(segment, from_offset, stop)
        outcome = self._put(stem, self._owner.tail(segment, from_offset, stop), content, begin_after_gap)
        self._tail_reach = (segment, max(reach, stop))
        return outcome

    def put_history(self, timeline: Timeline, content: bytes) -> PutOutcome:
        """Store a ``.history`` file.

        Raises:
            GiveUp: ``wal_conflict``: two promotions took the same timeline.
        """
        owner = self._owner.history(timeline, len(content))
        return self._put(self._paths.history(timeline), owner, Pieces.of(content), False)

    def fetch_segment(self, segment: WalSegment) -> Iterator[bytes]:
        """The segment's bytes, exactly ``segment.size_bytes``, in pieces. Use them only once the stream ended well.

        Where it is not there complete, the fewest of its tails that hold all their bytes are put together and padded with zeros.

        Raises:
            GiveUp: ``wal_missing`` (on the store's authoritative word), ``wal_corrupt`` (a sidecar or its data is damaged, not
                trusted, or of something else), ``identity_missing``, ``wrong_key``.
        """
        self._require_own(segment)
        stem = self._paths.segment(segment)
        sidecar = self._sidecar(stem)
        if sidecar is not None:
            yield from self._content(stem, sidecar, self._owner.segment(segment))
            return
        tails = cover_of([*self._tails(segment)])
        if not tails:
            raise GiveUp(
                "wal_missing",
                found=f"neither WAL segment {segment} nor a tail of it in {self._store.url}",
                expected="one of them",
                hint="use another repository, or a target before it",
            )
        try:
            yield from joined(tails, self._tail_content)
        except ContradictoryTails as found:
            stem = self._paths.tail(segment, found.tail.start, found.tail.stop)
            raise self._corrupt(stem, "bytes that contradict an earlier tail") from None
        yield from zeros(segment.size_bytes - tails[-1].stop)

    def fetch_history(self, timeline: int) -> bytes:
        """Raises as ``fetch_segment`` does."""
        stem = self._paths.history(Timeline(timeline))
        sidecar = self._sidecar(stem)
        if sidecar is None:
            raise GiveUp(
                "wal_missing",
                found=f"no history file of timeline {timeline} in {self._store.url}",
                expected="the file that the promotion to that timeline wrote",
                hint="use another repository, or stay on the timeline of the backup",
            )
        return b"".join(self._content(stem, sidecar, self._owner.history(Timeline(timeline), sidecar.subject.stop)))

    def check_sealed(self, piece: WalPiece, between_pieces: Callable[[], None]) -> None:
        """Read the sealed bytes of one object against its signed sidecar. Needs no identity.

        Args:
            between_pieces: Called every MiB; raises to end it early.

        Raises:
            GiveUp: ``wal_missing`` (no sidecar, so it does not count), ``wal_corrupt`` (a sidecar or its data is damaged,
                absent, not trusted, or of something else).
        """
        stem = self._stem(piece)
        sidecar = self._sidecar(stem)
        if sidecar is None:
            raise GiveUp("wal_missing", found=f"{stem}{SIDECAR_SUFFIX}, which was listed, is not in {self._store.url}",
                         expected="what was listed", hint="it was removed meanwhile, as expire does: verify again")  # fmt: skip
        key = self._data_key(stem, sidecar, self._subject(piece, sidecar))
        with self._damage_of(key):
            check_sealed(self._store, key, sidecar.sealed_sha256, between_pieces)

    def _stem(self, piece: WalPiece) -> str:
        match piece:
            case WalSegment():
                return self._paths.segment(piece)
            case TailSpan():
                return self._paths.tail(piece.segment, piece.start, piece.stop)
        return self._paths.history(piece)

    def _subject(self, piece: WalPiece, sidecar: WalSidecar) -> WalSubject:
        """What the piece's sidecar must say that it is of; how long a history file is, only the sidecar says."""
        match piece:
            case WalSegment():
                return self._owner.segment(piece)
            case TailSpan():
                return self._owner.tail(piece.segment, piece.start, piece.stop)
        return self._owner.history(piece, sidecar.subject.stop)

    def _put(self, stem: str, subject: WalSubject, content: Pieces, after_gap: bool) -> PutOutcome:
        there = self._sidecar(stem)
        if there is not None:
            return self._compare(stem, there, subject, content.sha256())
        sealed = self._store_data(stem, content)
        if sealed.plain_sha256 is None or sealed.plain_bytes != content.size_bytes:
            raise _size_wrong(stem, sealed.plain_bytes, content.size_bytes)
        digest = sealed.plain_sha256
        sidecar = WalSidecar(
            subject=subject,
            data=sealed.key.rpartition("/")[2],
            plain_sha256=digest,
            sealed_bytes=sealed.sealed_bytes,
            sealed_sha256=sealed.sealed_sha256,
            after_gap=after_gap,
        )
        try:
            self._store.put(stem + SIDECAR_SUFFIX, [self._signing().seal_document(sidecar.to_json())])
        except GiveUp as error:
            there = self._sidecar(stem) if error.code == "object_exists" else None
            if there is None:
                raise
            return self._compare(stem, there, subject, digest)
        return PutOutcome.STORED

    def _store_data(self, stem: str, content: Pieces) -> SealedObject:
        """Under the plain key, or under one of this attempt where one that died, or is a rival, has left its data there.

        Where the store may let a rival replace them, the data of each attempt have a key of their own from the start: else the
        sidecar of the one could come to stand beside the data of the other.
        """
        suffix = sealed_suffix(self._sealer.sealing)
        if self._store.tells_rivals_apart:
            try:
                return self._store_sealed(stem + suffix, content)
            except GiveUp as error:
                if error.code != "object_exists":
                    raise
        return self._store_sealed(f"{stem}.{secrets.token_hex(4)}{suffix}", content)

    def _store_sealed(self, key: str, content: Pieces) -> SealedObject:
        recipients = self._keys.recipients
        return store_sealed(self._store, self._sealer, key, content, recipients, level=WAL_LEVEL, digest_plain=True)

    def _compare(self, stem: str, there: WalSidecar, subject: WalSubject, digest: str) -> PutOutcome:
        if there.subject != subject or not hmac.compare_digest(there.plain_sha256, digest):
            raise GiveUp(
                WAL_CONFLICT,
                found=f"{stem} is in {self._store.url} with other bytes (SHA-256 {there.plain_sha256})",
                expected=f"the same bytes again (SHA-256 {digest})",
                hint="two histories under one identity. If a clone, or a restored copy, runs as this resource, give it a "
                f"resource of its own in the stack file. If the server was set back, as by a snapshot: {SET_BACK_HINT}",
            )
        return PutOutcome.ALREADY_THERE

    def _sidecar(self, stem: str) -> WalSidecar | None:
        """None only on the store's authoritative word."""
        try:
            stored = b"".join(self._store.read(stem + SIDECAR_SUFFIX))
        except GiveUp as error:
            if error.code == "object_missing":
                return None
            if error.code != "object_unreadable":
                raise
            raise self._corrupt(stem + SIDECAR_SUFFIX, error.found) from error
        try:
            return WalSidecar.from_json(read_document(stored, self._keys.trusted_signers))
        except GiveUp as error:
            if error.code == "format_newer":
                raise
            raise self._corrupt(stem + SIDECAR_SUFFIX, str(error)) from error

    def _content(self, stem: str, sidecar: WalSidecar, subject: WalSubject) -> Iterator[bytes]:
        key = self._data_key(stem, sidecar, subject)
        if self._keys.identity is None:
            raise GiveUp(
                "identity_missing",
                found="no identity here to open WAL with",
                expected="the identity of one of the repository's recipients",
                hint="name it in the stack file under encryption: identity; it is in the recovery kit",
            )
        digest, size_bytes = hashlib.sha256(), 0
        with self._damage_of(key):
            for piece in read_sealed(self._store, self._sealer, key, self._keys.identity, sidecar.sealed_sha256):
                digest.update(piece)
                size_bytes += len(piece)
                yield piece
        if not hmac.compare_digest(digest.hexdigest(), sidecar.plain_sha256) or size_bytes != sidecar.plain_bytes:
            raise self._corrupt(key, f"{size_bytes} plain bytes with SHA-256 {digest.hexdigest()}")

    def _data_key(self, stem: str, sidecar: WalSidecar, subject: WalSubject) -> str:
        """Of the sealed object; raises ``wal_corrupt`` where the sidecar is of something else than its key says."""
        if sidecar.subject != subject:
            raise self._corrupt(stem + SIDECAR_SUFFIX, f"a sidecar of {sidecar.subject}")
        return f"{stem.rpartition('/')[0]}/{sidecar.data}"

    @contextmanager
    def _damage_of(self, key: str) -> Iterator[None]:
        try:
            yield
        except GiveUp as error:
            if error.code not in {"part_corrupt", "object_missing"}:
                raise
            raise self._corrupt(key, error.found) from error

    def _tail_content(self, tail: TailSpan) -> Iterator[bytes]:
        stem = self._paths.tail(tail.segment, tail.start, tail.stop)
        sidecar = self._sidecar(stem)
        if sidecar is None:
            raise self._corrupt(stem, "a tail that was listed and is not there")
        return self._content(stem, sidecar, self._owner.tail(tail.segment, tail.start, tail.stop))

    def _tails(self, segment: WalSegment) -> Iterable[TailSpan]:
        for found in self._store.list(self._paths.tails(segment)):
            span = self._paths.recognise(found.key, self._owner.segment_bytes)
            if isinstance(span, TailSpan):
                yield span

    def _reach_for(self, segment: WalSegment, offset: int, begin_after_gap: bool) -> int:
        """How far the stored tails of the segment reach: as far as is known here, if a tail from ``offset`` on joins that."""
        if self._tail_reach is not None and self._tail_reach[0] == segment and offset <= self._tail_reach[1]:
            return self._tail_reach[1]
        if not begin_after_gap:
            self._require_predecessor(segment)
        cover = cover_of([*self._tails(segment)])
        reach = cover[-1].stop if cover else 0
        if offset > reach:
            raise wal_hole(f"a tail of {segment} from byte {offset} on, where the earlier ones end at {reach}")
        return reach

    def _is_there(self, segment: WalSegment) -> bool:
        if segment == self._seen_complete:
            return True
        return self._store.head(self._paths.segment(segment) + SIDECAR_SUFFIX) is not None

    def _require_predecessor(self, segment: WalSegment) -> None:
        """WAL goes in without holes. The first of its timeline has nothing before it; where a tail is, this was looked at."""
        if segment.number == 0:
            return
        before = WalSegment(segment.timeline, segment.number - 1, segment.size_bytes)
        if self._is_there(before) or self._is_there(segment) or any(self._tails(segment)):
            return
        for found in self._store.list(self._paths.timeline(segment.timeline)):
            earlier = self._paths.recognise(found.key, self._owner.segment_bytes)
            if isinstance(earlier, TailSpan):
                earlier = earlier.segment
            if isinstance(earlier, WalSegment) and earlier < segment:
                raise wal_hole(f"{segment}, while {before} is not in {self._store.url} and {earlier} is")

    def _require_own(self, segment: WalSegment) -> None:
        if segment.size_bytes != self._owner.segment_bytes:
            raise ValueError(f"{segment} has segments of {segment.size_bytes} bytes, the archive {self._owner.segment_bytes}")

    def _signing(self) -> Signer:
        if self._signer is None:
            self._signer = Signer.of(self._keys)
        return self._signer

    def _corrupt(self, key: str, found: str) -> GiveUp:
        return GiveUp(
            WAL_CORRUPT,
            found=f"{key}: {found}",
            expected="WAL of this cluster, signed by one of our signers, unchanged",
            hint="this copy is damaged: use another repository, or a target before it",
        )


def _in_pieces(content: bytes | Pieces) -> Pieces:
    return Pieces.of(content) if isinstance(content, bytes) else content


def _size_wrong(what: str, found_bytes: int, expected_bytes: int) -> GiveUp:
    return GiveUp("wal_size_wrong", found=f"{what} with {found_bytes} bytes", expected=f"{expected_bytes} bytes",
                  hint="the spool holds a file that was cut short; see understudy status")  # fmt: skip


def wal_hole(found: str) -> GiveUp:
    """What comes next can't be stored, because what belongs before it is not there."""
    return GiveUp(
        WAL_HOLE,
        found=found,
        expected="WAL without a hole",
        hint="if the WAL in between is lost for good, a full backup begins anew behind it: understudy backup RESOURCE --full",
    )
