"""``ObjectStore`` over a bucket."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from understudy.adapters.s3.place import BucketPlace
from understudy.ports.object_store import StoreAbilities, StoredObject, Written, is_key, key_taken, require_key
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.secret import Secret

if TYPE_CHECKING:
    from understudy.adapters.s3.wire import Answer, Wire

_PIECE_BYTES = 1024 * 1024


class S3Store:
    """A bucket, or what lies below a prefix of it. The bucket exists already."""

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        endpoint: str | None = None,
        access_key: Secret | None = None,
        secret_key: Secret | None = None,
        region: str | None = None,
    ) -> None:
        """Nothing is asked of the store now.

        Args:
            endpoint: ``https://host``; None for Amazon's.
            access_key: With ``secret_key``; None for what the environment grants (an instance's role, for one).
            region: None where the store has none.
        """
        self._place = BucketPlace(bucket, prefix, endpoint, region, access_key, secret_key)
        self._prefix = self._place.folder

    @property
    def url(self) -> str:
        return self._place.url

    tells_rivals_apart = False
    """Some services overlook the condition: of two that put one key at once, the second then replaces what the first stored."""

    def put(self, key: str, chunks: Iterable[bytes]) -> Written:
        from understudy.adapters.s3.uploads import Upload

        full = self._full(key)
        if self._wire.head(full) is not None:
            raise key_taken(f"{key} is there already")
        written = Upload(self._wire, full).send(chunks)
        return Written(key, written.size_bytes, written.sha256)

    def read(self, key: str, offset: int = 0) -> Iterator[bytes]:
        from understudy.adapters.s3.reading import read_resuming

        return read_resuming(self._wire, self._full(key), offset)

    def head(self, key: str) -> StoredObject | None:
        found = self._wire.head(self._full(key))
        if found is None:
            self._wire.require_bucket()
            return None
        return StoredObject(key, found.size_bytes)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        for page in self._wire.pages(self._prefix + prefix):
            for found in page.objects:
                key = found.key.removeprefix(self._prefix)
                if is_key(key):
                    yield StoredObject(key, found.size_bytes)

    def folders(self, prefix: str) -> Iterator[str]:
        below = self._prefix + prefix
        for page in self._wire.pages(below, delimiter="/"):
            for folder in page.folders:
                if is_key(prefix + (name := folder.removeprefix(below).removesuffix("/"))):
                    yield name

    def delete(self, key: str) -> None:
        self._wire.delete(self._full(key))

    def probe(self) -> StoreAbilities:
        key = f".probe/{secrets.token_hex(8)}"
        self.put(key, [b"0123456789"])
        try:
            return StoreAbilities(
                conditional_put=self._refuses_second(key),
                range_reads=self._honours_range(key),
                versions=self._wire.has_versions(),
                object_lock=self._wire.has_object_lock(),
            )
        finally:
            self.delete(key)

    @property
    def _wire(self) -> Wire:
        return self._place.wire

    def _full(self, key: str) -> str:
        require_key(key)
        return self._prefix + key

    def _refuses_second(self, key: str) -> bool:
        try:
            self._wire.put(self._full(key), b"0123456789")
        except GiveUp as error:
            return error.code == "object_exists"
        return False

    def _honours_range(self, key: str) -> bool:
        answer: Answer = self._wire.get(self._full(key), 4)
        try:
            return answer.start == 4 and self._wire.read_piece(key, answer.stream, _PIECE_BYTES) == b"456789"
        finally:
            answer.stream.close()
