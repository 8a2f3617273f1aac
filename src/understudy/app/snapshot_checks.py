"""``verify``, as far as it is about snapshots."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from understudy.app.damaged_parts import PART_DAMAGE, note_checked
from understudy.app.installation import Installation
from understudy.app.lost_backups import lost_backups
from understudy.app.noted_readings import note_snapshot_read
from understudy.app.repositories import made_repository
from understudy.app.snapshots import snapshots_of
from understudy.app.verify_results import BackupCheckResult, BytesRead, Report, RepositoryFault, VerifyTarget
from understudy.repository.backup_checks import CheckedObjects, ObjectFault
from understudy.repository.snapshots.catalog import Snapshots, SnapshotsFound
from understudy.repository.snapshots.checks import check_contents, check_snapshot
from understudy.repository.snapshots.manifest import SnapshotManifest
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.identifiers import RepositoryName, ResourceName


class SnapshotVerifier:
    """Collects results; used in a ``with``, because what is opened needs a scratch file. A part that several snapshots share is
    read once. A fault of one object, snapshot or repository never keeps the others from being looked at.
    """

    def __init__(self, installation: Installation, target: VerifyTarget, deep: bool, report: Report) -> None:
        self._installation = installation
        self._target = target
        self._deep = deep
        self._report = report
        self._undo = ExitStack()
        self._scratch = Path()
        self.checked: list[BackupCheckResult] = []
        self.unreadable: list[RepositoryFault] = []

    def __enter__(self) -> SnapshotVerifier:
        self._scratch = Path(self._undo.enter_context(tempfile.TemporaryDirectory(prefix="understudy-verify-")))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._undo.close()

    def verify_resource(self, name: RepositoryName, resource: ResourceName) -> None:
        try:
            repository = made_repository(self._installation, name)
            snapshots = snapshots_of(self._installation, resource, name)
            found = snapshots.found()
            lost = lost_backups(self._installation, name, repository, resource, _labels_there(found))
        except UnderstudyError as error:
            url = self._installation.stack.repositories[name].url
            self.unreadable.append(RepositoryFault(name, resource, ObjectFault.of(url, error)))
            return
        for bad in found.unusable:
            self._add(name, resource, bad.key.split("/")[-2], None, (ObjectFault.of(bad.key, bad.error),))
        for label, fault in lost.items():
            self._add(name, resource, label, None, (fault,))
        read: set[str] = set()
        damaged: set[str] = set()
        for snapshot in found.usable:
            if self._is_meant(snapshot.label.text):
                damaged |= self._check(name, snapshots, snapshot, found.usable, read)
        note_checked(self._installation, name, resource, damaged, read)

    def _is_meant(self, label: str) -> bool:
        return self._target.label is None or self._target.label.text == label

    def _add(
        self,
        name: RepositoryName,
        resource: ResourceName,
        label: str,
        checked: CheckedObjects | None,
        faults: tuple[ObjectFault, ...],
    ) -> None:
        if not self._is_meant(label):
            return
        objects, sealed_bytes, files = (0, 0, None) if checked is None else (checked.objects, checked.sealed_bytes, checked.files)
        self.checked.append(BackupCheckResult(name, resource, label, None, None, objects, sealed_bytes, files, faults))

    def _check(
        self,
        name: RepositoryName,
        snapshots: Snapshots,
        snapshot: SnapshotManifest,
        held: Sequence[SnapshotManifest],
        read: set[str],
    ) -> set[str]:
        """Adds the names of the parts that are whole to ``read``. Returns those of the damaged ones."""
        new = [part for part in snapshot.parts if part.name not in read]
        sizes = [part.plain_bytes if self._deep else part.sealed_bytes for part in new]
        total_bytes = sum(sizes)
        meter = BytesRead(lambda done: self._report(f"{name} {snapshot.resource}/{snapshot.label}", done, total_bytes))
        try:
            checked = self._read(name, snapshots, snapshot, meter, frozenset(read))
        except UnderstudyError as error:
            fault = ObjectFault.of(f"{snapshot.resource}/{snapshot.label}", error)
            self._add_faulty(name, snapshot, None, (fault,))
            return set()
        note_snapshot_read(self._installation, name, snapshot, held, checked.faults, read)
        if checked.faults:
            self._add_faulty(name, snapshot, checked, checked.faults)
        else:
            self._add(name, snapshot.resource, snapshot.label.text, checked, ())
        damaged = {fault.key: fault.code for fault in checked.faults}
        (listing_key, _), *parts = snapshot.objects()
        if listing_key not in damaged:  # else nothing was opened, and what was not is not to be passed over
            read |= {part.name for key, part in parts if key not in damaged}
        return {part.name for key, part in parts if damaged.get(key) in PART_DAMAGE}

    def _add_faulty(
        self,
        name: RepositoryName,
        snapshot: SnapshotManifest,
        checked: CheckedObjects | None,
        faults: tuple[ObjectFault, ...],
    ) -> None:
        """Retention may have let it go since it was found, manifest first: then nothing is wrong with it, and it is left out."""
        resource, label = snapshot.resource, snapshot.label.text
        try:
            if self._installation.stores[name].head(snapshot.keys.manifest(snapshot.label)) is None:
                repository = made_repository(self._installation, name)
                there = _labels_there(snapshots_of(self._installation, resource, name).found())
                lost = lost_backups(self._installation, name, repository, resource, there).get(label)
                if lost is not None:
                    self._add(name, resource, label, None, (lost,))
                return
        except UnderstudyError:
            pass  # what was found before is told
        self._add(name, resource, label, checked, faults)

    def _read(
        self,
        name: RepositoryName,
        snapshots: Snapshots,
        snapshot: SnapshotManifest,
        meter: BytesRead,
        read_already: Collection[str],
    ) -> CheckedObjects:
        if self._deep:
            index = self._scratch / f"{snapshot.resource}.sqlite"
            return check_contents(snapshots.opened(snapshot), index, meter.add, read_already=read_already)
        return check_snapshot(self._installation.stores[name], snapshot, meter.add, read_already=read_already)


def _labels_there(found: SnapshotsFound) -> frozenset[str]:
    return frozenset((*(each.label.text for each in found.usable), *(each.key.split("/")[-2] for each in found.unusable)))
