"""Where sealed bytes are kept: a directory or an S3 bucket."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.locking import Lock, LockRule

_KEY = re.compile(r"^(?!/)(?:(?!\.{1,2}(?:/|\Z))[\x21-\x2e\x30-\x7e]{1,255}(?:/(?!\Z)|\Z))+\Z")


def is_key(text: str) -> bool:
    """Whether an object may lie under it. A store shows nothing else, whatever another program put there."""
    return bool(_KEY.match(text))


def require_key(key: str) -> None:
    """Raises ValueError for what no store takes: it may come from a document that somebody else wrote."""
    if not is_key(key):
        raise ValueError(f"not a key: {key!r}; expected a relative path of printable ASCII without blanks")


def key_taken(found: str) -> GiveUp:
    """What a store says to who comes second."""
    return GiveUp(
        "object_exists",
        found=found,
        expected="a key that is free: nothing is overwritten",
        hint="another process stored it first: see on each host of this stack file that no second one writes here "
        "(understudy status), then try again",
    )


def object_locked(key: str, lock: Lock, found: str) -> GiveUp:
    """What a store says to who would remove what is locked."""
    return GiveUp(
        "object_locked",
        found=f"{key} is locked until {lock.until.isoformat()} ({lock.mode}): {found}",
        expected="an object whose lock has run out",
        hint="nothing to be done: it is removed by a later understudy expire, once its lock has run out",
    )


@dataclass(frozen=True, slots=True)
class StoredObject:
    key: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Written:
    """What a store took: the size and the SHA-256 (hexadecimal) of the bytes that went in."""

    key: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class StoreAbilities:
    """What a store was seen to honour when it was probed, not what it claims."""

    conditional_put: bool
    """A second put with "only if absent" is refused."""
    range_reads: bool
    """A read from an offset returns only the bytes from there on."""
    versions: bool
    """What is removed or replaced stays there as an older version."""
    object_lock: bool
    default_lock: LockRule | None = None
    """What the store itself puts every new object under."""
    removes_versions: bool = True
    """What is removed here is gone; else it is only hidden, because we may not remove versions."""
    hidden: int = 0
    """Objects that somebody removed and whose versions are there still, as far as one look shows: a thousand at most."""


class ObjectStore(Protocol):
    """Keeps objects under keys. Keys are relative, ``/``-separated, printable ASCII.

    Every failure is in the error tree: ``TryAgain("store_unreachable")`` for what passes by itself (after the adapter's own few
    quick retries), ``GiveUp`` with ``store_denied``, ``store_full``, ``object_exists``, ``object_missing``, ``object_changed`` or
    ``object_unreadable`` (damage: the store answers, and will never give these bytes).
    """

    @property
    def url(self) -> str:
        """The address to show to people, without credentials."""
        ...

    @property
    def tells_rivals_apart(self) -> bool:
        """Whether ``put`` surely refuses who comes second in a race, without trying out whether it does."""
        ...

    @property
    def lock_rule(self) -> LockRule | None:
        """What ``put`` locks by; None: it locks nothing of itself."""
        ...

    def put(self, key: str, chunks: Iterable[bytes]) -> Written:
        """Store the concatenation of ``chunks`` under ``key``, in bounded memory.

        Visible whole or not at all: when ``chunks`` raises, or this process dies, nothing appears under ``key``. Durable when it
        returns (fsynced file and directory; a completed upload). Never overwrites: ``GiveUp("object_exists")`` when the key is
        taken, also by one who came second in a race where the store can tell. A broken connection is resumed, not restarted.
        """
        ...

    def read(self, key: str, offset: int = 0) -> Iterator[bytes]:
        """The object's bytes from ``offset`` on, in pieces of at most 1 MiB.

        A broken connection is resumed where it broke. ``GiveUp("object_missing")`` only on the store's authoritative word that
        nothing is there; a store that cannot be asked is ``TryAgain``. Ends early never: fewer bytes than the store announced
        is ``TryAgain``.
        """
        ...

    def head(self, key: str) -> StoredObject | None:
        """What lies under ``key``; None only on the store's authoritative word that nothing does."""
        ...

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Every object whose key begins with ``prefix``, in ascending order of key, without holding them all in memory.

        What lies there under a name that is no key (a copy that a person made, say) is left out, here and in ``folders``.
        """
        ...

    def folders(self, prefix: str) -> Iterator[str]:
        """The names directly below ``prefix`` (which ends in ``/``, or is empty) under which any object lies, ascending.

        Names without the slash. Cheap however much lies below them.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove the object, with all its versions; nothing happens when it is not there. Only for what this product wrote and
        its rules release.

        ``GiveUp("object_locked")``: a lock holds it, and it is there as before. Where the store lets us hide it and not remove
        its versions, it is hidden.
        """
        ...

    def lock_of(self, key: str) -> Lock | None:
        """What the object is under, as the store says it; also a lock that has run out. None: it is under none, or not there."""
        ...

    def renew_lock(self, key: str) -> Lock | None:
        """Lock the object by ``lock_rule`` from now on, unless it is locked for as long already; what it is under then, as it was
        read back. None where there is no rule. No lock is ever shortened.

        ``GiveUp("lock_ignored")``: the store took the request, and says of no lock that long; ``object_missing``.
        """
        ...

    def probe(self) -> StoreAbilities:
        """Try out, with small objects under ``.probe/`` that are removed again, what this store honours.

        Raises as ``put`` does when the store cannot be written to.
        """
        ...
