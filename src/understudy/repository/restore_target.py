"""Where a backup is unpacked to: a data directory and its tablespaces, written to by path as the server's manifest names them.

Every write stays inside the target: paths come checked from ``tar_stream``, no symbolic link but those that this module made for
tablespaces is ever followed. Modes are 0700 and 0600, the owner is the one given.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from understudy.vocabulary.errors import GiveUp, Refusal

_DIRECTORY_MODE = 0o700
_FILE_MODE = 0o600
_LINKS = "pg_tblspc"
_FROZEN_MODE = 0o500
_CONTENTS = "PG_*"
"""Every tablespace has one such directory, named after the server's version, from when it is made until it is dropped."""
_SYNC_FILE_RANGE_WRITE = 2


@dataclass(frozen=True)
class RestoreTarget:
    """An existing, claimed data directory, and for each tablespace's oid an existing, claimed directory of its own."""

    directory: Path
    tablespaces: Mapping[int, Path] = field(default_factory=dict)
    owner: tuple[int, int] | None = None
    """User id and group id; None: whoever runs this."""
    _made: set[str] = field(default_factory=set, init=False, repr=False, compare=False)
    _making: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def tablespace(self, oid: int) -> Path:
        """Raises Refusal ``tablespace_unmapped``."""
        mapped = self.tablespaces.get(oid)
        if mapped is None:
            raise Refusal(
                "tablespace_unmapped",
                found=f"the backup holds the tablespace {oid}, and nothing says where it goes here",
                expected="a directory for each tablespace; the source's own path is never reused",
                hint=f"name an empty directory for it: --tablespace {oid}=/path, or {oid}: /path under recover: tablespaces",
            )
        return mapped

    def locate(self, path: str) -> Path:
        """Where a path of the manifest lies here; tablespaces are reached directly, not through their links."""
        return Path(self._place(path))

    def _place(self, path: str) -> str:
        """The same as text, which costs a tenth: it is asked for each of a hundred thousand files."""
        if path.startswith("pg_tblspc/"):
            _, oid, *below = path.split("/", 2)
            if oid.isdigit() and int(oid) in self.tablespaces:
                return os.path.join(self.tablespaces[int(oid)], *below)  # noqa: PTH118
        return f"{self.directory}/{path}"

    def make_directory(self, path: str) -> None:
        """With its parents. Refuses to go through a symbolic link."""
        if path in self._made or not path:
            return
        self.make_directory(path.rpartition("/")[0])
        with self._making:
            place = self.locate(path)
            try:
                place.mkdir(_DIRECTORY_MODE)
                self._give(place)
            except FileExistsError:
                if not stat.S_ISDIR(place.lstat().st_mode):
                    raise _in_the_way(place, "a directory") from None
            self._made.add(path)

    def link_tablespace(self, oid: int) -> None:
        """``pg_tblspc/<oid>`` pointing at the mapped directory."""
        mapped = self.tablespace(oid)
        self.make_directory("pg_tblspc")
        link = self.directory / "pg_tblspc" / str(oid)
        if link.is_symlink():
            link.unlink()
        link.symlink_to(mapped.absolute())
        self._give(link)

    def freeze_tablespaces(self) -> None:
        """The server can make none from now on: WAL that makes one names the source's path, and would lead the copy there."""
        self.make_directory(_LINKS)
        self._set_mode(_LINKS, _FROZEN_MODE)

    def allow_tablespaces(self) -> None:
        """It can again, while it runs."""
        self.make_directory(_LINKS)
        self._set_mode(_LINKS, _DIRECTORY_MODE)

    def thaw_tablespaces(self) -> None:
        """After replay. The links of those that the WAL dropped meanwhile could not be removed, and are now."""
        self.allow_tablespaces()
        for link in self.locate(_LINKS).iterdir():
            if link.is_symlink() and not any(link.glob(_CONTENTS)):
                link.unlink()

    @contextmanager
    def open_file(self, path: str, *, keep_content: bool = False) -> Iterator[int]:
        """A descriptor to write the file with, made if need be, emptied unless its content is to be kept."""
        self.make_directory(path.rpartition("/")[0])
        place = self._place(path)
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        flags |= 0 if keep_content else os.O_CREAT | os.O_TRUNC
        try:
            descriptor = os.open(place, flags, _FILE_MODE)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EISDIR):
                raise _in_the_way(Path(place), "a file") from error
            raise
        try:
            if self.owner is not None and not (keep_content and _is_of(descriptor, self.owner)):
                os.fchown(descriptor, *self.owner)
            yield descriptor
        except OSError as error:
            error.filename = error.filename or str(place)  # a write itself does not say which file, nor so which disk, it was
            raise
        finally:
            os.close(descriptor)

    def remove_file(self, path: str) -> None:
        self.locate(path).unlink(missing_ok=True)

    def remove_other_directories(self, kept: Collection[str]) -> None:
        """Remove empty directories, and links to tablespaces, that are not among ``kept``. What is not empty stays."""
        mapped = {self.locate(f"pg_tblspc/{oid}"): f"pg_tblspc/{oid}" for oid in self.tablespaces}
        for root, prefix in [(self.directory, ""), *mapped.items()]:
            for where, _, _ in os.walk(root, topdown=False):
                relative = Path(where).relative_to(root).as_posix()
                path = prefix if relative == "." else f"{prefix}/{relative}".removeprefix("/")
                if relative != "." and path not in kept:
                    _remove_if_empty(Path(where))
        for oid in self.tablespaces:
            link = self.directory / "pg_tblspc" / str(oid)
            if f"pg_tblspc/{oid}" not in kept and link.is_symlink():
                link.unlink()

    def sync(self) -> None:
        """Bring everything written so far to the disks: one call for each file system, however many files there are."""
        seen: set[int] = set()
        for place in (self.directory, *self.tablespaces.values()):
            device = place.stat().st_dev
            if device not in seen:
                seen.add(device)
                sync_file_system(place)

    def _set_mode(self, path: str, mode: int) -> None:
        descriptor = os.open(self.locate(path), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)

    def _give(self, place: Path) -> None:
        if self.owner is not None:
            os.chown(place, *self.owner, follow_symlinks=False)


