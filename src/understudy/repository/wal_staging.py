"""The directory in which WAL is laid down for a server, which is that server's user's own, while we may be root.

That user may rename what lies there and plant links in its place. So nothing is reached by its path: everything is reached from
the directory as it was opened, and no link is followed. What is of another kind than it should be is refused.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from understudy.repository.sealing import close
from understudy.vocabulary.errors import GiveUp, Refusal

STAGING_FAULTS = frozenset({"wal_directory_fault", "wal_directory_unexpected"})
"""Codes of what is wrong here, wherever the WAL comes from."""
_READY = "ready"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PLAIN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Without waiting, because a FIFO could have been put in a file's place."""


class LaidDown(Protocol):
    """A file that is whole and that the server is not given yet."""

    def read(self, offset: int, size_bytes: int) -> bytes:
        """Less behind its end. Raises as ``WalStaging.held`` does."""
        ...


@dataclass(frozen=True, slots=True)
class _Unfinished:
    descriptor: int
    directory: Path

    def read(self, offset: int, size_bytes: int) -> bytes:
        try:
            return os.pread(self.descriptor, size_bytes, offset)
        except OSError as error:
            raise place_fault(self.directory, error) from error


class WalStaging:
    """``held`` first; everything else within it."""

    def __init__(self, directory: Path, owner: tuple[int, int]) -> None:
        """``owner``: user and group id of the server that will read here."""
        self._directory = directory
        self._owner = owner
        self._at = self._ready_at = -1

    @contextmanager
    def held(self) -> Iterator[None]:
        """Made where it is not there, tidied, and this process's alone: two would delete each other's segments.

        Raises:
            Refusal: ``wal_directory_busy``.
            GiveUp: ``wal_directory_unexpected``, ``wal_directory_fault``.
        """
        with ExitStack() as undo:
            with self._faults():
                self._directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                above = _closed_by(undo, os.open(self._directory.parent, _DIRECTORY))
                self._at = self._open_folder(undo, self._directory.name, above)
                self._lock(_closed_by(undo, os.open("lock", os.O_RDWR | os.O_CREAT | _PLAIN, 0o600, dir_fd=self._at)))
                self._ready_at = self._open_folder(undo, _READY, self._at)
                for leftover in _names_in(self._ready_at):
                    os.unlink(leftover, dir_fd=self._ready_at)
                for leftover in _names_in(self._at):
                    if leftover.startswith("."):
                        os.unlink(leftover, dir_fd=self._at)
            try:
                yield
            finally:
                self._at = self._ready_at = -1  # these numbers will soon be somebody else's

    @contextmanager
    def fifo(self, name: str) -> Iterator[int]:
        """Both ends, so that it never reads as ended; the kernel closes it with us, however we die. Raises as ``held`` does."""
        with ExitStack() as undo:
            with self._faults():
                with suppress(FileExistsError):
                    os.mkfifo(name, 0o600, dir_fd=self._at)
                descriptor = _closed_by(undo, os.open(name, os.O_RDWR | _PLAIN, dir_fd=self._at))
                if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                    raise self._unexpected(self._directory / name)
                self._give(descriptor)
            yield descriptor

    def write(self, name: str, content: bytes) -> None:
        """Whole or not at all, readable by the server. Raises as ``held`` does."""
        with self._faults():
            self._write(name, content, self._at)

    def read(self, name: str, offset: int = 0) -> bytes | None:
        """From ``offset`` on; None where there is no such file. Raises as ``held`` does."""
        with self._faults():
            try:
                descriptor = os.open(name, os.O_RDONLY | _PLAIN, dir_fd=self._at)
            except FileNotFoundError:
                return None
            with os.fdopen(descriptor, "rb") as file:
                self._require_plain(descriptor, name)
                file.seek(offset)
                return file.read()

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._at)

    @contextmanager
    def laid_down(self, name: str, pieces: Iterable[bytes]) -> Iterator[LaidDown]:
        """Write a file as its pieces come, for ``make_ready``; where that is not called within, it is gone afterwards.

        Raises as ``held`` does, and what ``pieces`` raises.
        """
        unfinished = self._unfinished_name(name)
        with self._unfinished(unfinished) as descriptor:
            try:
                for piece in pieces:
                    with self._faults():
                        _write_all(descriptor, piece)
            finally:
                close(pieces)
            yield _Unfinished(descriptor, self._directory)

    def make_ready(self, name: str) -> None:
        """What this thread has laid down, for the server to fetch. Raises as ``held`` does."""
        with self._faults():
            os.rename(self._unfinished_name(name), name, src_dir_fd=self._at, dst_dir_fd=self._ready_at)

    @contextmanager
    def nameless(self) -> Iterator[int]:
        """A descriptor of an empty file, to write and read, that is gone with it."""
        name = self._unfinished_name("pages")
        with self._unfinished(name) as descriptor:
            self.remove(name)
            yield descriptor

    def is_ready(self, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self._ready_at, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def ready(self) -> Collection[str]:
        return _names_in(self._ready_at)

    def take_away(self, name: str) -> None:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._ready_at)

    def _open_folder(self, undo: ExitStack, name: str, above: int) -> int:
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=above)
        descriptor = _closed_by(undo, os.open(name, _DIRECTORY, dir_fd=above))
        if os.fstat(descriptor).st_uid not in (os.geteuid(), self._owner[0]):
            raise self._unexpected(self._directory)
        self._give(descriptor)
        return descriptor

    def _lock(self, descriptor: int) -> None:
        self._require_plain(descriptor, "lock")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refusal(
                "wal_directory_busy",
                found=f"another process fetches WAL into {self._directory}",
                expected="one at a time",
                hint="wait for the other run of this recovery to end, or cancel it",
            ) from None

    def _require_plain(self, descriptor: int, name: str) -> None:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise self._unexpected(self._directory / name)

    def _write(self, name: str, content: bytes, into: int) -> None:
        unfinished = self._unfinished_name(name)
        with self._unfinished(unfinished) as descriptor:
            _write_all(descriptor, content)
            os.rename(unfinished, name, src_dir_fd=self._at, dst_dir_fd=into)

    def _unfinished_name(self, name: str) -> str:
        return f".{name}.{threading.get_ident()}"

    @contextmanager
    def _unfinished(self, name: str) -> Iterator[int]:
        """A descriptor of a new file that belongs to the server. Under this name, it is gone afterwards."""
        with ExitStack() as undo:
            with self._faults():
                self.remove(name)
                flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _PLAIN
                descriptor = _closed_by(undo, os.open(name, flags, 0o600, dir_fd=self._at))
                undo.callback(self.remove, name)
                os.fchmod(descriptor, 0o600)
                self._give(descriptor)
            yield descriptor

    def _give(self, descriptor: int) -> None:
        if os.geteuid() == 0:
            os.fchown(descriptor, *self._owner)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO):
                raise self._unexpected(self._directory / str(error.filename or "")) from error
            raise place_fault(self._directory, error) from error

    def _unexpected(self, place: Path) -> GiveUp:
        return GiveUp(
            "wal_directory_unexpected",
            found=f"{place} is a symbolic link, of another kind or somebody else's",
            expected="plain files and directories, as Understudy makes them for the server's user",
            hint=f"somebody put it there: see ls -la {self._directory} {self._directory.parent}; move it away, then start again",
        )


def _names_in(directory: int) -> list[str]:
    with os.scandir(directory) as entries:
        return [entry.name for entry in entries]


def place_fault(directory: Path, error: OSError) -> GiveUp:
    return GiveUp(
        "wal_directory_fault",
        found=f"{directory / str(error.filename or '')}: {error.strerror}",
        expected="a directory that can be written to, with room for the WAL that is fetched ahead",
        hint="free space or correct the permissions there, then start again",
    )


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _closed_by(undo: ExitStack, descriptor: int) -> int:
    undo.callback(os.close, descriptor)
    return descriptor
