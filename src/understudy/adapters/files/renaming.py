"""Giving a file another name only where that name is free, on file systems without hard links too."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

from understudy.vocabulary.errors import GiveUp

_NO_LINKS_HERE = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
"""As exFAT, SMB and most FUSE file systems answer to a hard link."""
_UNKNOWN_HERE = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
_AT_WORKING_DIRECTORY = -100
_NO_REPLACE = 1


def name_if_free(file: Path, name: Path) -> None:
    """By a link, which leaves the file its old name, too; else by a rename that replaces nothing.

    Raises:
        FileExistsError: the name is taken. OSError: whatever else the operating system says.
        GiveUp: ``store_without_links``: this file system knows neither.
    """
    try:
        os.link(file, name, follow_symlinks=False)
    except OSError as refused:
        if refused.errno not in _NO_LINKS_HERE:
            raise
        try:
            _rename_without_replacing(file, name)
        except OSError as error:
            if error.errno in _UNKNOWN_HERE:
                raise _without_links(name, refused) from error
            raise


def _rename_without_replacing(file: Path, name: Path) -> None:
    """``renameat2(2)``, which Python does not offer."""
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "renameat2"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), str(name))
    if library.renameat2(_AT_WORKING_DIRECTORY, os.fsencode(file), _AT_WORKING_DIRECTORY, os.fsencode(name), _NO_REPLACE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(name))  # of the class that fits the number


def _without_links(name: Path, refused: OSError) -> GiveUp:
    return GiveUp(
        "store_without_links",
        found=f"{name}: its file system makes no hard links ({refused.strerror}), and cannot rename without replacing",
        expected="either of them: without, what comes second would replace what is there",
        hint="keep the repository on a file system such as ext4, XFS or NFS, or let rclone serve s3 stand before this one",
    )
