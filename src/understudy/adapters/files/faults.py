"""What the operating system's errors mean for a store in a directory."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from understudy.vocabulary.errors import GiveUp, TryAgain, UnderstudyError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
NOT_TO_BE_WRITTEN = _FULL | _DENIED


@contextmanager
def as_store_faults(root: Path, doing: str) -> Iterator[None]:
    """Turn an ``OSError`` within into the port's errors."""
    try:
        yield
    except OSError as error:
        raise _store_fault(root, doing, error) from error


def _store_fault(root: Path, doing: str, error: OSError) -> UnderstudyError:
    found = f"{doing}: {error.strerror or error}"
    if error.errno in _FULL:
        return GiveUp(
            "store_full",
            found=f"{found}; {_free_bytes(root)} bytes are free below {root}",
            expected="room for the object",
            hint=f"make room on the disk that holds {root} (understudy expire removes backups that are due), then try again",
        )
    if error.errno in _DENIED:
        return GiveUp(
            "store_denied",
            found=found,
            expected=f"the right to read and write below {root}",
            hint=f"chown -R the directory {root} to the user that runs understudy (now uid {os.geteuid()}), or mount it writable",
        )
    return unreachable(root, found)


def unreachable(root: Path, found: str) -> TryAgain:
    return TryAgain(
        "store_unreachable",
        found=found,
        expected=f"a store's directory at {root}",
        hint=f"is the disk mounted? see: findmnt -T {root}",
    )


def _free_bytes(root: Path) -> int:
    try:
        found = os.statvfs(root)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize


def unreadable(root: Path, found: str) -> GiveUp:
    """Of one object, while the disk does what else it is asked for: trying again for hours would not help."""
    return GiveUp(
        "object_unreadable",
        found=found,
        expected="its bytes, as the disk took them",
        hint=f"the disk below {root} is failing (see dmesg): this copy is damaged, use another repository, or an older backup, "
        "and replace the disk",
    )
