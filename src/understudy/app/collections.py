"""From a directory's or a bucket's settings to what reads it, and to what its snapshots are restored into.

The adapters are imported when one is made: who keeps databases alone waits for none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from understudy.ports.collection import Collection, CollectionTarget, CollectionTargets
from understudy.stack.resources import SnapshotResource
from understudy.stack.secrets import resolve, resolve_text
from understudy.stack.snapshots import BucketResource, FilesResource
from understudy.vocabulary.secret import Secret


def collection_of(settings: FilesResource | BucketResource) -> Collection:
    """What is kept. Nothing is looked at yet.

    Raises:
        GiveUp: ``secret_missing``, ``secret_unreadable``.
        Refusal: ``exclude_invalid``.
    """
    if isinstance(settings, BucketResource):
        from understudy.adapters.s3 import BucketCollection

        access = _Access.of(settings)
        bucket, prefix = _parts(settings.url)
        return BucketCollection(
            bucket,
            prefix,
            access.endpoint,
            access.access_key,
            access.secret_key,
            settings.region,
            settings.exclude,
            ask_for_every_object=settings.ask_for_every_object,
        )
    from understudy.adapters.trees import DirectoryCollection

    return DirectoryCollection(Path(settings.path), settings.exclude, one_file_system=settings.one_file_system)


def targets_of(settings: SnapshotResource) -> CollectionTargets:
    """Of a bucket any that its own endpoint and keys lead to; of all else any directory of this host.

    Raises:
        GiveUp: ``secret_missing``, ``secret_unreadable``.
    """
    if isinstance(settings, BucketResource):
        return _Buckets(_Access.of(settings), settings.region)
    return _Directories()


@dataclass(frozen=True, slots=True)
class _Access:
    endpoint: str | None
    access_key: Secret | None
    secret_key: Secret | None

    @classmethod
    def of(cls, settings: BucketResource) -> _Access:
        return cls(
            endpoint=resolve_text(settings.endpoint).reveal() if settings.endpoint else None,
            access_key=resolve(settings.access_key) if settings.access_key else None,
            secret_key=resolve(settings.secret_key) if settings.secret_key else None,
        )


@dataclass(frozen=True, slots=True)
class _Directories:
    def at(self, place: str) -> CollectionTarget:
        from understudy.adapters.trees import DirectoryTarget

        return DirectoryTarget(Path(place))


@dataclass(frozen=True, slots=True)
class _Buckets:
    access: _Access
    region: str | None

    def at(self, place: str) -> CollectionTarget:
        from understudy.adapters.s3 import BucketTarget

        bucket, prefix = _parts(place)
        return BucketTarget(bucket, prefix, self.access.endpoint, self.access.access_key, self.access.secret_key, self.region)


def _parts(url: str) -> tuple[str, str]:
    """Bucket and prefix."""
    address = urlsplit(url)
    return address.netloc, address.path.strip("/")
