"""What a repository holds of one database, for whoever restores from it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from understudy.repository.catalog import Repository
from understudy.repository.manifests import BackupManifest
from understudy.repository.quarantine import Quarantine, believed
from understudy.repository.replay_path import read_histories
from understudy.repository.wal_contents import WalContents
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import ResourceName
from understudy.vocabulary.wal import Timeline, TimelineFork

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Holdings:
    """Of its newest cluster."""

    backups: tuple[BackupManifest, ...]
    histories: Mapping[Timeline, tuple[TimelineFork, ...]]
    wal: WalContents
    damaged_histories: frozenset[Timeline]
    quarantines: tuple[Quarantine, ...] = ()
    """From when on nothing is to be believed; no backup is among these that any of them concerns."""


def holdings_of(
    repository: Repository, name: ResourceName, without: frozenset[str], quarantines: tuple[Quarantine, ...] = ()
) -> Holdings:
    """``without``: labels of backups that turned out not to do; they, and all that stand on them, are left out. So is what any
    of ``quarantines`` concerns.

    Raises:
        Refusal: ``no_backup``; ``sealing_differs``; ``no_sound_backup``: there are some, and all are left out.
    """
    there = repository.backups(name).usable
    usable = believed(quarantines, there)
    if there and not usable:
        raise _nothing_believed(name, quarantines)
    sound = _sound(usable, without)
    if usable and not sound:
        raise Refusal(
            "no_sound_backup",
            found=f"every backup of {name} was tried: {', '.join(sorted(without))}, and what stands on them, did not do",
            expected="another usable backup",
            hint="another repository may hold a sound one (--repository NAME). Where only pages are damaged, understudy restore "
            f"{name} --backup LABEL --to DIRECTORY leaves a copy there, stopped, to be repaired by hand",
        )
    if not sound:
        raise Refusal(
            "no_backup",
            found=f"the repository holds no usable backup of {name}",
            expected="at least one",
            hint=f"take one: understudy backup {name}; list what is there: understudy backups {name}",
        )
    newest = max(sound, key=lambda backup: backup.stop_time)
    repository.require_sealing_of(newest.backup_manifest.name)
    backups = tuple(backup for backup in sound if backup.system_identifier == newest.system_identifier)
    archive = repository.wal(name, newest.system_identifier, newest.segment_bytes)
    contents = archive.contents()
    histories, damaged = read_histories(archive, contents)
    for timeline, error in damaged.items():
        _log.warning("the history of timeline %s is damaged: %s", timeline, error)
    return Holdings(backups, histories, contents, frozenset(damaged), quarantines)


def _nothing_believed(name: ResourceName, quarantines: tuple[Quarantine, ...]) -> Refusal:
    since = min(each.since for each in quarantines)
    return Refusal(
        "no_sound_backup",
        found=f"every backup of {name} is quarantined: nothing from {since.isoformat()} on is to be believed",
        expected="one from before that",
        hint="another repository may hold an older one (--repository NAME). To look at a quarantined one: understudy restore "
        f"{name} --to DIRECTORY --quarantined",
    )


def _sound(backups: Sequence[BackupManifest], without: frozenset[str]) -> tuple[BackupManifest, ...]:
    """Those that neither are left out nor stand on one that is. An incremental sorts behind what it stands on."""
    left_out = set(without)
    sound: list[BackupManifest] = []
    for backup in sorted(backups, key=lambda each: each.stop_time):
        if backup.label.text in left_out or (backup.parent is not None and backup.parent.text in left_out):
            left_out.add(backup.label.text)
        else:
            sound.append(backup)
    return tuple(sound)
