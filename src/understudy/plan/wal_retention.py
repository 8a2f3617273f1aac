"""Which backups the point-in-time window stands on, and which WAL stays for them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby, takewhile

from understudy.plan.restore_choice import Histories, leads_to
from understudy.repository.manifests import BackupManifest
from understudy.repository.replay_path import path_over
from understudy.repository.wal_contents import WalContents
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.identifiers import BackupLabel, SystemIdentifier
from understudy.vocabulary.wal import Lsn, Timeline, WalSegment


@dataclass(frozen=True, kw_only=True)
class ClusterHoldings:
    """What one repository holds of one cluster."""

    system_identifier: SystemIdentifier
    backups: tuple[BackupManifest, ...]
    wal: WalContents
    histories: Histories
    """Those that can be opened and read here."""
    spooled: tuple[WalSegment, ...] = ()
    """What the spool still holds, because a repository lags behind."""


class WalReason(StrEnum):
    """Why WAL stays."""

    ONWARD = "onward"
    """Replay goes on through it, from the backup that is named to any moment behind its end."""
    OF_BACKUP = "of_backup"
    """Without it the backup that is named is none."""
    SPOOLED = "spooled"
    """A repository that lags behind has not got what follows it; shipping must find no hole."""


@dataclass(frozen=True, slots=True)
class WalStretch:
    """Segments of one timeline that are there, from the first to the last, and have one fate. ``reason`` None: they go."""

    first: WalSegment
    last: WalSegment
    segments: int
    reason: WalReason | None = None
    label: BackupLabel | None = None


def chain_of(backup: BackupManifest, by_label: Mapping[BackupLabel, BackupManifest]) -> tuple[BackupManifest, ...]:
    """The backup and what it stands on, itself first, as far down as that is there."""
    chain = [backup]
    while (parent := chain[-1].parent) is not None and parent in by_label and all(each.label != parent for each in chain):
        chain.append(by_label[parent])
    return tuple(chain)


def restorable_backups(cluster: ClusterHoldings) -> tuple[BackupManifest, ...]:
    """Those whose chain and own WAL are complete in this repository, in the order of the WAL."""
    by_label = {backup.label: backup for backup in cluster.backups}
    whole = [each for each in cluster.backups if chain_of(each, by_label)[-1].parent is None]
    sound = [each for each in whole if cluster.wal.lacking_of(each.own_wal(), each.stop_lsn) is None]
    return tuple(sorted(sound, key=_in_wal))


def window_bases(cluster: ClusterHoldings, backups: Sequence[BackupManifest], since: datetime) -> tuple[BackupManifest, ...]:
    """The backups from which every moment since then is reached that can be reached at all.

    For each timeline that was written in the window: the backup nearest before it, and behind each hole in the WAL the next one.
    Which timelines these are is told by the backups from before the window: a server does not go back to a lower one. One that
    seems to be older than the window, and stands in the WAL behind one that is not, was stamped by a clock that was set back.

    Args:
        backups: The restorable ones that count, in the order of the WAL.

    Raises:
        Refusal: ``retention_unsure``: where a timeline of the window came from stands in a file that cannot be read here.
    """
    before = {backup.label for backup in takewhile(lambda each: each.stop_time <= since, backups)}
    newest_before = max((backup.timeline for backup in backups if backup.label in before), default=Timeline(0))
    known = {*cluster.wal.timelines(), *cluster.wal.histories, *(backup.timeline for backup in backups)}
    bases: dict[BackupLabel, BackupManifest] = {}
    for timeline in sorted(each for each in known if each >= newest_before):
        leading = [backup for backup in backups if _leads_to(cluster, backup, timeline)]
        nearest = [backup for backup in leading if backup.label in before][-1:]
        base: BackupManifest | None = None
        for backup in [*nearest, *(each for each in leading if each.label not in before)]:
            if base is None or not _replays_over(cluster, base, backup):
                bases[backup.label] = base = backup
    return tuple(sorted(bases.values(), key=_in_wal))


def wal_fates(
    cluster: ClusterHoldings, bases: Iterable[BackupManifest], kept: Iterable[BackupManifest]
) -> tuple[WalStretch, ...]:
    """What becomes of each segment that is there, ascending.

    Args:
        bases: What replay goes on from: all WAL stays that a restore of them could read.
        kept: Backups that stay; of each its own WAL does.
    """
    bases, kept = tuple(bases), sorted(kept, key=_in_wal)
    owners = {segment: backup.label for backup in kept for segment in backup.own_wal()}
    spooled = [next(of_one) for _, of_one in groupby(sorted(cluster.spooled), lambda each: each.timeline)]
    stretches: list[WalStretch] = []
    for segment in sorted({*cluster.wal.segments, *(tail.segment for tail in cluster.wal.tails)}):
        reason, label = _reason(segment, spooled, bases, owners)
        last = stretches[-1] if stretches else None
        if last is not None and (last.last.timeline, last.reason, last.label) == (segment.timeline, reason, label):
            stretches[-1] = WalStretch(last.first, segment, last.segments + 1, reason, label)
        else:
            stretches.append(WalStretch(segment, segment, 1, reason, label))
    return tuple(stretches)


def reads(backup: BackupManifest, stretch: WalStretch) -> bool:
    """Whether some restore of the backup could read some of it."""
    return stretch.last.timeline >= backup.timeline and stretch.last.end > backup.start_lsn


def _reason(
    segment: WalSegment,
    spooled: Sequence[WalSegment],
    bases: Sequence[BackupManifest],
    owners: Mapping[WalSegment, BackupLabel],
) -> tuple[WalReason | None, BackupLabel | None]:
    for base in bases:
        if segment.timeline >= base.timeline and segment.end > base.start_lsn:
            return WalReason.ONWARD, base.label
    if segment in owners:
        return WalReason.OF_BACKUP, owners[segment]
    if any(segment.timeline >= each.timeline and segment.number >= each.number for each in spooled):
        return WalReason.SPOOLED, None
    return None, None


def _in_wal(backup: BackupManifest) -> tuple[int, Lsn, BackupLabel]:
    return backup.timeline, backup.start_lsn, backup.label


def _leads_to(cluster: ClusterHoldings, backup: BackupManifest, timeline: Timeline) -> bool:
    if backup.timeline >= timeline or timeline not in cluster.wal.histories:
        return backup.timeline == timeline
    if timeline not in cluster.histories:
        raise Refusal(
            "retention_unsure",
            found=f"the history file of timeline {timeline} of cluster {cluster.system_identifier} cannot be read here",
            expected="to know what a timeline descends from that was written in the point-in-time window",
            hint="name encryption.identity in the stack file; if the file is damaged (see understudy verify), retention goes on "
            "once a backup on that timeline is older than the window",
        )
    return leads_to(cluster.histories, backup.timeline, backup.stop_lsn, timeline)


def _replays_over(cluster: ClusterHoldings, base: BackupManifest, backup: BackupManifest) -> bool:
    """Whether replay from ``base`` comes unbroken to the end of ``backup``, which therefore is not needed for what follows it."""
    forks = cluster.histories.get(backup.timeline, ()) if base.timeline != backup.timeline else ()
    try:
        path = path_over(cluster.wal, forks, base.timeline, base.start_lsn, backup.timeline, up_to_gap=True)
    except GiveUp:
        return False
    return path.reaches_at_most >= backup.stop_lsn
