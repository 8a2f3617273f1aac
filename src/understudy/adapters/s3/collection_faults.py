"""What a store's faults mean for a bucket that is protected, and for one that is restored into."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from understudy.ports.collection import printable
from understudy.vocabulary.errors import GiveUp, Refusal, TryAgain, UnderstudyError


@contextmanager
def source_faults(url: str, key: str = "") -> Iterator[None]:
    """Turn the faults of requests within into the errors of ``Collection``."""
    try:
        yield
    except Refusal:
        raise
    except UnderstudyError as error:
        raise _source_fault(url, key, error) from error


@contextmanager
def target_faults(url: str, key: str = "") -> Iterator[None]:
    """Turn the faults of requests within into the errors of ``CollectionTarget``."""
    try:
        yield
    except Refusal:
        raise
    except UnderstudyError as error:
        raise target_fault(url, key, error) from error


def _source_fault(url: str, key: str, error: UnderstudyError) -> UnderstudyError:
    from understudy.adapters.s3.faults import is_archived, is_behind_the_end

    if error.code in ("object_changed", "object_exists") or is_behind_the_end(error):
        return TryAgain(
            "entry_changed",
            found=printable(f"{key!r}: {error.found}"),
            expected=error.expected,
            hint="somebody replaced it: it is looked at and read again",
        )
    if error.code == "object_missing":
        return is_gone(key, url)
    if is_archived(error):
        return GiveUp(
            "source_unreadable",
            found=printable(error.found),
            expected="an object that can be read at once",
            hint="it lies in an archive tier: restore it there first, or leave it out (exclude in the stack file)",
        )
    if error.code == "store_denied":
        return GiveUp(
            "source_denied",
            found=printable(error.found),
            expected="the rights s3:ListBucket, s3:GetObject and s3:GetObjectTagging",
            hint="check the resource's access_key and secret_key in the stack file, this machine's clock, and that user's policy",
        )
    if error.code == "bucket_missing":
        return GiveUp(
            "source_missing",
            found=printable(error.found),
            expected=f"the bucket of {url}",
            hint="is its name in the stack file right?",
        )
    if isinstance(error, TryAgain):
        return TryAgain(
            "source_unreachable",
            found=printable(error.found),
            expected=f"an answer from {url}",
            hint="is the resource's endpoint in the stack file right, and the network up? Then try again; serve does by itself",
            after=error.after,
        )
    return _as_it_is_or("source_unreadable", url, error)


def target_fault(url: str, key: str, error: UnderstudyError) -> UnderstudyError:
    if error.code == "object_missing":
        return is_gone(key, url)
    if error.code == "store_full":
        return GiveUp(
            "target_full",
            found=printable(error.found),
            expected="room for everything that is restored",
            hint="raise the bucket's quota or make room, then start again",
        )
    if error.code == "store_denied":
        return GiveUp(
            "target_denied",
            found=printable(error.found),
            expected="the rights s3:ListBucket, s3:GetObject, s3:PutObject, s3:PutObjectTagging and s3:DeleteObject",
            hint="check the keys that the restore was given, this machine's clock, and the policy of that user",
        )
    if isinstance(error, TryAgain):
        return TryAgain(
            "target_unreachable",
            found=printable(error.found),
            expected=f"an answer from {url}",
            hint="is the endpoint right, and the network up? Then try again",
            after=error.after,
        )
    return _as_it_is_or("target_unwritable", url, error)


def _as_it_is_or(code: str, url: str, error: UnderstudyError) -> UnderstudyError:
    if error.code == "s3_support_missing":
        return error
    if error.code == "bucket_missing":
        hint = "Understudy makes no buckets: create it, then start again"
    else:
        hint = "the store declined: what it says above tells why; a key, or a request, that it does not know needs another store"
    return GiveUp(code, found=printable(error.found), expected=error.expected or f"that {url} honours the request", hint=hint)


def is_gone(key: str, url: str) -> GiveUp:
    return GiveUp(
        "entry_gone",
        found=f"{key!r} is not there",
        expected=f"an object in {url}",
        hint="somebody removed it meanwhile; what is there now is found by listing again",
    )
