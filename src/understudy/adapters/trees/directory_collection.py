"""``Collection`` over a directory."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from understudy.adapters.places.markers import read_marker
from understudy.adapters.trees.attributes import Accounts, attributes_of
from understudy.adapters.trees.descent import (
    NOT_THERE,
    ROOT_KEY,
    components,
    open_directory,
    open_file,
    open_root,
    path_through,
    standing_in,
)
from understudy.adapters.trees.exclusion import Exclusion
from understudy.adapters.trees.faults import is_being_restored, is_gone, is_replaced, require_proc, source_faults
from understudy.adapters.trees.stamps import bears, fingerprint_of, is_unsettled, stamping_now_ns
from understudy.ports.collection import Entry, EntryKind, FirstHundred
from understudy.ports.places import MARKER_NAME, is_marker
from understudy.repository.restore_target import sync_file_system
from understudy.vocabulary.errors import TryAgain
from understudy.vocabulary.identifiers import RunId

_PIECE_BYTES = 1024 * 1024
_Inode: TypeAlias = tuple[int, int]
_Linked: TypeAlias = tuple[str, str, int]
"""Key and fingerprint of the name that was met first, and how many names are still to be met. No more of it: where the others are
outside, it is held until the listing ends.
"""
_LEFT_OUT = {
    stat.S_IFSOCK: "a socket",
    stat.S_IFIFO: "a pipe",
    stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a character device",
}


class DirectoryCollection:
    """What lies in a directory. Only ``root`` itself may be a symbolic link; below it none is followed."""

    def __init__(self, root: Path, exclude: Sequence[str] = (), *, one_file_system: bool = False) -> None:
        """The directory is looked at on first use, not now.

        Args:
            root: Absolute.
            exclude: Patterns as of ``Exclusion``. What is in a directory that is excluded is not looked at.
            one_file_system: Directories that another one is mounted on are kept without what is in them.
        Raises:
            Refusal: ``exclude_invalid``.
        """
        if not root.is_absolute():
            raise ValueError(f"not an absolute path: {root}")
        self._root = root
        self._one_file_system = one_file_system
        self._exclusion = Exclusion(exclude)
        self._accounts = Accounts()
        self._passed_over = FirstHundred()
        self._listed_root: _Inode | None = None
        """What the path led to when it was last listed. It may lead elsewhere at any moment: to another release, or to the bare
        mount point of a disk that went away."""
        self._written_out_ns: dict[int, int] = {}
        """Of each device that is met, since when every store into mapped memory leaves a stamp."""

    @property
    def url(self) -> str:
        return self._root.as_uri()

    def entries(self, known: Callable[[str], Entry | None] | None = None) -> Iterator[Entry]:
        """Hard links are found while all their names are met: one that is outside, or excluded, is nobody's first.

        Raises:
            GiveUp: ``source_being_restored``, ``source_replaced``, besides those of every collection.
        """
        require_proc()
        self._passed_over = FirstHundred()
        with source_faults(self._root, f"opening {self._root}"):
            root = open_root(self._root)
        try:
            with source_faults(self._root, f"looking at {self._root}"):
                found = os.fstat(root)
                self._written_out_ns = {}
                self._listed_root = (found.st_dev, found.st_ino)
                _require_no_mark(self._root, root)
                yield Entry(ROOT_KEY, EntryKind.DIRECTORY, attributes=attributes_of(found, root, self._accounts).to_json())
            linked: dict[_Inode, _Linked] = {}
            pending = [""]
            while pending:
                yield from self._entries_of(root, found.st_dev, pending.pop(), pending, linked)
            self._require_listed_root()
        finally:
            os.close(root)

    def passed_over(self) -> tuple[str, ...]:
        return self._passed_over.told()

    def look(self, key: str) -> Entry | None:
        """A hard link is told as the file that it is."""
        require_proc()
        names = components(key)
        with source_faults(self._root, f"looking at {key}"):
            root = self._opened_root()
            try:
                if not names:
                    attributes = attributes_of(os.fstat(root), root, self._accounts)
                    return Entry(ROOT_KEY, EntryKind.DIRECTORY, attributes=attributes.to_json())
                with standing_in(root, names[:-1]) as above:
                    return self._seen(above, names[-1], key)[1]
            except NOT_THERE:
                self._require_listed_root()
                return None
            finally:
                os.close(root)

    def read(self, entry: Entry) -> Iterator[bytes]:
        doing = f"reading {entry.key}"
        with source_faults(self._root, doing):
            handle = self._opened(entry)
        try:
            taken_bytes = 0
            while True:
                with source_faults(self._root, doing):
                    piece = os.read(handle, _PIECE_BYTES)
                if not piece:
                    break
                taken_bytes += len(piece)
                yield piece
            with source_faults(self._root, doing):
                _require_same(entry, os.fstat(handle))
            if taken_bytes != entry.size_bytes:
                raise _is_changed(entry, f"{taken_bytes} bytes")
        finally:
            os.close(handle)

    def _opened(self, entry: Entry) -> int:
        names = components(entry.key)
        root = self._opened_root()
        try:
            with standing_in(root, names[:-1]) as above:
                handle = open_file(above, names[-1])
        except FileNotFoundError:
            self._require_listed_root()
            raise is_gone(entry.key) from None
        except NotADirectoryError as error:
            raise _is_changed(entry, "no regular file any more") from error
        finally:
            os.close(root)
        try:
            if is_unsettled(entry.fingerprint):
                with suppress(OSError):  # whatever it is, reading meets it, too
                    os.fdatasync(handle)  # from here on a store into mapped memory leaves a stamp
            _require_same(entry, os.fstat(handle))
        except BaseException:
            os.close(handle)
            raise
        return handle

    def _opened_root(self) -> int:
        """
        Raises:
            GiveUp: ``source_replaced``.
        """
        root = open_root(self._root)
        try:
            found = os.fstat(root)
            if self._listed_root not in (None, (found.st_dev, found.st_ino)):
                raise is_replaced(self._root)
        except BaseException:
            os.close(root)
            raise
        return root

    def _require_listed_root(self) -> None:
        """What is missing may be so because the directory is another one since it was opened: nothing was removed."""
        with source_faults(self._root, f"looking at {self._root} again"):
            os.close(self._opened_root())

    def _entries_of(
        self, root: int, device: int, folder: str, pending: list[str], linked: dict[_Inode, _Linked]
    ) -> Iterator[Entry]:
        """What lies directly in a folder; its directories go to ``pending``."""
        doing = f"listing {folder or self._root}"
        with source_faults(self._root, doing):
            try:
                with standing_in(root, components(folder or ROOT_KEY)) as here:
                    handle = open_directory(here, ".")
            except NOT_THERE:
                return
        try:
            with source_faults(self._root, doing):
                self._write_out(handle)
            with os.scandir(handle) as names:
                while True:
                    with source_faults(self._root, doing):
                        each = next(names, None)
                        if each is None:
                            return
                        entry = self._listed(handle, f"{folder}/{each.name}" if folder else each.name, each, device, linked)
                    if entry is None:
                        continue
                    if entry.kind is EntryKind.DIRECTORY and not self._is_mounted_there(handle, each.name, device):
                        pending.append(entry.key)
                    yield entry
        finally:
            os.close(handle)

    def _write_out(self, handle: int) -> None:
        """What cannot be written out is read anew each time."""
        device = os.fstat(handle).st_dev
        if device not in self._written_out_ns:
            before_ns = stamping_now_ns()
            try:
                sync_file_system(Path(path_through(handle, ".")))
            except OSError:
                before_ns = 0
            self._written_out_ns[device] = before_ns

    def _fingerprint(self, found: os.stat_result) -> str:
        return fingerprint_of(found, self._written_out_ns.get(found.st_dev, 0) if self._written_out_ns else None)

    def _listed(self, above: int, key: str, each: os.DirEntry[str], device: int, linked: dict[_Inode, _Linked]) -> Entry | None:
        if key == each.name and is_marker(key):
            return None
        if self._exclusion.leaves_out(key, directory=each.is_dir(follow_symlinks=False)):
            return None
        with source_faults(self._root, f"looking at {key}"), suppress(*NOT_THERE):  # removed since it was listed
            found, entry = self._seen(above, each.name, key)
            if self._one_file_system and found.st_dev != device and not stat.S_ISDIR(found.st_mode):
                self._passed_over.add(f"{key}: on another file system")
            elif entry is None:
                self._passed_over.add(f"{key}: {_LEFT_OUT[stat.S_IFMT(found.st_mode)]}")
            else:
                return _first_or_link(entry, found, linked)
        return None

    def _is_mounted_there(self, above: int, name: str, device: int) -> bool:
        if not self._one_file_system:
            return False
        try:
            return os.stat(name, dir_fd=above, follow_symlinks=False).st_dev != device
        except NOT_THERE:
            return False

    def _seen(self, above: int, name: str, key: str) -> tuple[os.stat_result, Entry | None]:
        """None for what cannot be kept."""
        found = os.stat(name, dir_fd=above, follow_symlinks=False)
        if stat.S_IFMT(found.st_mode) in _LEFT_OUT:
            return found, None
        link = ""
        if stat.S_ISLNK(found.st_mode):
            try:
                link = os.readlink(name, dir_fd=above)
            except OSError as error:
                if error.errno == errno.EINVAL:  # a file took its place between the two calls
                    return self._seen(above, name, key)
                raise
        attributes = attributes_of(found, path_through(above, name), self._accounts).to_json()
        if stat.S_ISREG(found.st_mode):
            return found, Entry(key, EntryKind.FILE, found.st_size, self._fingerprint(found), attributes=attributes)
        kind = EntryKind.DIRECTORY if stat.S_ISDIR(found.st_mode) else EntryKind.SYMLINK
        return found, Entry(key, kind, link=link, attributes=attributes)


def _require_no_mark(path: Path, root: int) -> None:
    """Half of what is being restored would look like a directory from which the other half was removed."""
    try:
        mark = os.stat(MARKER_NAME, dir_fd=root, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISREG(mark.st_mode):
        run: RunId | None = None
        with suppress(PermissionError):
            run = read_marker(Path(path_through(root, ".")))
        raise is_being_restored(path, run)


def _first_or_link(entry: Entry, found: os.stat_result, linked: dict[_Inode, _Linked]) -> Entry:
    """The first name that is met is the file, the others are links to it. It is forgotten with the last of them."""
    if entry.kind is not EntryKind.FILE or found.st_nlink < 2:
        return entry
    inode = (found.st_dev, found.st_ino)
    if inode not in linked:
        linked[inode] = (entry.key, entry.fingerprint, found.st_nlink - 1)
        return entry
    key, fingerprint, left = linked.pop(inode)
    if left > 1:
        linked[inode] = (key, fingerprint, left - 1)
    told = fingerprint if bears(fingerprint, found) else entry.fingerprint
    return Entry(entry.key, EntryKind.HARD_LINK, fingerprint=told, link=key, attributes=entry.attributes)


def _require_same(entry: Entry, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _is_changed(entry, "no regular file any more")
    if not bears(entry.fingerprint, found):
        raise _is_changed(entry, f"{found.st_size} bytes, and other stamps")


def _is_changed(entry: Entry, found: str) -> TryAgain:
    return TryAgain(
        "entry_changed",
        found=f"{entry.key!r}: {found}",
        expected=f"what was listed: {entry.size_bytes} bytes, unchanged until they are read",
        hint="somebody writes to it: it is looked at and read again; leave out what never rests (exclude in the stack file), and "
        "keep a dump of it instead",
    )
