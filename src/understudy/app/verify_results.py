"""What ``verify`` was asked, and what it found."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from understudy.repository.backup_checks import ObjectFault
from understudy.vocabulary.identifiers import (
    BackupKind,
    BackupLabel,
    RepositoryName,
    ResourceName,
    SnapshotLabel,
    SystemIdentifier,
)
from understudy.vocabulary.wal import Lsn

Report = Callable[[str, int, int], None]
"""Activity, bytes done, bytes in all; called from several threads."""


@dataclass(frozen=True, slots=True)
class VerifyTarget:
    """None: all of them."""

    resource: ResourceName | None
    label: BackupLabel | SnapshotLabel | None


@dataclass(frozen=True, slots=True)
class BackupCheckResult:
    """Of a backup or a snapshot."""

    repository: RepositoryName
    resource: ResourceName
    label: str
    """Or the folder's name, where the manifest could not be believed."""
    kind: BackupKind | None
    """None of a snapshot, and where the manifest could not be believed."""
    parent: str | None
    """The label of the backup that an incremental one stands on."""
    objects: int
    sealed_bytes: int
    files: int | None
    """Of a snapshot the contents; None where nothing was opened."""
    faults: tuple[ObjectFault, ...]


@dataclass(frozen=True, slots=True)
class WalCheckResult:
    """The WAL of one cluster behind the backups that were checked."""

    repository: RepositoryName
    resource: ResourceName
    system_identifier: SystemIdentifier
    reaches: Lsn | None
    segments: int
    """Complete ones, and those of which only tails are there."""
    objects: int
    """Segments, tails and history files of which every stored byte was compared with what was signed."""
    decoded: int | None
    """Segments; None where nothing was opened."""
    faults: tuple[ObjectFault, ...]


@dataclass(frozen=True, slots=True)
class RepositoryFault:
    """A repository, or a resource's part of it, that could not be looked at."""

    repository: RepositoryName
    resource: ResourceName
    fault: ObjectFault


@dataclass(frozen=True, slots=True)
class VerifyResult:
    deep: bool
    backups: tuple[BackupCheckResult, ...]
    wal: tuple[WalCheckResult, ...]
    unreadable: tuple[RepositoryFault, ...]

    def broken_below(self, backup: BackupCheckResult) -> str | None:
        """The label nearest below this backup that has faults; None when its chain is whole, as far as it was looked at."""
        by_label = {each.label: each for each in self.backups if _place(each) == _place(backup)}
        parent = by_label.get(backup.parent or "")
        while parent is not None and not parent.faults:
            parent = by_label.get(parent.parent or "")
        return parent.label if parent else None

    @property
    def passed(self) -> bool:
        return not (self.unreadable or any(each.faults for each in self.backups) or any(each.faults for each in self.wal))


def _place(result: BackupCheckResult) -> tuple[str, str]:
    return result.repository, result.resource


class BytesRead:
    """Sums up what several threads read."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell = tell
        self._adding = threading.Lock()
        self._sum = 0

    def add(self, size_bytes: int) -> None:
        with self._adding:
            self._sum += size_bytes
            total = self._sum
        self._tell(total)
