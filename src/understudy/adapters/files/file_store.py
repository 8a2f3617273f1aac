"""``ObjectStore`` over a directory: a key is a path below it."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from understudy.adapters.files.faults import NOT_TO_BE_WRITTEN, as_store_faults, unreachable, unreadable
from understudy.adapters.files.incoming import IncomingFile, flush_directory, sweep
from understudy.adapters.files.renaming import name_if_free
from understudy.ports.object_store import StoreAbilities, StoredObject, Written, is_key, key_taken, require_key
from understudy.vocabulary.errors import GiveUp, TryAgain

INCOMING = ".incoming"
_PIECE_BYTES = 1024 * 1024
_READ_TRIES = 3


class FileStore:
    """A directory that ``create`` has prepared.

    The preparation leaves a sub-directory for files on their way in. Where it is missing, the disk is not mounted, and nothing
    is written into the empty mount point.
    """

    def __init__(self, root: Path) -> None:
        """The directory is looked at on first use, not now."""
        self._root = root.absolute()
        self._incoming = self._root / INCOMING
        self._sweeping = threading.Lock()
        self._swept = False

    @classmethod
    def create(cls, root: Path) -> FileStore:
        """Make the directory (mode 0700) and prepare it; nothing changes when that was done before.

        Raises:
            GiveUp: ``store_denied``, ``store_full``.
        """
        store = cls(root)
        with as_store_faults(store._root, f"making {store._root}"):
            store._make_directories(store._root, mode=0o700)
            store._make_directories(store._incoming, mode=0o700)
        return store

    @classmethod
    def was_made(cls, root: Path) -> bool:
        """Whether ``create`` prepared the directory, as far as one may look; an unmounted disk looks as if it never was."""
        return os.path.lexists(root.absolute() / INCOMING)

    @property
    def url(self) -> str:
        return self._root.as_uri()

    tells_rivals_apart = True
    lock_rule = None
    """A directory cannot lock: who may write to it may remove what is in it."""

    def put(self, key: str, chunks: Iterable[bytes]) -> Written:
        path = self._path(key)
        self._require_prepared()
        self._sweep_once()
        with self._faults(f"looking at {key}"):
            if path.exists():
                flush_directory(path.parent)  # who stored it may have died, or failed, before that
                raise key_taken(f"{key} is there already")
        digest, size_bytes = hashlib.sha256(), 0
        with self._faults(f"writing {key}"):
            incoming = IncomingFile(self._incoming)
        try:
            for chunk in chunks:
                digest.update(chunk)
                size_bytes += len(chunk)
                with self._faults(f"writing {key} ({size_bytes} bytes so far)"):
                    incoming.write(chunk)
            with self._faults(f"writing {key} ({size_bytes} bytes)"):
                os.fsync(incoming.descriptor)
                self._publish(incoming.path, path, key)
        finally:
            incoming.discard()
        return Written(key, size_bytes, digest.hexdigest())

    def read(self, key: str, offset: int = 0) -> Iterator[bytes]:
        path = self._path(key)
        descriptor = self._open(path, key)
        try:
            with self._faults(f"reading {key}"):
                announced = os.fstat(descriptor).st_size
            position = offset
            if offset > announced:
                raise GiveUp("object_changed", found=f"{key} has {announced} bytes", expected=f"more than {offset}",
                             hint="it is not the object that was read before; start again from its beginning")  # fmt: skip
            while position < announced:
                piece = self._piece(descriptor, key, position, min(_PIECE_BYTES, announced - position))
                if not piece:
                    raise TryAgain("store_unreachable", found=f"{key} ended at {position}", expected=f"{announced} bytes",
                                   hint=f"look whether its disk is failing: dmesg, and findmnt -T {self._root}")  # fmt: skip
                position += len(piece)
                yield piece
        finally:
            os.close(descriptor)

    def head(self, key: str) -> StoredObject | None:
        path = self._path(key)
        self._require_prepared()
        with self._faults(f"looking at {key}"):
            try:
                found = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
        return StoredObject(key, found.st_size) if stat.S_ISREG(found.st_mode) else None

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        self._require_prepared()
        folder, _, _ = prefix.rpartition("/")
        yield from self._walk(folder + "/" if folder else "", prefix)

    def folders(self, prefix: str) -> Iterator[str]:
        self._require_prepared()
        for name, _ in self._entries(prefix):
            below = f"{prefix}{name}"
            if name.endswith("/") and is_key(below[:-1]) and next(self._walk(below, below), None) is not None:
                yield name[:-1]

    def delete(self, key: str) -> None:
        path = self._path(key)
        self._require_prepared()
        with self._faults(f"removing {key}"):
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                return
            flush_directory(path.parent)
            with suppress(OSError):  # not empty: there the tidying ends
                for folder in path.parents:
                    if folder == self._root:
                        break
                    folder.rmdir()

    def lock_of(self, key: str) -> None:
        require_key(key)

    def renew_lock(self, key: str) -> None:
        require_key(key)

    def probe(self) -> StoreAbilities:
        key = f".probe/{secrets.token_hex(8)}"
        self.put(key, [b"0123456789"])
        try:
            ranges = b"".join(self.read(key, 4)) == b"456789"
            try:
                self.put(key, [b"again"])
                refused = False
            except GiveUp as error:
                refused = error.code == "object_exists"
        finally:
            self.delete(key)
        return StoreAbilities(conditional_put=refused, range_reads=ranges, versions=False, object_lock=False)

    def _faults(self, doing: str) -> AbstractContextManager[None]:
        return as_store_faults(self._root, doing)

    def _path(self, key: str) -> Path:
        require_key(key)
        if key == INCOMING or key.startswith(INCOMING + "/"):
            raise ValueError(f"not a key: {key!r}; what is on its way in lies there")
        return self._root / key

    def _require_prepared(self) -> None:
        with self._faults(f"looking at {self._root}"):
            prepared = self._incoming.is_dir()
        if not prepared:
            raise unreachable(self._root, f"{self._root} holds no store")

    def _sweep_once(self) -> None:
        with self._sweeping:
            if not self._swept:
                with self._faults(f"tidying {self._incoming}"):
                    sweep(self._incoming)
                self._swept = True

    def _make_directories(self, directory: Path, mode: int = 0o777) -> None:
        """Like ``mkdir -p``, each new name flushed to the disk."""
        if directory.is_dir():
            return
        self._make_directories(directory.parent, mode)
        with suppress(FileExistsError):
            directory.mkdir(mode)
            self._flush_or_undo(directory.parent, directory.rmdir)

    def _publish(self, incoming: Path, path: Path, key: str) -> None:
        """Give the file its own name, which is refused where that is taken; an ordinary rename would replace."""
        while True:
            self._require_prepared()  # gone since the writing began: no folder is made in an empty mount point
            self._make_directories(path.parent, mode=0o700)
            try:
                name_if_free(incoming, path)
                break
            except FileExistsError:
                raise key_taken(f"{key} is there already") from None
            except FileNotFoundError:
                if not incoming.exists():
                    raise
                # A delete tidied the empty folder away between the two calls: make it again.
        self._flush_or_undo(path.parent, path.unlink)

    def _flush_or_undo(self, folder: Path, undo: Callable[[], None]) -> None:
        """What could not be flushed must not be found by the next try, which would take it for safe."""
        try:
            flush_directory(folder)
        except OSError:
            with suppress(OSError):
                undo()
            raise

    def _open(self, path: Path, key: str) -> int:
        self._require_prepared()
        with self._faults(f"reading {key}"):
            try:
                return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except (FileNotFoundError, NotADirectoryError):
                raise GiveUp("object_missing", found=f"nothing under {key}", expected=f"an object in {self.url}",
                             hint="somebody removed it: understudy verify says what else is lost; another repository may hold it "
                             "(--repository)") from None  # fmt: skip

    def _piece(self, descriptor: int, key: str, position: int, size_bytes: int) -> bytes:
        """A sector that cannot be read is this object's damage; a disk that does nothing any more is a fault that may pass."""
        for tries_left in reversed(range(_READ_TRIES)):
            try:
                return os.pread(descriptor, size_bytes, position)
            except OSError as error:
                doing = f"reading {key} at {position}"
                if error.errno == errno.EIO and not tries_left and self._works():
                    raise unreadable(self._root, f"{doing}: {error.strerror}") from error
                if error.errno != errno.EIO or not tries_left:
                    with self._faults(doing):
                        raise
        raise AssertionError("the last try returns or raises")

    def _works(self) -> bool:
        """Whether the disk takes something; where it may not be written to, whether it answers. A look alone is often cached."""
        try:
            probe = IncomingFile(self._incoming)
            try:
                probe.write(b"?")
                os.fsync(probe.descriptor)
            finally:
                probe.discard()
        except OSError as error:
            return error.errno in NOT_TO_BE_WRITTEN and self._incoming.is_dir()
        return True

    def _entries(self, folder: str) -> Sequence[tuple[str, os.DirEntry[str]]]:
        """What lies directly in a folder, directories with a slash behind their name: so they sort as their keys do."""
        with self._faults(f"listing {folder or self._root}"):
            try:
                found = [*os.scandir(self._root / folder)]
            except (FileNotFoundError, NotADirectoryError):
                return []
        named = [(entry.name + "/" if entry.is_dir(follow_symlinks=False) else entry.name, entry) for entry in found]
        return sorted((each for each in named if folder or each[1].name != INCOMING), key=lambda each: each[0])

    def _walk(self, folder: str, prefix: str) -> Iterator[StoredObject]:
        for name, entry in self._entries(folder):
            key = folder + name
            if not is_key(key.removesuffix("/")) or not (key.startswith(prefix) or prefix.startswith(key)):
                continue
            if name.endswith("/"):
                yield from self._walk(key, prefix)
            elif key.startswith(prefix):
                with self._faults(f"listing {key}"):
                    try:
                        found = entry.stat()
                    except FileNotFoundError:  # removed since it was listed
                        continue
                yield StoredObject(key, found.st_size)