@contextmanager
def target_faults() -> Iterator[None]:
    """Raises ``target_full`` or ``target_unwritable`` for what the operating system says of the target."""
    try:
        yield
    except OSError as error:
        raise _target_fault(error) from error


def write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def begin_writing_out(descriptor: int) -> None:
    """Have the kernel begin to write the file to its disk, and wait for nothing: ``sync`` then finds less to do.

    Advice only, by ``sync_file_range(2)``, which Python does not offer. What it leaves undone ``sync`` does, and tells of faults.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "sync_file_range"):
        library.sync_file_range(descriptor, ctypes.c_int64(0), ctypes.c_int64(0), _SYNC_FILE_RANGE_WRITE)


def _is_of(descriptor: int, owner: tuple[int, int]) -> bool:
    found = os.fstat(descriptor)
    return (found.st_uid, found.st_gid) == owner


def _remove_if_empty(place: Path) -> None:
    try:
        place.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def sync_file_system(place: Path) -> None:
    """``syncfs(2)``, which Python does not offer; since Linux 5.8 it also reports earlier write errors."""
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if not hasattr(library, "syncfs"):
            os.sync()
        elif library.syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(place))
    finally:
        os.close(descriptor)


def _in_the_way(place: Path, expected: str) -> GiveUp:
    return GiveUp(
        "target_unexpected",
        found=f"{place} is of another kind, or a symbolic link",
        expected=expected,
        hint="somebody changed the directory while it was being restored: restore again into an empty one",
    )


def _target_fault(error: OSError) -> GiveUp:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return GiveUp(
            "target_full",
            found=str(error),
            expected="room for the whole database",
            hint="free space on the target's file system, or restore to a larger one; then start again",
        )
    return GiveUp(
        "target_unwritable",
        found=str(error),
        expected="a directory that can be written to",
        hint="look at the target's permissions and at the kernel's log for disk errors; then start again",
    )
