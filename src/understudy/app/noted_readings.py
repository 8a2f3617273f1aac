"""What ``verify`` read counts as read: the runs that read a part at a time go on behind it, and what it found is marked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from understudy.app.damaged_parts import PART_DAMAGE
from understudy.app.installation import Installation
from understudy.ports.readings import Found, ReadFault
from understudy.repository.backup_checks import ObjectFault
from understudy.repository.backup_units import object_unit, standing_on, wal_unit
from understudy.repository.layout import SUMS_NAME, backup_prefix
from understudy.repository.manifests import BackupManifest
from understudy.repository.snapshots.manifest import SnapshotManifest
from understudy.repository.snapshots.units import folder_unit, part_unit
from understudy.repository.wal_archive import WalContents
from understudy.repository.wal_reading import WalRead, segments_behind
from understudy.vocabulary.identifiers import RepositoryName, ResourceName

_OF_WAL = ("wal_corrupt", "wal_missing", "wal_of_another")
"""What is found of a piece of WAL itself. After anything else nobody knows how much of the rest was read."""


def note_backup_read(
    installation: Installation,
    name: RepositoryName,
    backup: BackupManifest,
    held: Sequence[BackupManifest],
    faults: Iterable[ObjectFault],
) -> None:
    """Each of its objects was read; ``held``: all of its cluster."""
    prefix = backup_prefix(backup.resource, backup.system_identifier, backup.label)
    labels = standing_on(backup, held)
    by_key = {fault.key: fault for fault in faults}
    found = [
        Found(object_unit(backup, entry.name), entry.sealed_bytes, _fault(by_key.get(prefix + entry.name), labels))
        for entry in backup.entries
        if _was_read(by_key.get(prefix + entry.name))
    ]
    if prefix + SUMS_NAME not in by_key:
        found.append(Found(object_unit(backup, SUMS_NAME), None))
    _note(installation, name, backup.resource, found)


def note_wal_read(
    installation: Installation,
    name: RepositoryName,
    backups: Sequence[BackupManifest],
    contents: WalContents,
    read: WalRead,
) -> None:
    """All that a restore of ``backups``, which are of one cluster, could read."""
    if any(fault.code not in _OF_WAL for fault in read.faults):
        return
    by_segment = {fault.key[:24]: fault for fault in read.faults}
    needed: dict[str, list[str]] = {}
    for backup in backups:
        for segment in backup.own_wal():
            needed.setdefault(segment.name, []).append(backup.label.text)
    system = backups[0].system_identifier
    found = [
        Found(wal_unit(system, segment), None, _wal_fault(by_segment.get(segment.name), needed.get(segment.name, ())))
        for segment in segments_behind(contents, backups)
    ]
    _note(installation, name, backups[0].resource, found)


def note_snapshot_read(
    installation: Installation,
    name: RepositoryName,
    snapshot: SnapshotManifest,
    held: Sequence[SnapshotManifest],
    faults: Iterable[ObjectFault],
    read_already: Iterable[str],
) -> None:
    """Its listing and its parts were read, but for those parts that were ``read_already`` for another one."""
    by_key: Mapping[str, ObjectFault] = {fault.key: fault for fault in faults}
    passed_over = set(read_already)
    (listing_key, listing), *parts = snapshot.objects()
    found = []
    if _was_read(by_key.get(listing_key)):
        fault = _fault(by_key.get(listing_key), (snapshot.label.text,))
        found.append(Found(folder_unit(snapshot.label, listing.name), listing.sealed_bytes, fault))
    if snapshot.keys.sums(snapshot.label) not in by_key:
        found.append(Found(folder_unit(snapshot.label, SUMS_NAME), None))
    for key, part in parts:
        if part.name not in passed_over and _was_read(by_key.get(key)):
            labels = tuple(each.label.text for each in held if part in each.parts) if key in by_key else ()
            found.append(Found(part_unit(part), part.sealed_bytes, _fault(by_key.get(key), labels)))
    _note(installation, name, snapshot.resource, found)


def _was_read(fault: ObjectFault | None) -> bool:
    """Another key, or a store that is away, says nothing of an object."""
    return fault is None or fault.code in PART_DAMAGE


def _fault(fault: ObjectFault | None, labels: Sequence[str]) -> ReadFault | None:
    return None if fault is None else ReadFault(fault.code, fault.found, fault.expected, fault.hint, tuple(labels))


def _wal_fault(fault: ObjectFault | None, labels: Sequence[str]) -> ReadFault | None:
    """A tail of a segment that is there whole is read by no restore any more: nothing fails with it."""
    superseded = fault is not None and ", bytes " in fault.key
    return _fault(fault, () if superseded else labels)


def _note(installation: Installation, name: RepositoryName, resource: ResourceName, found: Sequence[Found]) -> None:
    """Nothing where nothing is recorded, or the state cannot be written: what was found is told all the same."""
    if (installation.state / "state.db").exists():
        installation.past.readings.note_if_possible(name, resource, found)
