"""What lies restored, read back and compared with the listing: what a disk or a bucket made of it, nothing else tells."""

from __future__ import annotations

import hashlib
import hmac
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from understudy.ports.collection import CollectionTarget, Entry, printable
from understudy.ports.running import Cancellation, Progress
from understudy.repository.snapshots.catalog import OpenedSnapshot
from understudy.repository.snapshots.reading_index import ReadingIndex
from understudy.repository.snapshots.selection import EVERYTHING, Selection
from understudy.vocabulary.errors import GiveUp

_AT_ONCE = 4
_READ_AHEAD = 64
"""Entries whose contents are asked for before the first has come: a bucket answers slowly, each by itself."""


@dataclass(frozen=True, slots=True)
class ComparedContents:
    contents: int
    content_bytes: int


def compare_restored(
    opened: OpenedSnapshot,
    target: CollectionTarget,
    *,
    index: Path,
    progress: Progress,
    cancellation: Cancellation,
    select: Selection = EVERYTHING,
) -> ComparedContents:
    """Before ``finish_restore``, which closes directories that are closed to their owner. ``index``: as of ``restore_snapshot``.

    Raises:
        GiveUp: ``restored_differs``; ``entry_gone``; what the target raises; as ``OpenedSnapshot.listing`` does.
    """
    contents = content_bytes = 0
    under_way: deque[Future[int]] = deque()
    with ReadingIndex(index, opened, select) as wanted, ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="compare") as threads:
        wanted.load()
        total_bytes = wanted.content_bytes()
        try:
            for entry, digest in wanted.contents():
                cancellation.raise_if_requested()
                if not target.takes(entry):
                    continue
                under_way.append(threads.submit(_compared_bytes, target, entry, digest))
                contents += 1
                while len(under_way) > _READ_AHEAD:
                    content_bytes += under_way.popleft().result()
                    progress.report("comparing what was restored", content_bytes, total_bytes)
            while under_way:
                cancellation.raise_if_requested()
                content_bytes += under_way.popleft().result()
        finally:
            threads.shutdown(cancel_futures=True)
    return ComparedContents(contents, content_bytes)


def _compared_bytes(target: CollectionTarget, entry: Entry, sha256: str) -> int:
    digest, size_bytes = hashlib.sha256(), 0
    for piece in target.read_back(entry):
        digest.update(piece)
        size_bytes += len(piece)
    if not hmac.compare_digest(digest.hexdigest(), sha256):
        raise GiveUp(
            "restored_differs",
            found=f"{printable(entry.key)} in {target.url} has {size_bytes} bytes, SHA-256 {digest.hexdigest()}",
            expected=f"{entry.size_bytes} bytes, SHA-256 {sha256}",
            hint="somebody changed it meanwhile, or that disk is not to be trusted: restore to another place",
        )
    return size_bytes
