"""What ``understudy check`` finds of a store's locks and versions. Pure: what the store says in, findings out."""

from __future__ import annotations

from collections.abc import Iterator

from understudy.judge.preflight import Finding, Grade
from understudy.ports.object_store import StoreAbilities
from understudy.vocabulary.locking import LockRule

_DAY_SECONDS = 24 * 3600


def judge_locks(subject: str, url: str, declared: LockRule | None, abilities: StoreAbilities | None) -> Iterator[Finding]:
    """
    Args:
        declared: What the stack file says of this repository; None: nothing.
        abilities: None where nothing may be written for a try.
    """
    if url.startswith("file:"):
        yield Finding(subject, "lock", Grade.OK, "this store cannot lock: who may write to it may remove what is in it")
    if url.startswith("file:") or abilities is None:
        return
    yield _undeclared(subject, abilities) if declared is None else _declared(subject, declared, abilities)
    if declared is not None and abilities.hidden:
        yield Finding(
            subject, "hidden", Grade.WARNING,
            f"{abilities.hidden} objects, or more, were removed by somebody else than Understudy: they are hidden, and their "
            "versions are there still", "that nobody else removes anything from a repository",
            "find out who did it, and take those keys away; then remove the markers that hide them: docs/locks.md says how",
        )  # fmt: skip
    if abilities.versions and not abilities.removes_versions:
        yield Finding(
            subject, "removal", Grade.WARNING, "what understudy expire removes is only hidden: its versions stay, and take room",
            "that they are removed at some time",
            "grant s3:ListBucketVersions and s3:DeleteObjectVersion; or give the bucket a lifecycle rule that removes versions "
            "which are no longer current",
        )  # fmt: skip


def told(rule: LockRule) -> str:
    seconds = rule.period.total_seconds()
    days = seconds / _DAY_SECONDS
    return f"{days:g} days ({rule.mode})" if days >= 1 else f"{seconds / 3600:g} hours ({rule.mode})"


def _declared(subject: str, declared: LockRule, abilities: StoreAbilities) -> Finding:
    if not abilities.object_lock:
        lacking = "object lock" if abilities.versions else "object lock and versions"
        return Finding(
            subject, "lock", Grade.FAILURE, f"the stack file says lock, and the bucket has no {lacking}",
            "a bucket with object lock, or the right s3:GetBucketObjectLockConfiguration to see that it has",
            "object lock is switched on when a bucket is made: make another one with it, and name it in the stack file; or take "
            "lock out of the repository's section",
        )  # fmt: skip
    default = f"; the bucket itself locks what is new for {told(abilities.default_lock)}" if abilities.default_lock else ""
    return Finding(subject, "lock", Grade.OK, f"everything is locked for at least {told(declared)} from its last use{default}")


def _undeclared(subject: str, abilities: StoreAbilities) -> Finding:
    if abilities.default_lock is None:
        has = "has object lock, which nothing here uses" if abilities.object_lock else "has no object lock"
        return Finding(subject, "lock", Grade.OK, f"nothing is locked: the bucket {has}")
    return Finding(
        subject, "lock", Grade.WARNING,
        f"the bucket itself locks what is new for {told(abilities.default_lock)}, and nothing is locked anew when used again",
        "locks that last: what later backups and snapshots share with earlier ones loses its lock while it is needed",
        "give the repository a lock in the stack file, with a period as long as the bucket's or longer",
    )  # fmt: skip
