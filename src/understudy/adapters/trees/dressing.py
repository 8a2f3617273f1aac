"""Putting attributes back, as far as whoever runs this may, and saying what is missing."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

from understudy.adapters.trees.attributes import Attributes, Owner

_NOT_TAKEN = {
    errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EINVAL, errno.ENOSPC, errno.E2BIG, errno.ERANGE, errno.EOVERFLOW,
}  # fmt: skip
"""How file systems and kernels decline an attribute. ENOSPC: it does not fit beside those that the file has."""
_COARSEST_STAMPS_NS = 2 * 10**9
"""Of FAT: what differs by less was only rounded."""
_ACCESS_LISTS = frozenset({"system.posix_acl_access", "system.posix_acl_default"})


def dress(where: int | str, attributes: Attributes, owner: Owner, *, at_least: int = 0) -> Iterator[str]:
    """Yields what could not be put back, in words. Consume it whole.

    The order matters: a change of owner takes setuid bits and capabilities away, a mode may forbid extended attributes, access
    lists change the mode.

    Args:
        where: An open handle, or a path whose last name is a symbolic link, which is not followed.
        at_least: Bits of the mode that are left on for the time being.
    """
    owner_missing, group_missing = _give(where, owner.uid, owner.gid)
    if owner_missing or group_missing:
        yield f"owner {attributes.user or attributes.uid}:{attributes.group or attributes.gid}"
    lists = {name: value for name, value in attributes.extended.items() if name in _ACCESS_LISTS}
    yield from _extend(where, {name: value for name, value in attributes.extended.items() if name not in lists})
    if isinstance(where, int) and attributes.mode is not None:
        _remove_inherited(where, lists)
        mode = attributes.mode
        if owner_missing or owner.another_user:
            mode &= ~stat.S_ISUID  # it would lend the rights of whoever restores, or of a stranger
        if (group_missing or owner.another_group) and not stat.S_ISDIR(os.fstat(where).st_mode):
            mode &= ~stat.S_ISGID
        os.fchmod(where, mode | at_least)
        if mode != attributes.mode:
            yield f"mode {attributes.mode:04o}, which goes with the owner"
    yield from _extend(where, lists)
    if attributes.mtime_ns is not None:
        yield from _set_time(where, attributes.mtime_ns)


def _set_time(where: int | str, mtime_ns: int) -> Iterator[str]:
    """A file system takes what it has room for: some decline the other times, some take the nearest one without a word."""
    try:
        os.utime(where, ns=(mtime_ns, mtime_ns), follow_symlinks=isinstance(where, int))
        kept_ns = (os.fstat(where) if isinstance(where, int) else os.lstat(where)).st_mtime_ns
    except OverflowError:
        yield "time of change (no system has room for it)"
    except OSError as error:
        if error.errno not in _NOT_TAKEN:
            raise
        yield f"time of change ({error.strerror})"
    else:
        if abs(kept_ns - mtime_ns) >= _COARSEST_STAMPS_NS:
            yield "time of change (this file system has no room for it)"


def _give(where: int | str, uid: int, gid: int) -> tuple[bool, bool]:
    """Whether the owner, and whether the group, is another one afterwards."""
    found = os.fstat(where) if isinstance(where, int) else os.lstat(where)
    uid_wanted, gid_wanted = uid not in (-1, found.st_uid), gid not in (-1, found.st_gid)
    return uid_wanted and not _chown(where, uid, -1), gid_wanted and not _chown(where, -1, gid)


def _chown(where: int | str, uid: int, gid: int) -> bool:
    try:
        os.chown(where, uid, gid) if isinstance(where, int) else os.lchown(where, uid, gid)
    except OSError as error:
        if error.errno not in _NOT_TAKEN:
            raise
        return False
    return True


def _extend(where: int | str, extended: dict[str, bytes]) -> Iterator[str]:
    for name, value in extended.items():
        try:
            os.setxattr(where, name, value, follow_symlinks=isinstance(where, int))
        except OSError as error:
            if error.errno not in _NOT_TAKEN:
                raise
            if not _has(where, name, value):  # the mode that it has already may forbid to write it once more
                yield f"attribute {name} ({error.strerror})"


def _has(where: int | str, name: str, value: bytes) -> bool:
    try:
        return os.getxattr(where, name, follow_symlinks=isinstance(where, int)) == value
    except OSError:
        return False


def _remove_inherited(where: int, wanted: dict[str, bytes]) -> None:
    """Access lists that a directory above hands down to everything new in it."""
    try:
        inherited = (_ACCESS_LISTS & {*os.listxattr(where)}) - wanted.keys()
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        return
    for name in inherited:
        os.removexattr(where, name)
