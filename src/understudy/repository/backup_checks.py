"""Reading a stored backup back, part by part, without writing anything. Faults are values: one does not hide the next.

That every byte is as it was stored is no proof that the database comes up: only a restore proves that (``understudy drill``).
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

import google_crc32c

from understudy.ports.object_store import ObjectStore
from understudy.repository.at_once import parts_read, processors
from understudy.repository.layout import SUMS_NAME, backup_prefix
from understudy.repository.manifests import BackupManifest, PartEntry, sums_text
from understudy.repository.sealing import close, part_corrupt, read_sealed
from understudy.repository.server_manifest import ManifestFile, manifest_path
from understudy.repository.tar_stream import MemberKind, read_members
from understudy.repository.unpacking import SealedBackup
from understudy.vocabulary.errors import Cancelled, GiveUp, UnderstudyError

_LARGEST_SUMS_BYTES = 64 * 1024 * 1024

T = TypeVar("T")

FilesFound = dict[str, ManifestFile]
Passed = Callable[[int], None]
"""Told how many bytes came since the last call, plain ones where parts are opened, else sealed ones; from several threads."""


@dataclass(frozen=True, slots=True)
class ObjectFault:
    """What is wrong with one stored object."""

    key: str
    code: str
    found: str
    expected: str
    hint: str

    @classmethod
    def of(cls, key: str, error: UnderstudyError) -> ObjectFault:
        return cls(key, error.code, error.found, error.expected, error.hint)


@dataclass(frozen=True, slots=True)
class CheckedObjects:
    """What was read of one backup."""

    objects: int
    sealed_bytes: int
    files: int | None
    """Whose CRC32C was compared with the server's manifest; None where nothing was opened."""
    faults: tuple[ObjectFault, ...]


def check_backup(
    store: ObjectStore, backup: BackupManifest, passed: Passed, opened: SealedBackup | None = None
) -> CheckedObjects:
    """Every object that the signed manifest names, several at a time, in bounded memory.

    Args:
        opened: With it each part is also opened, and every file in it compared with the server's own manifest.
    """
    return _BackupCheck(store, backup, passed, opened).carry_out()


