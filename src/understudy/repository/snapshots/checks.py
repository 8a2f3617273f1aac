"""Reading a stored snapshot back without writing anything. Faults are values: one does not hide the next."""

from __future__ import annotations

import threading
from collections.abc import Collection, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing
from pathlib import Path

from understudy.ports.object_store import ObjectStore
from understudy.repository.at_once import parts_read, processors
from understudy.repository.backup_checks import CheckedObjects, ObjectFault, Passed, check_sums, fault_of
from understudy.repository.sealing import check_sealed, close
from understudy.repository.snapshots.catalog import OpenedSnapshot
from understudy.repository.snapshots.manifest import SealedPart, SnapshotManifest
from understudy.repository.snapshots.part_contents import contents_of
from understudy.repository.snapshots.reading_index import ReadingIndex
from understudy.repository.snapshots.selection import EVERYTHING
from understudy.vocabulary.errors import Cancelled, UnderstudyError


def check_snapshot(
    store: ObjectStore, manifest: SnapshotManifest, passed: Passed, *, read_already: Collection[str] = ()
) -> CheckedObjects:
    """Every sealed object that the signed manifest names against its digest, several at a time, in bounded memory.

    Args:
        read_already: Names of parts that a check of another snapshot of the same resource found whole.
    """
    return _SnapshotCheck(store, manifest, passed, None).carry_out(read_already)


def check_contents(opened: OpenedSnapshot, index: Path, passed: Passed, *, read_already: Collection[str] = ()) -> CheckedObjects:
    """Like ``check_snapshot``, and each part is also opened, and every content in it compared with the listing's SHA-256.

    Args:
        index: A scratch file.
        read_already: As there; of parts that were opened, too.
    """
    with ExitStack() as stack:
        try:
            wanted = stack.enter_context(ReadingIndex(index, opened, EVERYTHING))
            wanted.load()
        except UnderstudyError as error:
            checked = check_snapshot(opened.store, opened.manifest, passed, read_already=read_already)
            fault = ObjectFault.of(opened.manifest.objects()[0][0], error)
            others = [each for each in checked.faults if each.key != fault.key]
            return CheckedObjects(checked.objects, checked.sealed_bytes, 0, (fault, *others))
        return _SnapshotCheck(opened.store, opened.manifest, passed, (opened, wanted)).carry_out(read_already)


class _SnapshotCheck:
    """One call: what its threads share."""

    def __init__(
        self, store: ObjectStore, manifest: SnapshotManifest, passed: Passed, deep: tuple[OpenedSnapshot, ReadingIndex] | None
    ) -> None:
        self._store = store
        self._manifest = manifest
        self._passed = passed
        self._deep = deep
        self._numbers = {part.name: number for number, part in deep[1].needed_parts()} if deep else {}
        self._stopping = threading.Event()

    def carry_out(self, read_already: Collection[str]) -> CheckedObjects:
        sums = check_sums(self._store, self._manifest.keys.sums(self._manifest.label), self._manifest.sums_text())
        faults = [sums] if sums else []
        objects = sealed_bytes = contents = 0
        with ThreadPoolExecutor(parts_read(processors()), thread_name_prefix="check") as threads:
            pending: dict[Future[int], tuple[str, SealedPart]] = {
                threads.submit(self._check, key, part): (key, part)
                for key, part in self._manifest.objects()
                if part.name not in read_already
            }
            try:
                for future in as_completed(pending):
                    key, part = pending[future]
                    fault = fault_of(future, key)
                    if fault is not None:
                        faults.append(fault)
                        continue
                    objects += 1
                    sealed_bytes += part.sealed_bytes
                    contents += future.result()
            finally:
                # Leaving early (Ctrl-C): objects not begun are dropped, those under way end at their next piece.
                self._stopping.set()
                for future in pending:
                    future.cancel()
        return CheckedObjects(
            objects=objects,
            sealed_bytes=sealed_bytes,
            files=contents if self._deep else None,
            faults=tuple(sorted(faults, key=lambda fault: fault.key)),
        )

    def _check(self, key: str, part: SealedPart) -> int:
        """Returns how many contents were compared."""
        number = self._numbers.get(part.name)
        if self._deep is None or number is None:
            self._passed(check_sealed(self._store, key, part.sealed_sha256, self._raise_if_stopping))
            return 0
        opened, wanted = self._deep
        contents = 0
        with closing(self._counted(opened.read_part(part))) as plain:
            for content in contents_of(opened, part, plain, wanted.members(number)):
                for _piece in content.pieces:
                    self._raise_if_stopping()
                contents += 1
        return contents

    def _raise_if_stopping(self) -> None:
        if self._stopping.is_set():
            raise Cancelled("the check was stopped")

    def _counted(self, chunks: Iterator[bytes]) -> Generator[bytes]:
        try:
            for chunk in chunks:
                self._raise_if_stopping()
                self._passed(len(chunk))
                yield chunk
        finally:
            close(chunks)
