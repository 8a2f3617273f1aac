"""``backups``: what the repositories hold of every resource."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from understudy.app.backups import no_backup
from understudy.app.damage import Damage, damaged_labels, with_what_stands_on
from understudy.app.installation import Installation
from understudy.app.locks import locked_until
from understudy.app.quarantines import quarantines_in
from understudy.app.repositories import is_unmade
from understudy.app.snapshots import snapshots_of
from understudy.repository.manifests import BackupManifest
from understudy.repository.quarantine import Quarantine, Taken, quarantine_over
from understudy.repository.snapshots.manifest import SnapshotManifest
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.identifiers import BackupLabel, RepositoryName, ResourceName


@dataclass(frozen=True, slots=True)
class ListedBackup:
    repository: RepositoryName
    backup: BackupManifest
    damaged: Damage | None = None
    """What was found of it when it was read back last, or of what it stands on."""
    locked_until: datetime | None = None
    """Until then its store lets nobody remove it."""
    quarantined: datetime | None = None
    """From when on nothing of the resource is to be believed, where that concerns it."""


@dataclass(frozen=True, slots=True)
class ListedSnapshot:
    repository: RepositoryName
    snapshot: SnapshotManifest
    damaged: Damage | None = None
    locked_until: datetime | None = None
    quarantined: datetime | None = None


@dataclass(frozen=True, slots=True)
class UnreadableBackup:
    repository: RepositoryName
    key: str
    code: str
    found: str


@dataclass(frozen=True, slots=True)
class RepositoryAway:
    """What it holds of the resource is not known."""

    repository: RepositoryName
    resource: ResourceName
    code: str
    found: str
    hint: str


@dataclass(frozen=True, slots=True)
class BackupsEverywhere:
    usable: tuple[ListedBackup, ...]
    """Of databases."""
    snapshots: tuple[ListedSnapshot, ...]
    """Usable ones of what is no database."""
    unusable: tuple[UnreadableBackup, ...]
    away: tuple[RepositoryAway, ...]


def list_backups(installation: Installation, resource: str | None, repository: str | None = None) -> BackupsEverywhere:
    """What the repositories hold, newest last; what is there and can't be used, with the reason. One that cannot be asked hides
    nothing of the others.

    Raises:
        Refusal: ``no_backup``: none is there, usable or not, and every repository was asked; ``no_such_resource``,
            ``no_such_repository``.
    """
    usable: list[ListedBackup] = []
    snapshots: list[ListedSnapshot] = []
    unusable: list[UnreadableBackup] = []
    away: list[RepositoryAway] = []
    wanted = None if repository is None else installation.repository_name(repository)
    names = [ResourceName(resource)] if resource else list(installation.resource_names())
    for name in names:
        installation.resource(name)
        for place in installation.repository_names(name):
            if wanted not in (None, place) or is_unmade(installation, place):
                continue
            try:
                marked = damaged_labels(installation, place, name)
                quarantines = quarantines_in(installation, name, place)
                if installation.is_database(name):
                    listing = installation.repository(place).backups(name)
                    locks = locked_until(installation.stores[place], {each.label: each.key for each in listing.usable})
                    usable += _listed(place, listing.usable, marked, locks, quarantines)
                    bad = [(each.key, each.error) for each in listing.unusable]
                else:
                    found = snapshots_of(installation, name, place).found()
                    manifests = {each.label: each.keys.manifest(each.label) for each in found.usable}
                    until = locked_until(installation.stores[place], manifests)
                    snapshots += [
                        ListedSnapshot(place, each, marked.get(each.label.text), until.get(each.label), _since(quarantines, each))
                        for each in found.usable
                    ]
                    bad = [(each.key, each.error) for each in found.unusable]
            except UnderstudyError as error:
                away.append(RepositoryAway(place, name, error.code, error.found, error.hint))
                continue
            unusable += [UnreadableBackup(place, key, error.code, error.found) for key, error in bad]
    if not (usable or snapshots or unusable or away):
        raise no_backup(names[0], "the repositories hold no backup")
    usable.sort(key=lambda each: (each.backup.resource, each.backup.stop_time, each.repository))
    snapshots.sort(key=lambda each: (each.snapshot.resource, each.snapshot.stop_time, each.repository))
    return BackupsEverywhere(tuple(usable), tuple(snapshots), tuple(unusable), tuple(away))


def _since(quarantines: Sequence[Quarantine], taken: Taken) -> datetime | None:
    over = quarantine_over(quarantines, taken)
    return None if over is None else over.since


def _listed(
    place: RepositoryName,
    backups: Sequence[BackupManifest],
    marked: Mapping[str, Damage],
    locks: Mapping[BackupLabel, datetime],
    quarantines: Sequence[Quarantine],
) -> Iterator[ListedBackup]:
    below = {each.label.text: each.parent.text for each in backups if each.parent is not None}
    damaged = with_what_stands_on(marked, backups)
    for backup in backups:
        label: str | None = backup.label.text
        while label is not None and label in damaged and label not in marked:
            label = below.get(label)
        damage = marked.get(label or "") if backup.label.text in damaged else None
        yield ListedBackup(place, backup, damage, locks.get(backup.label), _since(quarantines, backup))
