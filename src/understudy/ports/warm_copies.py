"""What is remembered of the warm copy of each database: where it is, from what it came, and who may touch it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from understudy.vocabulary.identifiers import ResourceName, RunId, SystemIdentifier
from understudy.vocabulary.wal import Timeline


@dataclass(frozen=True, slots=True)
class WarmCopyFault:
    """Why a warm copy is no longer followed: it is replaced, and no recovery uses it."""

    code: str
    found: str
    at: datetime


@dataclass(frozen=True, slots=True)
class FormerWarmCopy:
    """One that was replaced, whose directories are still to be removed."""

    directory: str
    socket_directory: str
    run: RunId


@dataclass(frozen=True, slots=True)
class WarmCopy:
    """The one copy that counts. It was verified before this was written."""

    directory: str
    """The data directory; ``<directory>.wal`` holds the WAL that is fetched ahead of it."""
    socket_directory: str
    run: RunId
    """The run that seeded it, whose marker the directory bears."""
    repository: str
    """Where it came from, and where its WAL comes from."""
    labels: tuple[str, ...]
    """The chain of backups that was restored, full first."""
    system_identifier: SystemIdentifier
    segment_bytes: int
    timeline: Timeline
    """The timeline that it follows."""
    verified: datetime
    """When every row was read and every page checked."""
    former: tuple[FormerWarmCopy, ...] = ()
    taken_by: RunId | None = None
    """The recovery that has taken it: from then on it is that run's."""
    fault: WarmCopyFault | None = None

    @property
    def label(self) -> str:
        """Of the newest backup of the chain."""
        return self.labels[-1]

    @property
    def staging_directory(self) -> str:
        return staging_beside(self.directory)


def staging_beside(directory: str) -> str:
    """Where the WAL for a warm copy is laid down."""
    return f"{directory}.wal"


class WarmCopies(Protocol):
    """Notes that outlive every process. Written whole or not at all."""

    def read(self, resource: ResourceName) -> WarmCopy | None:
        """None: there is none.

        Raises:
            GiveUp: ``warm_copy_note_damaged``.
        """
        ...

    def write(self, resource: ResourceName, copy: WarmCopy) -> None:
        """Raises GiveUp ``state_unwritable``."""
        ...

    def held(self, resource: ResourceName) -> AbstractContextManager[None]:
        """Only one at a time, across processes and threads, starts, stops or moves the copy, or writes its note.

        Raises:
            TryAgain: ``warm_copy_busy``: somebody else has it just now.
        """
        ...
