"""What there is to be read back of a resource in a repository, unit by unit: what each is compared with, and what fails with it.

A unit is an object of a backup or a snapshot, or a segment of WAL with all of its pieces. Manifests are no units: they are read,
and their signatures checked, each time when it is asked what there is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from understudy.ports.object_store import ObjectStore
from understudy.ports.readings import ReadFault
from understudy.repository.sealing import check_sealed
from understudy.vocabulary.errors import GiveUp

BetweenPieces = Callable[[], None]
"""Called with each piece that was read; raises to end it early."""

_OF_THE_STORE = ("store_denied", "store_refused", "bucket_missing")
"""What keeps an object from being read, and says nothing of it."""


@dataclass(frozen=True, slots=True)
class UnitRead:
    """What reading came to: nothing wrong, a fault, or that retention had removed the unit meanwhile."""

    fault: ReadFault | None = None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class StoredUnit:
    size_bytes: int
    read: Callable[[BetweenPieces], UnitRead]
    """Raises TryAgain, and GiveUp where the store refuses."""


@dataclass(slots=True)
class StoredUnits:
    """By name. ``faults``: what listing alone told, by names that stand beside those of the units."""

    units: dict[str, StoredUnit] = field(default_factory=dict)
    faults: dict[str, ReadFault] = field(default_factory=dict)

    def sizes(self) -> Mapping[str, int]:
        return {name: unit.size_bytes for name, unit in self.units.items()} | dict.fromkeys(self.faults, 0)


def damage(error: GiveUp, labels: tuple[str, ...]) -> ReadFault:
    """Raises the error again where it is no damage."""
    if error.code in _OF_THE_STORE:
        raise error
    return ReadFault(error.code, error.found, error.expected, error.hint, labels)


def sealed_unit(
    store: ObjectStore, key: str, sealed_bytes: int, sealed_sha256: str, labels: tuple[str, ...], manifests: tuple[str, ...]
) -> StoredUnit:
    """An object that signed manifests name.

    Args:
        manifests: Their keys. Retention removes them first: an object that is not there is missing while one of them is.
    """

    def read(between_pieces: BetweenPieces) -> UnitRead:
        try:
            check_sealed(store, key, sealed_sha256, between_pieces)
        except GiveUp as error:
            if error.code != "object_missing":
                return UnitRead(damage(error, labels))
            if all(store.head(manifest) is None for manifest in manifests):
                return UnitRead(gone=True)
            expected = "every object that the signed manifest names"
            found = f"{key} is not in the repository"
            return UnitRead(ReadFault("part_missing", found, expected, "use another repository, or another backup", labels))
        return UnitRead()

    return StoredUnit(sealed_bytes, read)


def sums_unit(store: ObjectStore, key: str, expected: bytes, manifest: str) -> StoredUnit:
    """``SHA256SUMS``. No restore by this product reads it, so nothing fails with it but what a person does by hand."""
    return sealed_unit(store, key, len(expected), hashlib.sha256(expected).hexdigest(), (), (manifest,))
