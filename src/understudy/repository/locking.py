"""Locks that last: what a new backup or snapshot shares with earlier ones is locked anew with it, or would lose its lock while
it is needed.

Each object is locked when it is put. Nothing in a repository is ever changed, so nothing must stay free for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from understudy.ports.object_store import ObjectStore
from understudy.ports.running import Cancellation, Progress
from understudy.repository.catalog import Repository
from understudy.repository.layout import (
    DESCRIPTION_KEY,
    EPOCH_PREFIX,
    MANIFEST_NAME,
    RECOVERY_PAGE_KEY,
    SIDECAR_SUFFIX,
    SUMS_NAME,
    WalKeys,
    backup_prefix,
    epoch_of,
    wal_prefix,
)
from understudy.repository.manifests import BackupManifest
from understudy.repository.snapshots.manifest import SnapshotManifest
from understudy.repository.stack_files import kept_stack_files
from understudy.vocabulary.locking import Lock
from understudy.vocabulary.wal import Timeline

_AT_ONCE = 16
_BETWEEN_LOOKS = 256


@dataclass(frozen=True, slots=True)
class Locked:
    objects: int
    first_to_end: Lock
    """Of all of them, the lock that runs out first."""


def renew_locks(store: ObjectStore, keys: Iterable[str], *, progress: Progress, cancellation: Cancellation) -> Locked | None:
    """Lock all of them by the store's rule from now on, and read that back. Twice is the same as once. None: it has no rule.

    Raises:
        GiveUp: ``lock_ignored``, ``lock_refused``, ``object_missing``; and as the store does.
    """
    wanted = tuple(dict.fromkeys(keys))
    locks: list[Lock] = []
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="locking") as pool:
        for begun in range(0, len(wanted), _BETWEEN_LOOKS):
            cancellation.raise_if_requested()
            locks += [each for each in pool.map(store.renew_lock, wanted[begun : begun + _BETWEEN_LOOKS]) if each is not None]
            progress.report("locking", begun + len(locks), len(wanted), "objects")
    return Locked(len(locks), min(locks, key=lambda each: each.until)) if locks else None


def keys_of_backup(store: ObjectStore, repository: Repository, backup: BackupManifest) -> Iterator[str]:
    """Everything that a restore of it reads: what it stands on, its own WAL, the history of its timeline.

    Raises as ``Repository.chain`` does.
    """
    for each in repository.chain(backup.resource, backup.system_identifier, backup.label):
        prefix = backup_prefix(each.resource, each.system_identifier, each.label)
        yield from (prefix + entry.name for entry in each.entries)
        yield from (prefix + SUMS_NAME, prefix + MANIFEST_NAME)
    paths = WalKeys(wal_prefix(backup.resource, backup.system_identifier))
    for segment in backup.own_wal():
        stem = paths.segment(segment)
        found = [each.key for each in store.list(stem)]
        whole = stem + SIDECAR_SUFFIX in found
        yield from (key for key in found if not (whole and key.startswith(paths.tails(segment))))
    for timeline in range(2, backup.timeline + 1):
        yield from (each.key for each in store.list(paths.history(Timeline(timeline))))


def keys_of_snapshot(snapshot: SnapshotManifest) -> Iterator[str]:
    """Everything that a restore of it reads, whichever snapshot stored it."""
    yield from (key for key, _ in snapshot.objects())
    yield from (snapshot.keys.sums(snapshot.label), snapshot.keys.manifest(snapshot.label))


def keys_of_the_way_in(store: ObjectStore) -> Iterator[str]:
    """What whoever comes with a key and nothing else reads first: without it the rest is hard to find."""
    yield from (key for key in (DESCRIPTION_KEY, RECOVERY_PAGE_KEY) if store.head(key) is not None)
    newest = max((each.key for each in store.list(EPOCH_PREFIX) if epoch_of(each.key) is not None), default=None)
    if newest is not None:
        yield newest
    for kept in kept_stack_files(store)[:1]:
        yield kept.key
        if kept.noted:
            yield kept.note_key
