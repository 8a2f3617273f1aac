"""Bringing a snapshot, or some of it, into a target."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from understudy.ports.collection import CollectionTarget
from understudy.ports.running import Cancellation, Progress
from understudy.repository.snapshots.catalog import OpenedSnapshot
from understudy.vocabulary.identifiers import RunId


@dataclass(frozen=True, slots=True)
class Selection:
    """Which entries are wanted; without anything: all of them."""

    prefix: str | None = None
    """Those whose keys begin with it."""
    below: str | None = None
    """The directory of that key with all that lies in it, or the file of that key."""
    keys: frozenset[str] | None = None
    """Exactly these."""


EVERYTHING = Selection()


@dataclass(frozen=True, slots=True)
class RestoredSnapshot:
    entries: int
    """That were wanted: written now or by an earlier attempt."""
    content_bytes: int
    """Of all of them."""
    read_bytes: int
    """From parts in this call, opened."""
    read_parts: int
    skipped_parts: int
    """Done by an earlier attempt."""


def restore_snapshot(
    opened: OpenedSnapshot,
    target: CollectionTarget,
    *,
    index: Path,
    run: RunId,
    progress: Progress,
    cancellation: Cancellation,
    select: Selection = EVERYTHING,
    done_parts: Collection[str] = (),
    part_done: Callable[[str], None] | None = None,
) -> RestoredSnapshot:
    """Claim the target and write every wanted entry; ``finish_restore`` follows. Only the parts that are needed are read.

    Args:
        index: A scratch file in the run's own directory.
        part_done: Called from the calling thread with a part's name when all that was wanted of it survives the machine; what it
            was called with may be given as ``done_parts`` to a later attempt on the same target, which then skips those parts.

    Raises:
        Refusal: ``target_not_empty``; ``entry_missing``: nothing of that name is in the snapshot. Nothing was written.
        GiveUp: ``part_corrupt``, ``part_missing``, ``part_incomplete``, ``document_malformed``; what target, sealer and store do.
        TryAgain: what they raise.
        Cancelled: asked for; looked at several times a second.
    """
    raise NotImplementedError


def finish_restore(
    opened: OpenedSnapshot, target: CollectionTarget, *, index: Path, run: RunId, select: Selection = EVERYTHING
) -> None:
    """Times and modes of directories, then everything durable, then the mark off. Twice is the same as once. A receipt that says
    that ``restore_snapshot`` is through comes before it: behind it the target can no longer be claimed.
    """
    raise NotImplementedError
