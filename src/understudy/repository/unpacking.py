"""Unpacking a backup: sealed parts in, a data directory out, several parts at once.

Every file is written to its final place while it streams and checked against the server's manifest as it passes; a part's own
digest is known only at its end. So nothing in the target counts until the whole backup came through, and the caller discards
the directory when it did not.

``tablespace_map`` is checked but not written. It holds the *source's* absolute paths, and a server that finds it replaces the
links in ``pg_tblspc`` by what it says. Without it, and with links made here, the server uses the links: that is how
``pg_basebackup`` leaves a plain copy. ``backup_label`` stays in any case: without it a server starts and is silently corrupt.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass

from understudy.ports.object_store import ObjectStore
from understudy.ports.places import is_marker
from understudy.ports.running import Cancellation, Progress
from understudy.ports.sealer import Sealer
from understudy.repository.at_once import parts_read, processors
from understudy.repository.incremental_files import full_path
from understudy.repository.manifests import PartEntry
from understudy.repository.member_writing import MemberWriter
from understudy.repository.restore_target import RestoreTarget, target_faults
from understudy.repository.sealing import close, read_sealed
from understudy.repository.server_manifest import ServerManifest
from understudy.repository.tar_stream import MemberKind, read_members
from understudy.vocabulary.errors import Cancelled, GiveUp
from understudy.vocabulary.secret import Secret

_LOOK_EVERY_SECONDS = 0.2
_ACTIVITY = "restore"


@dataclass(frozen=True, slots=True)
class PartAhead:
    """A part that somebody reads already; its pieces raise what reading it raises."""

    name: str
    pieces: Iterable[bytes]


@dataclass(frozen=True, slots=True)
class SealedBackup:
    """One backup as it lies in a store, with what opens it."""

    store: ObjectStore
    sealer: Sealer
    identity: Secret
    prefix: str
    """The backup's own place in the store, ending in ``/``."""
    parts: Sequence[PartEntry]
    manifest: ServerManifest
    ahead: PartAhead | None = None

    def read_part(self, part: PartEntry) -> Iterator[bytes]:
        """The part's plain text, as ``read_sealed``; what was read ahead can be had once."""
        if self.ahead is not None and self.ahead.name == part.name:
            return iter(self.ahead.pieces)
        return read_sealed(self.store, self.sealer, self.prefix + part.name, self.identity, part.sealed_sha256)


@dataclass(frozen=True, slots=True)
class UnpackedPart:
    """What a part held. Kept as a receipt, it lets a second attempt skip the part."""

    name: str
    directories: tuple[str, ...]
    """Paths as in the server's manifest; a tablespace's link counts as one."""
    files: frozenset[str]


@dataclass(frozen=True, slots=True)
class UnpackedBackup:
    files: int
    plain_bytes: int
    """Read from parts in this call; skipped ones do not count."""
    skipped_parts: int


def unpack_backup(
    backup: SealedBackup,
    target: RestoreTarget,
    *,
    progress: Progress,
    cancellation: Cancellation,
    parent: ServerManifest | None = None,
    done_parts: Mapping[str, Sequence[str]] | None = None,
    part_done: Callable[[str, Sequence[str]], None] | None = None,
    last_begun: Callable[[], None] | None = None,
    workers: int | None = None,
) -> UnpackedBackup:
    """Unpack every part into the target, which exists and is claimed by the caller.

    For an incremental backup ``parent`` is the manifest of the backup that the target holds, and the target is brought in place
    from that one's state to this one's. Applying it again from the start is the same as once.

    ``part_done`` is called with a part's name and directories when its content is on the disks, from the calling thread; what
    it was called with may be given as ``done_parts`` to a later attempt on the same target, which then skips those parts.
    Without it the disks are waited for only once, at the end.

    ``last_begun`` is called once, from the calling thread, when no part waits for a worker any more; not where none is left.
    ``workers``: how many parts at once; None for what processors and memory allow.

    Raises:
        Refusal: ``tablespace_unmapped``; nothing was touched.
        GiveUp: ``part_missing``, ``part_incomplete``, ``backup_file_missing``, ``backup_file_unexpected``,
            ``backup_file_differs``, ``incremental_parent_missing``, ``incremental_wrong_parent``, ``incremental_corrupt``,
            ``target_full``, ``target_unwritable``, what ``tar_stream``, the sealer and the store raise.
        TryAgain: what the store raises.
        Cancelled: asked for; looked at several times a second.
    """
    done = dict(done_parts or {})
    oids = sorted({part.tablespace_oid for part in backup.parts if part.tablespace_oid is not None})
    for oid in oids:
        target.tablespace(oid)
    restored = _restored_paths(backup.manifest, parent)
    with target_faults():
        if parent is not None:
            for path in _restored_paths(parent, parent) - restored:
                target.remove_file(path)
        for oid in oids:
            target.link_tablespace(oid)
    run = _Unpacking(backup, target, MemberWriter(backup.manifest, parent, target), progress, cancellation, part_done)
    left = [part for part in backup.parts if part.name not in done]
    unpacked = run.carry_out(left, workers or parts_read(processors()), last_begun or _nobody_asked)
    _expect_all_files(backup, unpacked)
    with target_faults():
        if parent is not None:
            kept = {f"pg_tblspc/{oid}" for oid in oids}
            kept.update(*done.values(), *(part.directories for part in unpacked))
            target.remove_other_directories(kept)
        target.sync()
    skipped = len(backup.parts) - len(unpacked)
    return UnpackedBackup(len(backup.manifest.files), run.passed_bytes, skipped)


