"""Directories on this host that plans work in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from understudy.vocabulary.identifiers import RunId

MARKER_NAME = ".understudy-run"
"""The file that says which run a directory belongs to."""
UNFINISHED_MARKER_PREFIX = f"{MARKER_NAME}."


def is_marker(name: str) -> bool:
    """Markers, and what a crash left of one that was being written."""
    return name == MARKER_NAME or name.startswith(UNFINISHED_MARKER_PREFIX)


@dataclass(frozen=True, slots=True)
class PlaceFacts:
    exists: bool
    empty: bool
    claimed_by: RunId | None
    free_bytes: int
    """On its file system, or that of its nearest existing parent."""
    file_system: int
    """Its device: directories with the same one share ``free_bytes``."""


class Places(Protocol):
    """Directories with a marker that says whose they are. Nothing without this run's marker is ever removed."""

    def facts(self, directory: str) -> PlaceFacts: ...

    def claim(self, directory: str, run: RunId, owner: tuple[int, int] | None = None) -> None:
        """Make the directory (mode 0700) if need be and write this run's marker into it.

        Raises:
            Refusal: ``target_not_empty``: it holds something and bears no marker of this run.
        """
        ...

    def release(self, directory: str, run: RunId) -> None:
        """Take the marker out: the directory belongs to its user now. Nothing happens when it is not there."""
        ...

    def set_aside(self, directory: str, run: RunId, *, quarantined: bool = False) -> str | None:
        """Rename what stands there to a sibling named after the run, and return its path; the same path when it was
        renamed before, None when there was nothing. ``quarantined``: its name says that nothing of it is to be believed.

        Raises:
            Refusal: ``target_is_mount_point``: it cannot be renamed, a person must empty it.
        """
        ...

    def aside(self, directory: str, run: RunId) -> str | None:
        """Where ``set_aside`` put what stood there for this run; None where it has not."""
        ...

    def put_in_place(self, source: str, made_by: RunId, directory: str, run: RunId) -> None:
        """Rename what ``made_by`` made to ``directory``, as this run's; nothing happens when that was done before.

        The marker is exchanged first, so that at each moment it is known whose it is.

        Raises:
            Refusal: ``not_ours``: the source bears no marker of either run; ``target_not_empty``.
            GiveUp: ``source_missing``; ``place_fault``: they lie on different file systems, for one.
        """
        ...

    def remove(self, directory: str, run: RunId) -> bool:
        """Remove a directory that bears this run's marker, marker last. False when it was not there.

        Raises:
            Refusal: ``not_ours``: it bears no marker of this run.
        """
        ...
