"""``CollectionTarget`` over a directory."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from understudy.adapters.places import LocalPlaces
from understudy.adapters.places.markers import read_marker
from understudy.adapters.trees.attributes import Accounts, Attributes, numbers_of
from understudy.adapters.trees.descent import (
    NOT_THERE,
    ROOT_KEY,
    change_mode,
    components,
    open_directory,
    open_file,
    open_root,
    path_through,
    standing_in,
)
from understudy.adapters.trees.dressing import dress
from understudy.adapters.trees.faults import is_gone, is_refused, require_proc, writing_faults
from understudy.adapters.trees.sparse_writing import SparseFile
from understudy.ports.collection import Entry, EntryKind, FirstHundred
from understudy.ports.places import UNFINISHED_MARKER_PREFIX
from understudy.repository.restore_target import sync_file_system
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import RunId

_PIECE_BYTES = 1024 * 1024
_WHILE_WRITTEN = 0o700
_TO_READ_BACK = stat.S_IRUSR
_NO_LINKS_HERE = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}
"""As FAT, SMB and most FUSE file systems answer to a hard link; or the file has as many names as it can have."""


class DirectoryTarget:
    """A directory of which this run claims everything. Until ``finish`` nobody else may enter it.

    What is on its way in lies directly in it, under names of the run's mark, which ``finish`` takes away with it.
    """

    def __init__(self, root: Path, *, numeric_owner: bool = False) -> None:
        """Nothing is made now.

        Args:
            root: Absolute.
            numeric_owner: Owners and groups by number, and not by the name that they had.
        """
        self._root = root
        self._owner = numbers_of if numeric_owner else Accounts().here
        self._fell_short = FirstHundred()

    @property
    def url(self) -> str:
        return self._root.as_uri()

    def claim(self, run: RunId) -> None:
        require_proc()
        LocalPlaces().claim(str(self._root), run)
        if os.geteuid() == 0:
            self._take_over()
        with writing_faults(self._root, f"tidying {self._root}"):
            for each in self._root.iterdir():
                if each.name.startswith(UNFINISHED_MARKER_PREFIX):  # of an attempt that was killed
                    each.unlink(missing_ok=True)

    def _take_over(self) -> None:
        """Whoever it belongs to could open it to everybody, or move what lies in it, while it is restored."""
        with self._at_root(f"claiming {self._root}") as root:
            with suppress(PermissionError):  # not everything that is mounted has owners
                os.fchown(root, os.geteuid(), os.getegid())
            os.fchmod(root, _WHILE_WRITTEN)  # its owner may have opened it again just before

    def takes(self, entry: Entry) -> bool:
        return True

    def write(self, entry: Entry, content: Iterable[bytes]) -> None:
        names, attributes = self._understood(entry)
        with self._at_root(f"writing {entry.key}") as root:
            if not names:
                return  # its attributes come last
            if entry.kind is EntryKind.DIRECTORY:
                with standing_in(root, names, make=True):
                    return
            with standing_in(root, names[:-1], make=True) as above:
                if entry.kind is EntryKind.FILE:
                    self._write_file(root, above, names[-1], entry.key, attributes, content)
                elif entry.kind is EntryKind.SYMLINK:
                    self._write_symlink(root, above, names[-1], entry, attributes)
                else:
                    self._write_hard_link(root, above, names[-1], entry, attributes)

    def read_back(self, entry: Entry) -> Iterator[bytes]:
        names, _ = self._understood(entry)
        doing = f"reading back {entry.key}"
        with self._at_root(doing) as root:
            handle = self._opened(root, names, entry.key)
        try:
            while True:
                with writing_faults(self._root, doing):
                    piece = os.read(handle, _PIECE_BYTES)
                if not piece:
                    return
                yield piece
        finally:
            os.close(handle)

    def flush(self) -> None:
        with writing_faults(self._root, f"bringing {self._root} to its disk"):
            sync_file_system(self._root)

    def finish(self, entries: Iterable[Entry], run: RunId) -> None:
        """Modes that would keep us out of a directory, or of a file, come after everything that lies there has its own."""
        require_proc()
        with writing_faults(self._root, f"finishing {self._root}"):
            if not os.access(self._root, os.R_OK | os.X_OK):  # closed to us by a finish that was killed at its very end
                self._root.chmod(_WHILE_WRITTEN)
            if (bears := read_marker(self._root)) not in (None, run):
                raise self._is_anothers(bears)
        top = Attributes()
        closing: list[tuple[str, int]] = []
        with self._at_root(f"finishing {self._root}") as root:
            for entry in entries:
                names, attributes = self._understood(entry)
                if not names:
                    top = attributes
                    continue
                if entry.kind is EntryKind.DIRECTORY:
                    self._dress_directory(root, names, entry.key, attributes)
                if entry.kind in (EntryKind.DIRECTORY, EntryKind.FILE) and attributes.mode is not None:
                    needed = _WHILE_WRITTEN if entry.kind is EntryKind.DIRECTORY else _TO_READ_BACK
                    if attributes.mode & needed != needed:
                        closing.append((entry.key, attributes.mode))
            for key, mode in sorted(closing, key=lambda each: each[0].count("/"), reverse=True):
                self._close(root, key, mode)
        self.flush()
        LocalPlaces().release(str(self._root), run)
        with self._at_root(f"finishing {self._root}") as root:
            self._dress(root, top, ROOT_KEY)
            os.fsync(root)

    def abandon(self, run: RunId, ours: Callable[[str], bool]) -> tuple[str, ...] | None:
        """The directory goes, too, unless it stood there before, empty: then it stays as it was."""
        if read_marker(self._root) != run:
            return None
        LocalPlaces().give_back(str(self._root), run)
        return ()

    def fell_short(self) -> tuple[str, ...]:
        return self._fell_short.told()

    @contextmanager
    def _at_root(self, doing: str) -> Iterator[int]:
        with writing_faults(self._root, doing):
            root = open_root(self._root)
            try:
                yield root
            finally:
                os.close(root)

    def _understood(self, entry: Entry) -> tuple[tuple[str, ...], Attributes]:
        try:
            return components(entry.key), Attributes.from_json(entry.attributes)
        except ValueError as error:
            raise is_refused(self._root, entry.key, str(error)) from error

    def _write_file(self, root: int, above: int, name: str, key: str, attributes: Attributes, content: Iterable[bytes]) -> None:
        aside = _name_aside()
        handle = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=root)
        try:
            file = SparseFile(handle, holes=attributes.sparse)
            for piece in content:
                file.write(piece)
            file.end()
            self._dress(handle, attributes, key, at_least=_TO_READ_BACK)
            os.rename(aside, name, src_dir_fd=root, dst_dir_fd=above)
        except BaseException:
            with suppress(OSError):  # the first error is the one to tell
                os.unlink(aside, dir_fd=root)
            raise
        finally:
            os.close(handle)

    def _write_symlink(self, root: int, above: int, name: str, entry: Entry, attributes: Attributes) -> None:
        aside = _name_aside()
        os.symlink(entry.link, aside, dir_fd=root)
        self._dress(path_through(root, aside), attributes, entry.key)
        os.rename(aside, name, src_dir_fd=root, dst_dir_fd=above)

    def _write_hard_link(self, root: int, above: int, name: str, entry: Entry, attributes: Attributes) -> None:
        try:
            target = components(entry.link)
        except ValueError as error:
            raise is_refused(self._root, entry.key, f"a further name of {error}") from error
        aside = _name_aside()
        handle = self._opened(root, target, entry.link)
        try:
            with standing_in(root, target[:-1]) as there:
                os.link(target[-1], aside, src_dir_fd=there, dst_dir_fd=root, follow_symlinks=False)
            os.rename(aside, name, src_dir_fd=root, dst_dir_fd=above)
            with suppress(FileNotFoundError):
                os.unlink(aside, dir_fd=root)  # a rename onto another name of the same file does nothing at all
        except OSError as error:
            if error.errno not in _NO_LINKS_HERE:
                raise
            self._fell_short.add(f"{entry.key}: a copy, and not a further name of {entry.link} ({error.strerror})")
            self._write_file(root, above, name, entry.key, attributes, iter(lambda: os.read(handle, _PIECE_BYTES), b""))
        finally:
            os.close(handle)

    def _opened(self, root: int, names: tuple[str, ...], key: str) -> int:
        """The content that lies there; never of anything but a regular file within."""
        try:
            with standing_in(root, names[:-1]) as above:
                handle = open_file(above, names[-1] if names else ROOT_KEY)
        except NOT_THERE:
            raise is_gone(key) from None
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return handle
        os.close(handle)
        raise is_gone(key)

    def _dress_directory(self, root: int, names: tuple[str, ...], key: str, attributes: Attributes) -> None:
        handle = self._entered(root, names)
        try:
            self._dress(handle, attributes, key, at_least=_WHILE_WRITTEN)
        finally:
            os.close(handle)

    def _entered(self, root: int, names: tuple[str, ...]) -> int:
        """A directory of ours, also where a ``finish`` that was killed closed it, or one above, to us already."""
        here = os.dup(root)
        for name in names:
            try:
                try:
                    below = open_directory(here, name)
                except PermissionError:
                    change_mode(here, name, _WHILE_WRITTEN)
                    below = open_directory(here, name)
            finally:
                os.close(here)
            here = below
        return here

    def _close(self, root: int, key: str, mode: int) -> None:
        names = components(key)
        above = self._entered(root, names[:-1])
        try:
            change_mode(above, names[-1], mode)
        finally:
            os.close(above)

    def _dress(self, where: int | str, attributes: Attributes, key: str, at_least: int = 0) -> None:
        for missing in dress(where, attributes, self._owner(attributes), at_least=at_least):
            self._fell_short.add(f"{key}: {missing}")

    def _is_anothers(self, bears: RunId | None) -> Refusal:
        return Refusal(
            "target_not_empty",
            found=f"{self._root} bears the mark of run {bears or '(unreadable)'}",
            expected="this run's own mark",
            hint=f"what became of that run: understudy show {bears}" if bears else f"look at who put a mark into {self._root}",
        )


def _name_aside() -> str:
    return f"{UNFINISHED_MARKER_PREFIX}{secrets.token_hex(8)}"
