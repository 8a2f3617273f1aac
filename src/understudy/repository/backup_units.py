"""What there is to be read back of a database: the objects of its backups, and its WAL, segment by segment."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from understudy.ports.object_store import ObjectStore
from understudy.ports.readings import ReadFault
from understudy.repository.backup_checks import ObjectFault
from understudy.repository.catalog import BackupListing, Repository
from understudy.repository.layout import MANIFEST_NAME, SUMS_NAME, TailSpan, WalKeys, backup_prefix, wal_prefix
from understudy.repository.manifests import BackupManifest, sums_text
from understudy.repository.replay_path import read_histories
from understudy.repository.stored_units import BetweenPieces, StoredUnit, StoredUnits, UnitRead, damage, sealed_unit, sums_unit
from understudy.repository.wal_archive import WalArchive, WalContents, WalPiece
from understudy.repository.wal_checks import wal_of_backup
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import ResourceName, SystemIdentifier
from understudy.vocabulary.wal import Timeline, TimelineFork, WalSegment, history_file_name

WAL_FOLDER = "wal"


def object_unit(backup: BackupManifest, name: str) -> str:
    return f"{backup.system_identifier}/{backup.label}/{name}"


def wal_unit(system: SystemIdentifier, piece: WalSegment | Timeline) -> str:
    """Of a segment with its tails, or of the history file that begins the timeline."""
    return f"{system}/{WAL_FOLDER}/{piece.name if isinstance(piece, WalSegment) else history_file_name(piece)}"


def label_of_unit(unit: str) -> str | None:
    """The backup that the object belongs to; None of WAL."""
    _, label, *rest = unit.split("/")
    return label if rest and label != WAL_FOLDER else None


@dataclass(frozen=True, slots=True)
class BackupUnits:
    """Of one database in one repository. Listing it reads every manifest, and looks for holes in the WAL."""

    store: ObjectStore
    repository: Repository
    resource: ResourceName
    opens_histories: bool
    """Whether there is an identity: without one each timeline is looked at by itself."""

    def listed(self, goes_on: Collection[str] = ()) -> StoredUnits:
        """
        Args:
            goes_on: Labels of backups behind which all WAL is wanted, without a hole.

        Raises:
            TryAgain, GiveUp: what the store raises.
        """
        listing = self.repository.backups(self.resource)
        found = StoredUnits()
        for bad in listing.unusable:
            label = bad.key.split("/")[-2]
            found.faults[f"{bad.key.split('/')[-4]}/{label}/{MANIFEST_NAME}"] = damage(bad.error, (label,))
        for system in sorted({each.system_identifier for each in listing.usable}):
            backups = [each for each in listing.usable if each.system_identifier == system]
            for backup in backups:
                found.units |= self._objects(backup, standing_on(backup, backups))
            self._add_wal(found, backups, listing, goes_on)
        return found

    def _objects(self, backup: BackupManifest, labels: tuple[str, ...]) -> Mapping[str, StoredUnit]:
        prefix = backup_prefix(backup.resource, backup.system_identifier, backup.label)
        manifest = prefix + MANIFEST_NAME
        units = {
            object_unit(backup, entry.name): sealed_unit(
                self.store, prefix + entry.name, entry.sealed_bytes, entry.sealed_sha256, labels, (manifest,)
            )
            for entry in backup.entries
        }
        sums = sums_unit(self.store, prefix + SUMS_NAME, sums_text(backup.entries), manifest)
        return {**units, object_unit(backup, SUMS_NAME): sums}

    def _add_wal(
        self, found: StoredUnits, backups: Sequence[BackupManifest], listing: BackupListing, goes_on: Collection[str]
    ) -> None:
        system, segment_bytes = backups[0].system_identifier, backups[0].segment_bytes
        archive = self.repository.wal(self.resource, system, segment_bytes)
        keys = WalKeys(wal_prefix(self.resource, system))
        listed = {each.key: each.size_bytes for each in self.store.list(keys.prefix)}
        contents = WalContents.of_keys(keys, listed, segment_bytes)
        sizes: dict[WalSegment, int] = {}
        for key, size_bytes in listed.items():
            owner = keys.owner(key, segment_bytes)
            if owner is not None:
                sizes[owner] = sizes.get(owner, 0) + size_bytes
        needed: dict[WalSegment, list[str]] = {}
        for backup in backups:
            for segment in backup.own_wal():
                needed.setdefault(segment, []).append(backup.label.text)
        tails: dict[WalSegment, list[TailSpan]] = {}
        for tail in contents.tails:
            tails.setdefault(tail.segment, []).append(tail)
        for segment in sorted({*contents.segments, *tails}):
            complete = contents.holds(segment)
            pieces = _SegmentPieces(archive, segment, complete, tuple(tails.get(segment, ())), tuple(needed.get(segment, ())))
            found.units[wal_unit(system, segment)] = StoredUnit(sizes[segment], pieces.read)
        for timeline in contents.histories:
            stem = keys.history(timeline)
            size_bytes = sum(size for key, size in listed.items() if key.startswith(f"{stem}."))
            found.units[wal_unit(system, timeline)] = StoredUnit(size_bytes, _SegmentPieces(archive, timeline).read)
        found.faults |= self._holes(archive, contents, backups, goes_on)

    def _holes(
        self, archive: WalArchive, contents: WalContents, backups: Sequence[BackupManifest], goes_on: Collection[str]
    ) -> Mapping[str, ReadFault]:
        histories: Mapping[Timeline, tuple[TimelineFork, ...]] = {}
        if self.opens_histories:
            try:
                histories, _ = read_histories(archive, contents)  # one that is damaged is found where it is read as a unit
            except GiveUp as error:
                if error.code != "wrong_key":
                    raise
        holes: dict[str, ReadFault] = {}
        for backup in backups:
            own = contents.lacking_of(backup.own_wal(), backup.stop_lsn) is not None
            for fault in wal_of_backup(contents, histories, backup, goes_on=backup.label.text in goes_on):
                labels = (backup.label.text,) if own else ()
                prefix = backup_prefix(backup.resource, backup.system_identifier, backup.label)
                if self.store.head(prefix + MANIFEST_NAME) is None:  # retention removes it first, then its WAL
                    continue
                holes[f"{object_unit(backup, WAL_FOLDER)}:{fault.key}"] = _of_object(fault, labels)
        return holes


@dataclass(frozen=True, slots=True)
class _SegmentPieces:
    archive: WalArchive
    piece: WalSegment | Timeline
    complete: bool = True
    """The piece is there itself, not only tails of it."""
    tails: tuple[TailSpan, ...] = ()
    labels: tuple[str, ...] = ()
    """Backups that need the segment."""

    def read(self, between_pieces: BetweenPieces) -> UnitRead:
        """All of it, however many faults there are; of those the one that a restore meets counts most."""
        fault: ReadFault | None = None
        present = 0
        for piece, read_by_restores in self._pieces():
            try:
                self.archive.check_sealed(piece, between_pieces)
            except GiveUp as error:
                if error.code == "wal_missing":  # the sidecar that was listed is not there any more: retention has removed it
                    continue
                if fault is None or (read_by_restores and not fault.labels):
                    fault = damage(error, self.labels if read_by_restores else ())
            present += 1
        return UnitRead(fault, gone=present == 0)

    def _pieces(self) -> Iterator[tuple[WalPiece, bool]]:
        """Tails of a segment that is there whole are read by no restore any more."""
        if self.complete:
            yield self.piece, True
        for tail in self.tails:
            yield tail, not self.complete


def standing_on(backup: BackupManifest, backups: Sequence[BackupManifest]) -> tuple[str, ...]:
    """The backup's label, and those of all that stand on it, directly or not. An incremental sorts behind what it stands on."""
    labels = {backup.label}
    for each in sorted(backups, key=lambda each: each.stop_time):
        if each.parent in labels:
            labels.add(each.label)
    return tuple(sorted(label.text for label in labels))


def _of_object(fault: ObjectFault, labels: tuple[str, ...]) -> ReadFault:
    return ReadFault(fault.code, fault.found, fault.expected, fault.hint, labels)