class _Unpacking:
    """One call of ``unpack_backup``: what its threads share."""

    def __init__(
        self,
        backup: SealedBackup,
        target: RestoreTarget,
        writer: MemberWriter,
        progress: Progress,
        cancellation: Cancellation,
        part_done: Callable[[str, Sequence[str]], None] | None,
    ) -> None:
        self._backup = backup
        self._target = target
        self._writer = writer
        self._progress = progress
        self._cancellation = cancellation
        self._part_done = part_done
        self._stopping = threading.Event()
        self._counting = threading.Lock()
        self.passed_bytes = 0

    def carry_out(self, parts: Sequence[PartEntry], workers: int, last_begun: Callable[[], None]) -> list[UnpackedPart]:
        total_bytes = sum(part.plain_bytes for part in parts)
        unpacked: list[UnpackedPart] = []
        with ThreadPoolExecutor(workers, thread_name_prefix="unpack") as threads:
            pending: set[Future[UnpackedPart]] = {threads.submit(self._unpack_part, part) for part in parts}
            told = False
            try:
                while pending:
                    if not told and len(pending) <= workers:
                        last_begun()
                        told = True
                    ended, pending = wait(pending, timeout=_LOOK_EVERY_SECONDS, return_when=FIRST_COMPLETED)
                    for future in ended:
                        part = future.result()
                        if self._part_done is not None:
                            self._part_done(part.name, part.directories)
                        unpacked.append(part)
                    self._progress.report(_ACTIVITY, self.passed_bytes, total_bytes)
                    self._cancellation.raise_if_requested()
            finally:
                # Leaving early: parts not begun are dropped, those under way end at their next piece.
                self._stopping.set()
                for future in pending:
                    future.cancel()
        return unpacked

    def _unpack_part(self, part: PartEntry) -> UnpackedPart:
        try:
            with target_faults():
                unpacked = self._read_part(part)
                if self._part_done is not None:
                    self._target.sync()
        except GiveUp as error:
            if error.code == "object_missing":
                raise _part_missing(f"{part.name} is not in {self._backup.store.url}") from error
            raise
        return unpacked

    def _read_part(self, part: PartEntry) -> UnpackedPart:
        directories: list[str] = []
        files: set[str] = set()
        chunks = self._backup.read_part(part)
        with closing(self._count(chunks)) as counted:
            for member, content in read_members(counted):
                path = self._writer.write(part.tablespace_oid, member, content)
                if member.kind is not MemberKind.FILE:
                    directories.append(path)
                elif path in files:
                    raise _part_incomplete(f"{part.name} holds {path!r} twice", "each file once")
                else:
                    files.add(path)
        if len(files) != part.files:
            raise _part_incomplete(f"{part.name} holds {len(files)} files", f"{part.files}")
        return UnpackedPart(part.name, tuple(directories), frozenset(files))

    def _count(self, chunks: Iterator[bytes]) -> Generator[bytes]:
        try:
            for chunk in chunks:
                if self._stopping.is_set():
                    raise Cancelled("another part of the same backup failed")
                with self._counting:
                    self.passed_bytes += len(chunk)
                yield chunk
        finally:
            close(chunks)


def _nobody_asked() -> None:
    """Nothing follows that could be begun."""


def _restored_paths(manifest: ServerManifest, parent: ServerManifest | None) -> set[str]:
    """The files that a restored backup consists of. The marker of a run that made the source is none: here it would be another
    run's, and may stand in the place of this one's.

    Raises GiveUp ``incremental_parent_missing`` for an incremental backup that is to be restored on nothing.
    """
    restored: set[str] = set()
    for path in manifest.files:
        full = full_path(path)
        if full is not None and parent is None:
            raise GiveUp(
                "incremental_parent_missing",
                found=f"{path!r} is an increment, and no parent was restored before it",
                expected="the backups that this one stands on, restored first, full one first",
                hint="restore by this backup's label: its whole chain is then restored in order",
            )
        if not is_marker(path):
            restored.add(full or path)
    return restored


def _expect_all_files(backup: SealedBackup, unpacked: Sequence[UnpackedPart]) -> None:
    """Every file that the manifest lists came in exactly one part; a skipped part counts by its number of files."""
    stated = sum(part.files for part in backup.parts)
    came: set[str] = set().union(*(part.files for part in unpacked))
    if len(came) != sum(len(part.files) for part in unpacked):
        raise _part_incomplete("a file came in two parts", "each file in one part")
    if stated == len(backup.manifest.files):
        return
    missing = sorted(backup.manifest.files.keys() - came) if len(unpacked) == len(backup.parts) else []
    raise _part_missing(f"parts with {stated} files{f', without {missing[0]!r}' if missing else ''}", len(backup.manifest.files))


def _part_missing(found: str, expected_files: int | None = None) -> GiveUp:
    return GiveUp(
        "part_missing",
        found=found,
        expected="every part that the manifest names" if expected_files is None else f"{expected_files} files",
        hint="restore from another repository, or choose another backup",
    )


def _part_incomplete(found: str, expected: str) -> GiveUp:
    return GiveUp(
        "part_incomplete", found=found, expected=expected, hint="restore from another repository, or choose another backup"
    )
