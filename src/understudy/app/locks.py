"""Until when what is stored is locked, as the stores say it."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TypeVar

from understudy.ports.object_store import ObjectStore

K = TypeVar("K")

_AT_ONCE = 8


def locked_until(store: ObjectStore, manifests: Mapping[K, str]) -> Mapping[K, datetime]:
    """Of each backup or snapshot by its manifest's key; those that are under no lock are left out. Raises as the store does."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="locks") as pool:
        locks = pool.map(store.lock_of, manifests.values())
        return {name: lock.until for name, lock in zip(manifests, locks, strict=True) if lock is not None}
