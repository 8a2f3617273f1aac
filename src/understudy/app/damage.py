"""Backups and snapshots that were found damaged when they were read back, and stay marked until they are read whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from understudy.app.installation import Installation
from understudy.ports.readings import Reading
from understudy.repository.backup_units import label_of_unit
from understudy.repository.manifests import BackupManifest
from understudy.repository.snapshots.units import snapshot_of_unit
from understudy.vocabulary.identifiers import RepositoryName, ResourceName


@dataclass(frozen=True, slots=True)
class Damage:
    """The first that was found of it."""

    unit: str
    code: str
    found: str
    since: datetime
    """When it was found."""


@dataclass(frozen=True, slots=True)
class DamagedBackup:
    """A backup, or a snapshot, that cannot be restored from one repository."""

    repository: RepositoryName
    label: str
    damage: Damage


def damaged_labels(installation: Installation, repository: RepositoryName, resource: ResourceName) -> Mapping[str, Damage]:
    """By label, with what stood on them when they were read. Nothing where nothing is recorded: a host that only looks."""
    if not (installation.state / "state.db").exists():
        return {}
    marked: dict[str, Damage] = {}
    damaged = installation.past.readings.damaged(repository, resource)
    for reading in sorted(damaged, key=lambda each: (_since(each), each.unit)):
        fault = reading.fault
        for label in () if fault is None else fault.labels:
            assert fault is not None  # noqa: S101 - for the type checker
            marked.setdefault(label, Damage(reading.unit, fault.code, fault.found, _since(reading)))
    return marked


def damaged_backups(installation: Installation, resource: ResourceName) -> tuple[DamagedBackup, ...]:
    """In all of the resource's repositories."""
    return tuple(
        DamagedBackup(repository, label, damage)
        for repository in installation.repository_names(resource)
        for label, damage in sorted(damaged_labels(installation, repository, resource).items())
    )


def marked_in(installation: Installation, resource: ResourceName) -> frozenset[str]:
    """As ``Choice.without`` has them: ``<repository>/<label>``."""
    return frozenset(f"{each.repository}/{each.label}" for each in damaged_backups(installation, resource))


def with_what_stands_on(marked: Iterable[str], backups: Iterable[BackupManifest]) -> frozenset[str]:
    """Also what was taken since. An incremental sorts behind what it stands on."""
    labels = set(marked)
    for backup in sorted(backups, key=lambda each: each.stop_time):
        if backup.parent is not None and backup.parent.text in labels:
            labels.add(backup.label.text)
    return frozenset(labels)


def damage_below(
    installation: Installation, resource: ResourceName, backup: BackupManifest, usable: Iterable[BackupManifest]
) -> str:
    """Where the backup, or one that it stands on, was found damaged: no other should stand on it; empty where nowhere."""
    for repository in installation.repository_names(resource):
        marked = damaged_labels(installation, repository, resource)
        chain = {label: each for label, each in marked.items() if label.startswith(backup.label.chain.text)}
        if backup.label.text in with_what_stands_on(marked, usable) and chain:
            first = min(chain, key=lambda label: chain[label].since)
            below = "" if first == backup.label.text else f", on which {backup.label} stands,"
            return f"{first}{below} is damaged in {repository} ({chain[first].code})"
    return ""


def nothing_is_sound(installation: Installation, resource: ResourceName, newest: str | None) -> bool:
    """Whether all that is known to be stored anywhere, ``newest`` included, is marked. By the records alone."""
    if not (installation.state / "state.db").exists():
        return False
    label_of = label_of_unit if installation.is_database(resource) else snapshot_of_unit
    anything = False
    for repository in installation.repository_names(resource):
        marked = damaged_labels(installation, repository, resource)
        if not marked:
            return False
        known = {label_of(each.unit) for each in installation.past.readings.of(repository, resource)} - {None}
        anything = anything or bool(known)
        if known - marked.keys() or (newest is not None and newest not in marked):
            return False
    return anything


def _since(reading: Reading) -> datetime:
    assert reading.damaged_since is not None  # noqa: S101 - for the type checker: it has a fault
    return reading.damaged_since
