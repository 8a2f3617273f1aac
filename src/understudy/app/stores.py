"""From a repository's settings to the adapter that speaks to it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from understudy.adapters.files.file_store import FileStore
from understudy.ports.clock import Clock
from understudy.ports.object_store import ObjectStore
from understudy.stack.models import RepositorySettings
from understudy.stack.secrets import resolve, resolve_text
from understudy.vocabulary.locking import LockRule


def store_for(settings: RepositorySettings, clock: Clock) -> ObjectStore:
    """The store behind the address; what is put there is locked as the settings say.

    Raises:
        GiveUp: ``secret_missing``.
    """
    address = urlsplit(settings.url)
    if address.scheme == "file":
        return FileStore(Path(address.path))
    from understudy.adapters.s3 import S3Store

    return S3Store(
        bucket=address.netloc,
        prefix=address.path.strip("/"),
        endpoint=resolve_text(settings.endpoint).reveal() if settings.endpoint else None,
        region=settings.region,
        access_key=resolve(settings.access_key) if settings.access_key else None,
        secret_key=resolve(settings.secret_key) if settings.secret_key else None,
        lock_rule=LockRule(settings.lock.mode, settings.lock.period) if settings.lock else None,
        clock=clock,
    )


def is_bare(settings: RepositorySettings) -> bool:
    """Whether no store was ever made there, or its disk is not mounted. A bucket has to be asked, and is not."""
    address = urlsplit(settings.url)
    return address.scheme == "file" and not FileStore.was_made(Path(address.path))


def create_store(settings: RepositorySettings, clock: Clock) -> ObjectStore:
    """Make the directory of a ``file://`` repository; a bucket must exist already."""
    address = urlsplit(settings.url)
    return FileStore.create(Path(address.path)) if address.scheme == "file" else store_for(settings, clock)
