"""What the operating system's errors mean for a directory that is read, and for one that is written."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from understudy.ports.collection import printable
from understudy.ports.places import MARKER_NAME
from understudy.vocabulary.errors import GiveUp, TryAgain, UnderstudyError
from understudy.vocabulary.identifiers import RunId

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_PASSING = {
    errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH,
    errno.ECONNRESET, errno.EAGAIN, errno.EINTR, errno.EMFILE, errno.ENFILE, errno.ENOMEM,
}  # fmt: skip
"""Of network file systems, and of a host that is short of something for the moment."""
_ANOTHER_KIND = {errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENOTEMPTY, errno.EEXIST}


@contextmanager
def source_faults(root: Path, doing: str) -> Iterator[None]:
    """Turn an ``OSError`` within into the errors of ``Collection``."""
    try:
        yield
    except OSError as error:
        raise _source_fault(root, doing, error) from error


@contextmanager
def writing_faults(root: Path, doing: str) -> Iterator[None]:
    """Turn an ``OSError`` within into the errors of ``CollectionTarget``."""
    try:
        yield
    except OSError as error:
        raise _writing_fault(root, doing, error) from error


def _source_fault(root: Path, doing: str, error: OSError) -> UnderstudyError:
    found = printable(f"{doing}: {error.strerror or error}")
    if error.errno in _DENIED:
        return GiveUp(
            "source_denied",
            found=found,
            expected=f"the right to read everything below {root} that is not excluded",
            hint=f"run this as a user that may read it (now uid {os.geteuid()}), or leave it out: exclude in the stack file",
        )
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return GiveUp(
            "source_missing",
            found=found,
            expected=f"a directory at {root}",
            hint=f"is the path in the stack file right, and its disk mounted? See: findmnt -T {root}",
        )
    if error.errno in _PASSING:
        return TryAgain(
            "source_unreachable",
            found=found,
            expected=f"that {root} can be read",
            hint=f"is its server up, and the host not short of memory or files? See: findmnt -T {root}; dmesg",
        )
    return GiveUp(
        "source_unreadable",
        found=found,
        expected="that its bytes can be read",
        hint=f"look whether the disk below {root} is failing (dmesg); leave out what cannot be saved: exclude in the stack file",
    )


def _writing_fault(root: Path, doing: str, error: OSError) -> UnderstudyError:
    found = printable(f"{doing}: {error.strerror or error}")
    if error.errno in _FULL:
        return GiveUp(
            "target_full",
            found=found,
            expected="room for everything that is restored",
            hint=f"free space on the file system of {root}, or restore to a larger one; then start again",
        )
    if error.errno in _DENIED:
        return GiveUp(
            "target_denied",
            found=found,
            expected=f"the right to write below {root}",
            hint=f"run this as root, or as the user that owns {root} (now uid {os.geteuid()}), or mount it writable",
        )
    if error.errno in _PASSING:
        return TryAgain(
            "target_unreachable",
            found=found,
            expected=f"that {root} can be written to",
            hint=f"is its server up, and the host not short of memory or files? See: findmnt -T {root}; dmesg",
        )
    if error.errno in _ANOTHER_KIND:
        return GiveUp(
            "target_unexpected",
            found=f"{found}: something of another kind, or a symbolic link, is in the way",
            expected="what this restore made itself",
            hint="somebody changed the directory while it was being restored, or the snapshot was made to lead out of it: "
            "restore again into an empty directory, and look at what the snapshot lists there",
        )
    return GiveUp(
        "target_unwritable",
        found=found,
        expected="a directory that takes what is written",
        hint=f"look at the disk below {root} (dmesg); a name that is too long, or not allowed there, needs another file system",
    )


def require_proc() -> None:
    """Attributes of what is not opened are reached through it: without, every name would look as if it had vanished."""
    if not Path("/proc/self/fd").is_dir():
        raise GiveUp(
            "source_unreadable",
            found="/proc is not mounted",
            expected="/proc/self/fd, through which extended attributes are read",
            hint="mount it: mount -t proc proc /proc",
        )


def is_gone(key: str) -> GiveUp:
    return GiveUp(
        "entry_gone",
        found=f"{key!r} is not there",
        expected="what was listed there",
        hint="somebody removed it meanwhile; what is there now is found by listing again",
    )


def is_being_restored(root: Path, run: RunId | None) -> GiveUp:
    """``run``: None or empty where the mark cannot be read."""
    return GiveUp(
        "source_being_restored",
        found=f"{root} bears the mark of run {run or '(unreadable)'}, which restores into it, or began to and was interrupted",
        expected="a directory that is whole",
        hint=f"what became of that run: understudy show {run}; go on with it: understudy resume {run}; or end it, which removes "
        f"what it made: understudy cancel {run}"
        if run
        else f"look at who put a mark into {root} ({MARKER_NAME}); once what lies there is whole, remove the mark",
    )


def is_replaced(root: Path) -> GiveUp:
    return GiveUp(
        "source_replaced",
        found=f"{root} is another directory than when it was listed: a link was switched, it was renamed, or a disk went away",
        expected="one and the same directory from the beginning of a backup to its end",
        hint=f"nothing of this backup counts. Look at what lies there now (findmnt -T {root}), then take another one; for one "
        "that is switched often, name the directory above it in the stack file, or take backups at another time",
    )


def is_refused(root: Path, key: str, why: str) -> GiveUp:
    return GiveUp(
        "entry_refused",
        found=f"{key!r}: {why}",
        expected=f"a name that stays within {root}, with attributes that a file can have",
        hint="no directory that was read has such an entry: it was kept from something else (restore it to what it came from), "
        "or somebody made the snapshot up (look at who may write to the repository)",
    )
