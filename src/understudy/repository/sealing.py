"""Objects that are compressed, sealed and stored in one stream, and read back with every digest checked."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from understudy.ports.object_store import ObjectStore
from understudy.ports.sealer import HEAD_BYTES, Sealer
from understudy.repository.compression import DEFAULT_LEVEL, DEFAULT_THREADS, compress, decompress
from understudy.repository.layout import sealing_told_by
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.sealing import Sealing
from understudy.vocabulary.secret import Secret

if TYPE_CHECKING:
    from hashlib import _Hash

_DAMAGE = frozenset({"sealed_corrupt", "compressed_corrupt"})


@dataclass(frozen=True, slots=True)
class SealedObject:
    """What was stored. Sizes in bytes, digests SHA-256 in hexadecimal.

    ``plain_sha256`` is None unless it was asked for: hashing costs as much as compressing, and for a base backup's parts the
    sealed digest, the sealing's own authentication and the server's CRC32C of each file cover the plain text already.
    """

    key: str
    plain_bytes: int
    plain_sha256: str | None
    sealed_bytes: int
    sealed_sha256: str


@dataclass(slots=True)
class _Meter:
    """Counts, and hashes where asked to, what passes through."""

    hashed: bool
    size_bytes: int = 0
    digest: _Hash = field(default_factory=hashlib.sha256)

    def measure(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        try:
            for chunk in chunks:
                self.size_bytes += len(chunk)
                if self.hashed:
                    self.digest.update(chunk)
                yield chunk
        finally:
            close(chunks)


def close(chunks: Iterable[bytes]) -> None:
    """End a pipeline that nobody reads to its end, so that its source lets go at once. Nothing happens to plain collections."""
    if isinstance(chunks, Generator):
        chunks.close()


def store_sealed(
    store: ObjectStore,
    sealer: Sealer,
    key: str,
    chunks: Iterable[bytes],
    recipients: Sequence[str],
    *,
    level: int = DEFAULT_LEVEL,
    threads: int = DEFAULT_THREADS,
    digest_plain: bool = False,
) -> SealedObject:
    """Compress, seal and store ``chunks`` under ``key``, in bounded memory and without a temporary file of ours.

    Raises as ``ObjectStore.put`` does (``object_exists`` before anything is read), and whatever ``chunks`` raises; nothing
    appears under ``key`` then.
    """
    meter = _Meter(hashed=digest_plain)
    with closing(cast(Generator[bytes], sealer.seal(compress(meter.measure(chunks), level, threads), recipients))) as sealed:
        written = store.put(key, sealed)
    return SealedObject(
        key=key,
        plain_bytes=meter.size_bytes,
        plain_sha256=meter.digest.hexdigest() if digest_plain else None,
        sealed_bytes=written.size_bytes,
        sealed_sha256=written.sha256,
    )


def read_sealed(
    store: ObjectStore, sealer: Sealer, key: str, identity: Secret, sealed_sha256: str | None = None
) -> Iterator[bytes]:
    """The plain text of what ``store_sealed`` stored. Use it only once the stream ended well.

    Args:
        sealed_sha256: What the sealed bytes must hash to; None where only the sealing's own authentication is wanted.

    Raises:
        GiveUp: ``part_corrupt`` (changed, cut off, or not to be read; raised at the latest when the stream ends), ``wrong_key``,
            ``object_missing``; and as ``ObjectStore.read`` and ``Sealer.open`` do.
        Refusal: ``sealing_differs``: its name says that it was sealed in the other way.
    """
    require_sealing(sealer, key)
    meter = _Meter(hashed=sealed_sha256 is not None)
    try:
        opened = cast(Generator[bytes], sealer.open(meter.measure(stored_bytes(store, key)), identity))
        with closing(opened), closing(cast(Generator[bytes], decompress(opened))) as plain:
            yield from plain
    except GiveUp as error:
        if error.code in _DAMAGE:
            raise part_corrupt(key, f"{meter.size_bytes} sealed bytes that cannot be opened ({error.found})") from error
        raise
    if sealed_sha256 is not None and not hmac.compare_digest(meter.digest.hexdigest(), sealed_sha256):
        raise part_corrupt(key, f"SHA-256 {meter.digest.hexdigest()} over {meter.size_bytes} bytes", sealed_sha256)


def opened_by(store: ObjectStore, sealer: Sealer, key: str, identity: Secret) -> str:
    """The recipient that ``identity`` opens the object as. Raises as ``read_sealed`` does."""
    require_sealing(sealer, key)
    head = b""
    with closing(cast(Generator[bytes], stored_bytes(store, key))) as pieces:
        for piece in pieces:
            head += piece
            if len(head) >= HEAD_BYTES:
                break
    try:
        return sealer.opened_by(head[:HEAD_BYTES], identity)
    except GiveUp as error:
        if error.code in _DAMAGE:
            raise part_corrupt(key, error.found) from error
        raise


def require_sealing(sealer: Sealer, key: str) -> None:
    """What was sealed in the other way would look like damage.

    Raises:
        Refusal: ``sealing_differs``.
    """
    told = sealing_told_by(key)
    if told is not None and told is not sealer.sealing:
        raise sealing_differs(key, told, sealer.sealing)


def sealing_differs(what: str, theirs: Sealing, ours: Sealing) -> Refusal:
    return Refusal(
        "sealing_differs",
        found=f"{what} is sealed with {theirs}, and here is what opens {ours} (encryption.sealing)",
        expected=f"a repository that is sealed with {ours} from its beginning",
        hint=f"to write on with {ours}, give the stack a repository of another name at another place, and take a full backup. "
        f"What is in this one opens with a stack file that says sealing: {theirs}, with recipients and identity of that kind",
    )


def stored_bytes(store: ObjectStore, key: str) -> Iterator[bytes]:
    """As ``ObjectStore.read``; what the store cannot read any more is damage like any other: ``part_corrupt``."""
    try:
        yield from store.read(key)
    except GiveUp as error:
        if error.code == "object_unreadable":
            raise part_corrupt(key, error.found) from error
        raise


def check_sealed(store: ObjectStore, key: str, sealed_sha256: str, between_pieces: Callable[[], None] = lambda: None) -> int:
    """Read the sealed bytes against their digest, without any key; returns their number.

    Args:
        between_pieces: Called with each piece; raises to end it early.

    Raises:
        GiveUp: ``part_corrupt``, ``object_missing``.
    """
    meter = _Meter(hashed=True)
    with closing(cast(Generator[bytes], meter.measure(stored_bytes(store, key)))) as pieces:
        for _ in pieces:
            between_pieces()
    if not hmac.compare_digest(meter.digest.hexdigest(), sealed_sha256):
        raise part_corrupt(key, f"SHA-256 {meter.digest.hexdigest()} over {meter.size_bytes} bytes", sealed_sha256)
    return meter.size_bytes


def part_corrupt(key: str, found: str, sealed_sha256: str = "") -> GiveUp:
    return GiveUp(
        "part_corrupt",
        found=f"{key}: {found}",
        expected=f"SHA-256 {sealed_sha256}" if sealed_sha256 else "the bytes that were stored",
        hint="this copy is damaged: restore from another repository, or from an older backup (understudy backups RESOURCE); "
        "a new one that uses nothing of it: understudy backup RESOURCE --full",
    )