class _BackupCheck:
    """One call of ``check_backup``: what its threads share."""

    def __init__(self, store: ObjectStore, backup: BackupManifest, passed: Passed, opened: SealedBackup | None) -> None:
        self._store = store
        self._backup = backup
        self._prefix = backup_prefix(backup.resource, backup.system_identifier, backup.label)
        self._passed = passed
        self._opened = opened
        self._stopping = threading.Event()

    def carry_out(self) -> CheckedObjects:
        sums = check_sums(self._store, self._prefix + SUMS_NAME, sums_text(self._backup.entries))
        faults = [sums] if sums else []
        files: list[FilesFound] = []
        objects = sealed_bytes = 0
        with ThreadPoolExecutor(parts_read(processors()), thread_name_prefix="check") as threads:
            pending = {threads.submit(self._check_entry, entry): entry for entry in self._backup.entries}
            try:
                for future in as_completed(pending):
                    entry = pending[future]
                    fault = fault_of(future, self._prefix + entry.name)
                    if fault is not None:
                        faults.append(fault)
                        continue
                    objects += 1
                    sealed_bytes += entry.sealed_bytes
                    if (found := future.result()) is not None:
                        files.append(found)
            finally:
                # Leaving early (Ctrl-C): objects not begun are dropped, those under way end at their next piece.
                self._stopping.set()
                for future in pending:
                    future.cancel()
        whole = not faults and self._opened is not None
        if whole:
            faults += self._compare(files)
        return CheckedObjects(
            objects=objects,
            sealed_bytes=sealed_bytes,
            files=sum(map(len, files)) if self._opened is not None else None,
            faults=tuple(sorted(faults, key=lambda fault: fault.key)),
        )

    def _check_entry(self, entry: PartEntry) -> FilesFound | None:
        key = self._prefix + entry.name
        if self._opened is None or entry.name == self._backup.backup_manifest.name:
            # The server's manifest was opened already, to have something to compare with.
            self._digest(key, entry)
            return None
        return self._read_part(self._opened, entry)

    def _digest(self, key: str, entry: PartEntry) -> None:
        digest = hashlib.sha256()
        for chunk in self._counted(self._store.read(key)):
            digest.update(chunk)
        if not hmac.compare_digest(digest.hexdigest(), entry.sealed_sha256):
            raise part_corrupt(key, f"SHA-256 {digest.hexdigest()}", entry.sealed_sha256)

    def _read_part(self, opened: SealedBackup, entry: PartEntry) -> FilesFound:
        found: FilesFound = {}
        chunks = read_sealed(self._store, opened.sealer, self._prefix + entry.name, opened.identity, entry.sealed_sha256)
        with closing(self._counted(chunks)) as plain:
            for member, content in read_members(plain):
                if member.kind is not MemberKind.FILE:
                    continue
                path = manifest_path(entry.tablespace_oid, member.path)
                crc32c = 0
                for piece in content:
                    crc32c = google_crc32c.extend(crc32c, piece)
                if path in found:
                    raise _incomplete(f"{entry.name} holds {path!r} twice", "each file once")
                found[path] = ManifestFile(member.size_bytes, crc32c)
        if len(found) != entry.files:
            raise _incomplete(f"{entry.name} holds {len(found)} files", f"{entry.files}")
        return found

    def _compare(self, parts: Sequence[FilesFound]) -> Iterator[ObjectFault]:
        assert self._opened is not None  # noqa: S101 - for the type checker: asked before
        merged: FilesFound = {}
        for part in parts:
            merged |= part
        try:
            if len(merged) != sum(map(len, parts)):
                raise _incomplete("a file came in two parts", "each file in one part")
            self._opened.manifest.compare(merged)
        except GiveUp as error:
            yield ObjectFault.of(self._prefix, error)

    def _counted(self, chunks: Iterator[bytes]) -> Generator[bytes]:
        try:
            for chunk in chunks:
                if self._stopping.is_set():
                    raise Cancelled("the check was stopped")
                self._passed(len(chunk))
                yield chunk
        finally:
            close(chunks)


def check_sums(store: ObjectStore, key: str, expected: bytes) -> ObjectFault | None:
    """``SHA256SUMS`` is what a person without this product goes by; it must say what the signed manifest says."""
    try:
        found = _read_small(store, key)
    except UnderstudyError as error:
        return ObjectFault.of(key, error)
    if hmac.compare_digest(found, expected):
        return None
    return ObjectFault(
        key,
        "sums_differ",
        f"{SUMS_NAME} does not say what the signed manifest says",
        f"SHA-256 {hashlib.sha256(expected).hexdigest()}",
        "it was changed or damaged in the store: use another repository's copy",
    )


def fault_of(future: Future[T], key: str) -> ObjectFault | None:
    """What came of the check of one object."""
    try:
        future.result()
    except UnderstudyError as error:
        if error.code != "object_missing":
            return ObjectFault.of(key, error)
        expected = "every part that the signed manifest names"
        return ObjectFault(key, "part_missing", f"{key} is not in the repository", expected, "use another repository, or backup")
    return None


def _read_small(store: ObjectStore, key: str) -> bytes:
    content = bytearray()
    chunks = store.read(key)
    try:
        for chunk in chunks:
            content += chunk
            if len(content) > _LARGEST_SUMS_BYTES:
                raise _incomplete(f"{key} is larger than {_LARGEST_SUMS_BYTES} bytes", "a list of digests")
    finally:
        close(chunks)
    return bytes(content)


def _incomplete(found: str, expected: str) -> GiveUp:
    return GiveUp("part_incomplete", found=found, expected=expected, hint="use another repository, or another backup")
