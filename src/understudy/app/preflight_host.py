"""What is looked at on this host before anything is written to it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from understudy.adapters.postgres.accounts import Account
from understudy.judge.preflight_host import DirectoryFacts

_LOOK_TIMEOUT_SECONDS = 30


def look_at_directory(path: Path) -> DirectoryFacts:
    """A directory, or the nearest one above it."""
    resolved = path.resolve()
    existing = next(each for each in (resolved, *resolved.parents) if os.path.lexists(each))
    usage = os.statvfs(existing)
    return DirectoryFacts(
        path=str(path),
        exists=existing == resolved,
        existing=str(existing),
        writable=os.access(existing, os.W_OK | os.X_OK) and existing.is_dir(),
        free_bytes=usage.f_bavail * usage.f_frsize,
    )


def blocked_at(path: Path, account: Account) -> str | None:
    """The first directory on the way to ``path`` that the account may not enter; None when the way is open.

    It is tried as that account: access lists and mounts can't be read off the permission bits.
    """
    resolved = path.resolve()
    for directory in reversed((resolved, *resolved.parents)):
        if os.path.lexists(directory) and not _may_enter(directory, account):
            return str(directory)
    return None


def _may_enter(directory: Path, account: Account) -> bool:
    if not account.identity:
        return os.access(directory, os.X_OK)
    done = subprocess.run(["test", "-x", str(directory)], check=False, cwd="/", timeout=_LOOK_TIMEOUT_SECONDS, **account.identity)
    return done.returncode == 0
