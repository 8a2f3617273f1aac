"""Reaching names below an opened directory, one component after another: paths may be longer than the kernel takes at once, and
a symbolic link on the way ends it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from understudy.ports.places import is_marker

ROOT_KEY = "."
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TO_PASS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MODE_WHILE_WRITTEN = 0o700
NOT_THERE = (FileNotFoundError, NotADirectoryError)


def components(key: str) -> tuple[str, ...]:
    """The names that a key leads through; none for the directory itself.

    Raises:
        ValueError: it leads out of the directory, or to the mark of a run.
    """
    if key == ROOT_KEY:
        return ()
    names = tuple(key.split("/"))
    if any(name in ("", ".", "..") or "\0" in name for name in names) or is_marker(names[0]):
        raise ValueError(f"no name within a directory: {key!r}")
    return names


def open_root(root: Path) -> int:
    """The directory that an operator named; there a link is followed."""
    return os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def open_directory(above: int, name: str) -> int:
    """
    Raises:
        NotADirectoryError: a symbolic link, too.
    """
    return os.open(name, _DIRECTORY, dir_fd=above)


@contextmanager
def standing_in(root: int, names: Sequence[str], *, make: bool = False) -> Iterator[int]:
    """A handle on the directory that the names lead to, to reach what is in it by name: good for ``dir_fd``, not for listing.

    Args:
        make: Directories that are missing are made, closed to others.
    Raises:
        FileNotFoundError, NotADirectoryError: it is not there, or a symbolic link is in the way.
    """
    here = os.open(".", _TO_PASS, dir_fd=root)
    try:
        for name in names:
            below = _made(here, name) if make else os.open(name, _TO_PASS, dir_fd=here)
            os.close(here)
            here = below
        yield here
    finally:
        os.close(here)


def _made(here: int, name: str) -> int:
    try:
        return os.open(name, _TO_PASS, dir_fd=here)
    except FileNotFoundError:
        with suppress(FileExistsError):  # another thread made it
            os.mkdir(name, _MODE_WHILE_WRITTEN, dir_fd=here)
        return os.open(name, _TO_PASS, dir_fd=here)


def path_through(handle: int, name: str) -> str:
    """For the calls that take no ``dir_fd``: the directory is the one that is open, whatever became of its path."""
    return f"/proc/self/fd/{handle}/{name}"


def open_file(above: int, name: str) -> int:
    """For reading, without waiting for the other end of a pipe that took its place, and without a trace where that is allowed.

    Raises:
        NotADirectoryError: a symbolic link took its place.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        try:
            return os.open(name, flags | os.O_NOATIME, dir_fd=above)
        except PermissionError:  # only the owner may leave the access time as it is
            return os.open(name, flags, dir_fd=above)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link; a socket, or a pipe that nobody reads
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name) from error
        raise


def change_mode(above: int, name: str, mode: int) -> None:
    """Of a file or directory that is closed to us as it is, too; never of what a symbolic link leads to."""
    handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    try:
        if stat.S_ISLNK(os.fstat(handle).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name)
        Path(f"/proc/self/fd/{handle}").chmod(mode)
    finally:
        os.close(handle)
