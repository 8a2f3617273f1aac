"""``ObjectStore`` over a bucket."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from understudy.adapters.s3.place import BucketPlace
from understudy.adapters.s3.removal import remove
from understudy.ports.clock import Clock
from understudy.ports.object_store import StoreAbilities, StoredObject, Written, is_key, key_taken, require_key
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.locking import Lock, LockMode, LockRule
from understudy.vocabulary.secret import Secret

if TYPE_CHECKING:
    from understudy.adapters.s3.facts import VersionFacts
    from understudy.adapters.s3.wire import Answer, Dress, Wire

_PROBES = ".probe/"
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
        lock_rule: LockRule | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Nothing is asked of the store now.

        Args:
            lock_rule: What everything is locked by that is put here, but for probes. It goes with ``clock``.
            endpoint: ``https://host``; None for Amazon's.
            access_key: With ``secret_key``; None for what the environment grants (an instance's role, for one).
            region: None where the store has none.
        """
        self._place = BucketPlace(bucket, prefix, endpoint, region, access_key, secret_key)
        self._prefix = self._place.folder
        if lock_rule is not None and clock is None:
            raise ValueError("a lock rule without a clock")
        self._lock_rule = lock_rule
        self._clock = clock

    @property
    def url(self) -> str:
        return self._place.url

    tells_rivals_apart = False
    """Some services overlook the condition: of two that put one key at once, the second then replaces what the first stored."""

    @property
    def lock_rule(self) -> LockRule | None:
        return self._lock_rule

    def put(self, key: str, chunks: Iterable[bytes]) -> Written:
        from understudy.adapters.s3.uploads import Upload

        full = self._full(key)
        if self._wire.head(full) is not None:
            raise key_taken(f"{key} is there already")
        written = Upload(self._wire, full, self._dress(key)).send(chunks)
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
        self._remove(key)

    def lock_of(self, key: str) -> Lock | None:
        full = self._full(key)
        if not self._has_object_lock:
            return None
        standing = self._standing(full)
        return None if standing is None else standing.lock

    def renew_lock(self, key: str) -> Lock | None:
        full, rule, now = self._full(key), self._lock_rule, self._now()
        if rule is None or now is None:
            return None
        from understudy.adapters.s3.faults import lock_ignored

        wanted = rule.lock_from(now)
        expected = f"a lock until {wanted.until.isoformat()} or later"
        if not self._has_object_lock:
            raise lock_ignored(key, "the bucket does not say that it has object lock", expected)
        standing = self._standing(full)
        if standing is None:
            raise GiveUp("object_missing", found=f"{key} is not in {self.url}", expected="the object that is to be locked",
                         hint="see what is there: understudy verify")  # fmt: skip
        lock = standing.lock
        if lock is not None and rule.is_met(lock, now):
            return lock
        if lock is not None and lock.mode is LockMode.COMPLIANCE:
            wanted = replace(wanted, mode=lock.mode)
        self._wire.put_lock(full, standing.version, wanted)
        seen = self._standing(full)
        there = None if seen is None else seen.lock
        if there is None or not rule.is_met(there, now):
            raise lock_ignored(key, f"locked until {there.until.isoformat()}" if there else "under no lock", expected)
        return there

    def probe(self) -> StoreAbilities:
        key = f"{_PROBES}{secrets.token_hex(8)}"
        self.put(key, [b"0123456789"])
        removed = True
        try:
            conditional_put, range_reads = self._refuses_second(key), self._honours_range(key)
        finally:
            removed = self._remove_probe(key)
        _, default = self._lock_configuration or (False, None)
        return StoreAbilities(
            conditional_put=conditional_put,
            range_reads=range_reads,
            versions=self._versioning == "Enabled",
            object_lock=self._has_object_lock,
            default_lock=default,
            removes_versions=removed,
            hidden=self._hidden() if self._versioning else 0,
        )

    def _hidden(self) -> int:
        probes = self._prefix + _PROBES
        return sum(not key.startswith(probes) for key in self._wire.hidden_below(self._prefix))

    def _remove(self, key: str) -> bool:
        return remove(self._wire, self._full(key), self._versioning, self._now())

    def _remove_probe(self, key: str) -> bool:
        """Where the bucket locks everything of itself, this, too: then it is only hidden."""
        try:
            return self._remove(key)
        except GiveUp as error:
            if error.code != "object_locked":
                raise
            self._wire.delete(self._full(key))
            return True

    @cached_property
    def _versioning(self) -> str | None:
        return self._wire.versioning()

    @cached_property
    def _lock_configuration(self) -> tuple[bool, LockRule | None] | None:
        return self._wire.lock_configuration()

    def _standing(self, full: str) -> VersionFacts | None:
        """Of a bucket that has object lock; some stores tell of a lock in the one answer, some in the other."""
        standing = self._wire.standing(full)
        if standing is None or standing.lock is not None:
            return standing
        try:
            return replace(standing, lock=self._wire.lock_told(full, standing.version))
        except GiveUp as error:
            # Who has no lock to keep need not have the right to ask for it.
            if self._lock_rule is not None or error.code != "store_denied":
                raise
            return standing

    @property
    def _has_object_lock(self) -> bool:
        """Some stores that keep no locks hand back whatever header they were given, and take a request to lock for the object's
        new content: so nothing is asked of a bucket, nor believed, that does not say it has object lock.
        """
        return self._lock_configuration is not None and self._lock_configuration[0]

    def _now(self) -> datetime | None:
        return None if self._clock is None else self._clock.now()

    def _dress(self, key: str) -> Dress:
        now = self._now()
        if self._lock_rule is None or now is None or key.startswith(_PROBES):
            return {}
        lock = self._lock_rule.lock_from(now)
        return {"ObjectLockMode": lock.mode.upper(), "ObjectLockRetainUntilDate": lock.until}

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
