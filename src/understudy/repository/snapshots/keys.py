"""The keys of one resource's snapshots: ``files/documents/parts/…`` and ``files/documents/snapshots/<label>/…``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from understudy.repository.layout import SUMS_NAME, part_suffix, sealed_suffix
from understudy.vocabulary.identifiers import ResourceName, SnapshotLabel
from understudy.vocabulary.sealing import Sealing

SNAPSHOT_MANIFEST_NAME = "snapshot.json"
PARTS_FROM_A_SNAPSHOT = "../../parts/"
"""How ``SHA256SUMS`` names a part, so that ``sha256sum --check`` finds it from the snapshot's folder."""

_KIND = re.compile(r"^[a-z][a-z0-9_-]*\Z")
_TAKEN = frozenset({"postgres", "controller", "evidence", "stack", "quarantine"})
"""Other things lie there."""
_ATTEMPT = re.compile(r"^[0-9A-Za-z]+\Z")
_PART_NAME = re.compile(r"^([0-9]{8}-[0-9]{6}S)-[0-9A-Za-z]+-\d{4,}\.tar\.zst\.(age|gpg)\Z")
_LISTING_NAME = re.compile(r"^listing(-[0-9A-Za-z]+)?\.jsonl\.zst\.(age|gpg)\Z")


@dataclass(frozen=True, slots=True)
class SnapshotKeys:
    """Of one resource. ``kind`` is the resource's: ``files``, ``bucket``."""

    kind: str
    resource: ResourceName

    def __post_init__(self) -> None:
        if not _KIND.match(self.kind) or self.kind in _TAKEN:
            raise ValueError(f"not a kind of resource with snapshots: {self.kind!r}")

    @property
    def prefix(self) -> str:
        return f"{self.kind}/{self.resource}/"

    @property
    def parts(self) -> str:
        return f"{self.prefix}parts/"

    @property
    def snapshots(self) -> str:
        return f"{self.prefix}snapshots/"

    def part(self, name: str) -> str:
        return f"{self.parts}{name}"

    def folder(self, label: SnapshotLabel) -> str:
        return f"{self.snapshots}{label}/"

    def in_folder(self, label: SnapshotLabel, name: str) -> str:
        """``name``: of the listing."""
        return f"{self.folder(label)}{name}"

    def sums(self, label: SnapshotLabel) -> str:
        return f"{self.folder(label)}{SUMS_NAME}"

    def manifest(self, label: SnapshotLabel) -> str:
        return f"{self.folder(label)}{SNAPSHOT_MANIFEST_NAME}"

    def parts_of(self, label: SnapshotLabel) -> str:
        """What the keys of all parts begin with that were stored for this snapshot, by whatever attempt."""
        return f"{self.parts}{label}-"


def part_name(label: SnapshotLabel, attempt: str, number: int, sealing: Sealing) -> str:
    """``20261123-030000S-7f3a1-0001.tar.zst.age``: all parts of a resource lie in one folder, and none is ever overwritten.

    Raises:
        ValueError: ``attempt`` is not letters and digits alone.
    """
    if not _ATTEMPT.match(attempt):
        raise ValueError(f"not an attempt: {attempt!r}; expected letters and digits")
    return f"{label}-{attempt}-{number:04d}{part_suffix(sealing)}"


def label_of_part(name: str) -> SnapshotLabel | None:
    """The snapshot for which the part was stored; None for what is no part's name."""
    found = _PART_NAME.match(name)
    return SnapshotLabel(found.group(1)) if found else None


def listing_name(sealing: Sealing, attempt: str | None = None) -> str:
    """``attempt``: where an earlier one holds the plain name."""
    return f"listing{'' if attempt is None else f'-{attempt}'}.jsonl{sealed_suffix(sealing)}"


def is_listing_name(name: str) -> bool:
    return bool(_LISTING_NAME.match(name))
