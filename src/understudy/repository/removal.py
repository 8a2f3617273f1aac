"""Objects that retention releases, removed in an order in which what is half removed counts as nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from understudy.ports.object_store import ObjectStore, StoredObject
from understudy.repository.layout import MANIFEST_NAME, SIDECAR_SUFFIX, WalKeys
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.json import JsonObject
from understudy.vocabulary.wal import Timeline, WalSegment

LOCKED = "object_locked"
_REFUSALS = ("store_denied", "store_refused", LOCKED)


@dataclass(slots=True)
class Amount:
    objects: int = 0
    size_bytes: int = 0

    def add(self, found: Iterable[StoredObject]) -> None:
        for each in found:
            self.objects += 1
            self.size_bytes += each.size_bytes

    def to_json(self) -> JsonObject:
        return {"objects": self.objects, "bytes": self.size_bytes}


@dataclass(slots=True)
class Remover:
    """Removes from one store, and tells what the store keeps from what went wrong.

    A store may be made to refuse: by a lock on its objects, by a policy without the right to delete. That is its owner's will. A
    store that does not even show the object is not told apart like this: its fault is raised.
    """

    store: ObjectStore
    refusal: str = field(default="", init=False)
    """What the store said first."""
    by_lock: bool = field(default=False, init=False)
    """Whether what it refused last was for a lock, which runs out."""

    def remove(self, key: str) -> bool:
        """False: the store keeps it."""
        try:
            self.store.delete(key)
        except GiveUp as error:
            if error.code not in _REFUSALS:
                raise
            if error.code == LOCKED or self.store.head(key) is not None:
                self.refusal, self.by_lock = self.refusal or error.found, error.code == LOCKED
                return False
        return True

    def remove_backup(self, prefix: str) -> bool:
        """The manifest first: without it nothing is a backup. False: the store keeps that, so all of it stays."""
        if not self.remove(prefix + MANIFEST_NAME):
            return False
        for found in list(self.store.list(prefix)):
            self.remove(found.key)
        return True

    def remove_segment(self, objects: Iterable[StoredObject]) -> None:
        """The sidecars first, that of the whole segment behind those of its tails; then the data, unless a sidecar stays."""
        keys = [each.key for each in objects]
        sidecars = sorted((key for key in keys if key.endswith(SIDECAR_SUFFIX)), key=lambda key: (".tail/" not in key, key))
        stays = [key for key in sidecars if not self.remove(key)]
        if not stays:
            for key in keys:
                if key not in sidecars:
                    self.remove(key)


def wal_objects(
    store: ObjectStore, keys: WalKeys, timeline: Timeline, segment_bytes: int
) -> Iterator[tuple[WalSegment, list[StoredObject]]]:
    """Everything that lies there of each segment of the timeline, ascending; a listing is not held in memory."""
    for segment, found in groupby(store.list(keys.timeline(timeline)), lambda each: keys.owner(each.key, segment_bytes)):
        if segment is not None:
            yield segment, list(found)
