"""Sealed objects from one store into another, each compared with its digest as it passes."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass

from understudy.ports.object_store import ObjectStore
from understudy.ports.running import Cancellation, Progress
from understudy.repository.layout import SUMS_NAME, backup_prefix
from understudy.repository.manifests import BackupManifest, sums_text
from understudy.repository.sealing import check_sealed, part_corrupt, stored_bytes


@dataclass(frozen=True, slots=True)
class Copied:
    objects: int
    size_bytes: int
    already_there: int


def copy_backup_objects(
    backup: BackupManifest, source: ObjectStore, target: ObjectStore, *, progress: Progress, cancellation: Cancellation
) -> Copied:
    """Everything of the backup but its signed manifest, which is for the caller to write last.

    An object that an interrupted copy left is compared, not copied again.

    Raises:
        GiveUp: ``part_corrupt`` (in the source, or of another content in the target); and as the stores do.
    """
    prefix = backup_prefix(backup.resource, backup.system_identifier, backup.label)
    objects = size_bytes = done_bytes = already = 0
    for entry in backup.entries:
        cancellation.raise_if_requested()
        key = prefix + entry.name
        if not copy_sealed(source, target, key, entry.sealed_sha256):
            already += 1
        else:
            objects += 1
            size_bytes += entry.sealed_bytes
        done_bytes += entry.sealed_bytes
        progress.report(f"copying {backup.label}", done_bytes, backup.sealed_bytes)
    if target.head(prefix + SUMS_NAME) is None:
        target.put(prefix + SUMS_NAME, [sums_text(backup.entries)])
    return Copied(objects, size_bytes, already)


def copy_sealed(source: ObjectStore, target: ObjectStore, key: str, sealed_sha256: str) -> bool:
    """False: it was there already, and is the same.

    Raises:
        GiveUp: ``part_corrupt`` (in the source, or of another content in the target); and as the stores do.
    """
    if target.head(key) is not None:
        check_sealed(target, key, sealed_sha256)
        return False
    target.put(key, _checked(source, key, sealed_sha256))
    return True


def _checked(source: ObjectStore, key: str, sealed_sha256: str) -> Iterator[bytes]:
    """The object's bytes. Raises before the last is out when they are not those that were sealed, so that nothing is stored."""
    digest = hashlib.sha256()
    for chunk in stored_bytes(source, key):
        digest.update(chunk)
        yield chunk
    if not hmac.compare_digest(digest.hexdigest(), sealed_sha256):
        raise part_corrupt(key, f"SHA-256 {digest.hexdigest()}", sealed_sha256)
