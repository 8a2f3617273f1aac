"""Removal for good: on a bucket that keeps versions, an ordinary removal only hides."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from understudy.ports.object_store import object_locked
from understudy.vocabulary.errors import GiveUp

if TYPE_CHECKING:
    from understudy.adapters.s3.wire import Wire

_REFUSALS = ("store_denied", "store_refused", "lock_refused")
_CLOCKS_APART = timedelta(days=1)
"""A store that refuses goes by its own clock."""


def remove(wire: Wire, key: str, versioning: str | None, now: datetime | None) -> bool:
    """All versions of the object. False: it is only hidden, because we may not remove versions.

    The newest version goes first: where a lock holds it, the object is there as before.

    Args:
        versioning: As of ``Wire.versioning``.
        now: None: no clock is here, and every lock counts.

    Raises:
        GiveUp: ``object_locked``; and as a removal does.
    """
    versions = () if versioning == "" else _versions(wire, key)
    if not versions:
        wire.delete(key)
        return True
    for version in versions:
        try:
            wire.delete_version(key, version)
        except GiveUp as error:
            if error.code not in _REFUSALS:
                raise
            _require_free(wire, key, version, error, now)
            if wire.standing(key) is not None:
                wire.delete(key)
            return False
    return True


def _versions(wire: Wire, key: str) -> Sequence[str]:
    try:
        return wire.versions_of(key)
    except GiveUp as error:
        if error.code not in _REFUSALS:
            raise
    standing = wire.standing(key)
    return [standing.version] if standing is not None and standing.version is not None else []


def _require_free(wire: Wire, key: str, version: str, refused: GiveUp, now: datetime | None) -> None:
    standing = wire.standing(key, version)
    lock = None if standing is None else standing.lock
    if lock is not None and (now is None or lock.holds(now - _CLOCKS_APART)):
        raise object_locked(key, lock, refused.found) from refused
