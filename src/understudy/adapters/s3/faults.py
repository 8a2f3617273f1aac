"""What a store's answers, and silence, mean."""

from __future__ import annotations

from datetime import timedelta

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from understudy.ports.object_store import key_taken
from understudy.vocabulary.errors import GiveUp, TryAgain, UnderstudyError

_FULL = {"InsufficientStorage", "XMinioStorageFull", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded", "StorageFull"}
_TOO_LARGE = {"EntityTooLarge", "MaxPartsExceeded"}
_MISSING = {"NoSuchKey", "NoSuchVersion", "404", "NotFound"}
_TAKEN = {"PreconditionFailed", "ConditionalRequestConflict"}
_PASSING = {"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "OperationAborted", "BadDigest", "InternalError"}
_CLOCK_WRONG = {"RequestTimeTooSkewed", "RequestExpired"}


def fault_of(error: ClientError | BotoCoreError | OSError, doing: str, url: str) -> UnderstudyError:
    """The port's error for what boto3 raised."""
    if isinstance(error, ClientError):
        return _answered(error, doing, url)
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return _denied(f"{doing}: {error}")
    if isinstance(error, ParamValidationError):
        return GiveUp("store_refused", found=f"{doing}: {error}", expected="a request that S3 knows",
                      hint="check the repository's address in the stack file: s3://bucket/prefix")  # fmt: skip
    return unreachable(f"{doing}: {error}", url)


def is_not_implemented(error: GiveUp) -> bool:
    """Whether the store answered that it does not know what was asked of it."""
    cause = error.__cause__
    return isinstance(cause, ClientError) and _status_of(cause) == 501


def is_no_answer_of_s3(error: TryAgain) -> bool:
    """Whether what came was no document of S3's at all, as from a store that takes the request for another."""
    cause = error.__cause__
    return isinstance(cause, ClientError) and str(cause.response.get("Error", {}).get("Code", "")).isdigit()


def is_without_lock(error: GiveUp) -> bool:
    """Whether the store answered that the object is under no lock, or that it knows of none."""
    cause = error.__cause__
    return isinstance(cause, ClientError) and (
        _status_of(cause) in {400, 404, 405, 501} and error.code in {"store_refused", "lock_refused", "object_missing"}
    )


def is_behind_the_end(error: UnderstudyError) -> bool:
    """Whether a range was asked for that the object does not have (any more)."""
    cause = error.__cause__
    return isinstance(cause, ClientError) and _status_of(cause) == 416


def is_archived(error: UnderstudyError) -> bool:
    cause = error.__cause__
    return isinstance(cause, ClientError) and cause.response.get("Error", {}).get("Code") == "InvalidObjectState"


def tags_unknown(found: str) -> GiveUp:
    return GiveUp("tags_unknown", found=found, expected="a store that keeps tags", hint="do without them, or use another store")


def unreachable(found: str, url: str, after: timedelta = timedelta(seconds=1)) -> TryAgain:
    return TryAgain(
        "store_unreachable",
        found=found,
        expected=f"an answer from {url}",
        hint="is the endpoint in the stack file right, and the network up? Then try again; serve does by itself",
        after=after,
    )


def _answered(error: ClientError, doing: str, url: str) -> UnderstudyError:
    details = error.response.get("Error", {})
    code = str(details.get("Code", ""))
    status = _status_of(error)
    found = f"{doing}: {status} {code} {details.get('Message', '')}".strip()
    if code == "NoSuchBucket":
        return bucket_missing(found, url)
    if code in _FULL or status == 507:
        return GiveUp("store_full", found=found, expected="room for the object",
                      hint="raise the bucket's quota or make room (understudy expire), then try again")  # fmt: skip
    if code in _TOO_LARGE or status == 413:
        return GiveUp("store_full", found=found, expected="that the store takes objects of this size",
                      hint="use smaller parts: backup: part_size in the stack file")  # fmt: skip
    if code in _MISSING:
        return GiveUp("object_missing", found=found, expected=f"an object in {url}", hint="see what is there: understudy backups")
    if code in _TAKEN or status == 412:
        return key_taken(found)
    if code in _CLOCK_WRONG:
        return GiveUp("store_denied", found=found, expected="a clock that agrees with the store's",
                      hint="set this machine's clock: timedatectl status")  # fmt: skip
    if status in {408, 429} or (status >= 500 and status != 501) or code in _PASSING:
        return unreachable(found, url)
    if status in {401, 403}:
        return _denied(found)
    if "object lock" in found.lower() or "objectlock" in found.lower():
        return lock_refused(found)
    return GiveUp("store_refused", found=found, expected="that the store honours the request",
                  hint="what this store honours is shown by: understudy check")  # fmt: skip


def _status_of(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def bucket_missing(found: str, url: str) -> GiveUp:
    return GiveUp(
        "bucket_missing",
        found=found,
        expected=f"the bucket of {url}",
        hint="is its name in the stack file right? Understudy makes no buckets: create it, then try again",
    )


def lock_refused(found: str) -> GiveUp:
    return GiveUp(
        "lock_refused",
        found=found,
        expected="a bucket with object lock, because the stack file says lock for this repository",
        hint="object lock is switched on when a bucket is made: give the repository a bucket that has it, or take its lock out "
        "of the stack file. What this store honours is shown by: understudy check",
    )


def lock_ignored(key: str, found: str, expected: str) -> GiveUp:
    return GiveUp(
        "lock_ignored",
        found=f"{key}: {found}, although the store was asked to lock it",
        expected=expected,
        hint="it is stored, and not protected from removal. Use a bucket that has object lock, and grant the rights "
        "s3:GetBucketObjectLockConfiguration, s3:GetObjectRetention and s3:PutObjectRetention; or take lock out of the "
        "repository's section in the stack file, so that nobody counts on it",
    )


def _denied(found: str) -> GiveUp:
    return GiveUp(
        "store_denied",
        found=found,
        expected="the rights s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket; with lock in the stack file also "
        "s3:GetObjectRetention and s3:PutObjectRetention; where the bucket keeps versions also s3:ListBucketVersions and "
        "s3:DeleteObjectVersion",
        hint="check access_key and secret_key of the repository in the stack file, and the policy of that user; without "
        "s3:ListBucket a missing object, too, reads as denied",
    )
