"""Which backups and which WAL stay in a repository, each with all its reasons, and what goes. Pure.

The rules are a union: what one of them keeps, stays. Days, weeks and months are counted by the backups that there are, and
durations back from the newest of them, so that a clock that jumps ahead, or backups that fail for a month, remove nothing.
Where anything is unsure, nothing is removed at all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Protocol, TypeVar
from zoneinfo import ZoneInfo

from understudy.plan.wal_retention import (
    ClusterHoldings,
    WalStretch,
    chain_of,
    reads,
    restorable_backups,
    wal_fates,
    window_bases,
)
from understudy.repository.manifests import BackupManifest
from understudy.repository.quarantine import Quarantine, believed, kept_in_quarantine
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import BackupLabel, BackupOrigin, RunId, SystemIdentifier

UNFINISHED_AGE = timedelta(hours=24)
"""As long as a backup may take. No backup is under way while what is unfinished is removed; this is a second reason to wait."""

BackupKey = tuple[SystemIdentifier, BackupLabel]
"""Two clusters of one resource may have backups of one label."""


class Ended(Protocol):
    """Whatever retention counts by time: a backup, a snapshot."""

    @property
    def stop_time(self) -> datetime: ...


E = TypeVar("E", bound=Ended)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepRules:
    daily: int
    weekly: int
    monthly: int
    manual: timedelta
    point_in_time: timedelta
    timezone: str


class KeepReason(StrEnum):
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    MANUAL = "manual"
    POINT_IN_TIME = "point_in_time"
    LAST_GOOD = "last_good"
    """The newest of its cluster that can be restored."""
    NEWEST_CHAIN = "newest_chain"
    """What stands on the newest full backup of its cluster: the next incremental one does, too."""
    QUARANTINED = "quarantined"
    PROVEN = "proven"
    """The newest of its cluster that was restored from this repository and verified."""
    NEEDED = "needed"
    """One that stays stands on it."""
    IN_USE = "in_use"
    """A run reads this chain."""
    FROM_THE_FUTURE = "from_the_future"
    """It ended later than now: one of the two clocks is wrong, so it takes nobody's place."""
    LOCKED = "locked"
    """The store lets nobody remove it yet."""
    NOT_RESTORABLE = "not_restorable"
    """It, or something that it needs, is not whole in this repository. It takes nobody's place, and stays while nothing newer
    outlives it."""


class RemovalReason(StrEnum):
    NEWER_THAT_DAY = "newer_that_day"
    PAST_EVERY_RULE = "past_every_rule"
    NOT_RESTORABLE = "not_restorable"


@dataclass(frozen=True, slots=True)
class Kept:
    """``detail``: the day, the week or the month; the backup that needs it; the run that reads it; when the lock runs out."""

    reason: KeepReason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class BackupFate:
    backup: BackupManifest
    kept: tuple[Kept, ...]
    """Every reason for which it stays; empty: it goes."""
    removed: RemovalReason | None = None
    removed_for: str = ""
    """The newer backup of that day."""

    @property
    def stays(self) -> bool:
        return bool(self.kept)


@dataclass(frozen=True, slots=True)
class UnfinishedBackup:
    """A folder without a manifest: an attempt that was killed, or a removal that was."""

    system_identifier: SystemIdentifier
    label: BackupLabel
    goes: bool = False


@dataclass(frozen=True, slots=True)
class ClusterWal:
    system_identifier: SystemIdentifier
    segment_bytes: int
    bases: tuple[BackupManifest, ...]
    """What restores to any moment begin from: all WAL behind their starts stays."""
    stretches: tuple[WalStretch, ...]

    def goes_on_behind(self, backup: BackupManifest) -> bool:
        """Whether the rules ask for all WAL behind the backup. Where they don't, a hole there is no loss."""
        return not self.bases or any(
            base.timeline <= backup.timeline and base.start_lsn <= backup.start_lsn for base in self.bases
        )

    @property
    def going(self) -> tuple[WalStretch, ...]:
        return tuple(each for each in self.stretches if each.reason is None)


@dataclass(frozen=True, kw_only=True)
class RetentionFacts:
    """What one repository holds of one resource, and who uses it."""

    now: datetime
    clusters: tuple[ClusterHoldings, ...]
    unusable: tuple[str, ...] = ()
    """Manifests that cannot be read or are not trusted, with the reason."""
    unfinished: tuple[UnfinishedBackup, ...] = ()
    in_use: Mapping[BackupLabel, RunId] = field(default_factory=dict)
    """The chains that runs read now, by their full backup's label."""
    proven: Collection[BackupKey] = ()
    """Those that were restored from this repository and verified."""
    damaged: Collection[BackupKey] = ()
    """Those that were not as signed when they were read back last. What stands on them cannot be restored either."""
    locked: Mapping[BackupKey, datetime] = field(default_factory=dict)
    """Until when the store lets nobody remove each; those that are under no lock are left out."""
    quarantines: tuple[Quarantine, ...] = ()
    """What they concern takes nobody's place, and stays, with its WAL, until they are lifted."""


@dataclass(frozen=True, slots=True)
class RetentionDecision:
    backups: tuple[BackupFate, ...]
    """Oldest first."""
    wal: tuple[ClusterWal, ...]
    unfinished: tuple[UnfinishedBackup, ...]

    @property
    def removes(self) -> bool:
        return (
            any(not each.stays for each in self.backups)
            or any(each.going for each in self.wal)
            or any(each.goes for each in self.unfinished)
        )

    def touched_chains(self) -> frozenset[BackupLabel]:
        """Those a restore of which could read something that goes."""
        going = {each.system_identifier: each.going for each in self.wal}
        return frozenset(
            fate.backup.label.chain
            for fate in self.backups
            if not fate.stays or any(reads(fate.backup, stretch) for stretch in going.get(fate.backup.system_identifier, ()))
        )


def decide_retention(rules: KeepRules, facts: RetentionFacts) -> RetentionDecision:
    """
    Raises:
        Refusal: ``retention_unsure``: a manifest cannot be believed, and what it says might stand on what would go; and as
            ``window_bases`` does.
    """
    _require_sure(facts)
    good = {each.system_identifier: _sound(each, facts.damaged) for each in facts.clusters}
    trusted = {system: believed(facts.quarantines, backups) for system, backups in good.items()}
    dated = {system: [each for each in backups if each.stop_time <= facts.now] for system, backups in trusted.items()}
    counted = sorted((each for backups in dated.values() for each in backups), key=_by_time, reverse=True)
    reasons: dict[BackupKey, set[Kept]] = {key_of(each): set() for cluster in facts.clusters for each in cluster.backups}
    _keep(reasons, by_periods(rules, counted))
    bases: dict[SystemIdentifier, tuple[BackupManifest, ...]] = {}
    for cluster in facts.clusters:
        system = cluster.system_identifier
        window = window_bases(cluster, dated[system], counted[0].stop_time - rules.point_in_time) if counted else ()
        safe = list(_for_safety(cluster, trusted[system], dated[system], facts))
        _keep(reasons, [*((each, Kept(KeepReason.POINT_IN_TIME)) for each in window), *safe])
        onward = (KeepReason.LAST_GOOD, KeepReason.IN_USE, KeepReason.FROM_THE_FUTURE, KeepReason.QUARANTINED)
        bases[system] = (*window, *(backup for backup, kept in safe if kept.reason in onward))
    if counted:
        since = counted[0].stop_time - rules.manual
        by_hand = [each for each in counted if each.origin is not BackupOrigin.AUTOMATIC and each.stop_time >= since]
        _keep(reasons, ((each, Kept(KeepReason.MANUAL)) for each in by_hand))
    _keep(reasons, _not_restorable(facts, good, reasons))
    _keep(reasons, _locked(facts))
    _keep_what_is_needed(facts, reasons)
    day = day_of(rules)
    newest_of_day = newest_of_days(rules, counted)
    fates = [
        _fate(each, reasons[key_of(each)], each in good[cluster.system_identifier], newest_of_day.get(day(each)))
        for cluster in facts.clusters
        for each in cluster.backups
    ]
    return RetentionDecision(
        backups=tuple(sorted(fates, key=lambda fate: _by_time(fate.backup))),
        wal=tuple(_wal(each, good[each.system_identifier], bases[each.system_identifier], reasons) for each in facts.clusters),
        unfinished=tuple(
            UnfinishedBackup(each.system_identifier, each.label, _is_old(each.label, facts.now)) for each in facts.unfinished
        ),
    )


def key_of(backup: BackupManifest) -> BackupKey:
    return backup.system_identifier, backup.label


def _sound(cluster: ClusterHoldings, damaged: Collection[BackupKey]) -> tuple[BackupManifest, ...]:
    by_label = {each.label: each for each in cluster.backups}
    return tuple(
        each for each in restorable_backups(cluster) if not any(key_of(below) in damaged for below in chain_of(each, by_label))
    )


def _require_sure(facts: RetentionFacts) -> None:
    mixed = [each for each in facts.clusters if len({backup.segment_bytes for backup in each.backups}) > 1]
    unsure = [*facts.unusable, *(f"backups of cluster {each.system_identifier} with segments of two sizes" for each in mixed)]
    if unsure:
        more = f", and {len(unsure) - 1} more" if len(unsure) > 1 else ""
        raise Refusal(
            "retention_unsure",
            found=f"{unsure[0]}{more}",
            expected="that every manifest can be read and is trusted: one that cannot might stand on what would go",
            hint="see understudy backups; trust its signer (encryption.signers) or move its folder out of the repository",
        )


def _keep(reasons: dict[BackupKey, set[Kept]], found: Iterable[tuple[BackupManifest, Kept]]) -> None:
    for backup, kept in found:
        reasons[key_of(backup)].add(kept)


# Rules by time


def by_periods(rules: KeepRules, newest_first: Sequence[E]) -> Iterable[tuple[E, Kept]]:
    """Grandfather, father, son: the newest of each period, for so many periods that have one."""
    for reason, count, period in (
        (KeepReason.DAILY, rules.daily, _day),
        (KeepReason.WEEKLY, rules.weekly, _week),
        (KeepReason.MONTHLY, rules.monthly, _month),
    ):
        for backup, name in islice(_newest_of_each(newest_first, _zoned(rules, period)), count):
            yield backup, Kept(reason, name)


def newest_of_days(rules: KeepRules, newest_first: Iterable[E]) -> dict[str, E]:
    return {day: each for each, day in _newest_of_each(newest_first, day_of(rules))}


def day_of(rules: KeepRules) -> Callable[[Ended], str]:
    """The day in which it ended, where the rules are at home."""
    return _zoned(rules, _day)


def _newest_of_each(newest_first: Iterable[E], period: Callable[[Ended], str]) -> Iterable[tuple[E, str]]:
    seen: set[str] = set()
    for backup in newest_first:
        name = period(backup)
        if name not in seen:
            seen.add(name)
            yield backup, name


def _zoned(rules: KeepRules, period: Callable[[datetime], str]) -> Callable[[Ended], str]:
    zone = ZoneInfo(rules.timezone)
    return lambda ended: period(ended.stop_time.astimezone(zone))


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _week(moment: datetime) -> str:
    year, week, _ = moment.isocalendar()
    return f"{year}-W{week:02d}"


def _month(moment: datetime) -> str:
    return f"{moment:%Y-%m}"


# Rules of safety


def _for_safety(
    cluster: ClusterHoldings, good: Sequence[BackupManifest], dated: Sequence[BackupManifest], facts: RetentionFacts
) -> Iterable[tuple[BackupManifest, Kept]]:
    """For each cluster by itself: no number of backups of another database makes up for its last one."""
    newest = max(dated, key=_by_time, default=None)
    if newest is not None:
        yield newest, Kept(KeepReason.LAST_GOOD)
    fulls = [each for each in dated if each.parent is None]
    if fulls:
        chain = max(fulls, key=_by_time).label
        yield from ((each, Kept(KeepReason.NEWEST_CHAIN)) for each in dated if each.label.chain == chain)
    proven = [each for each in dated if key_of(each) in facts.proven]
    if proven:
        yield max(proven, key=_by_time), Kept(KeepReason.PROVEN)
    yield from ((each, Kept(KeepReason.QUARANTINED)) for each in kept_in_quarantine(facts.quarantines, cluster.backups, good))
    yield from ((each, Kept(KeepReason.FROM_THE_FUTURE)) for each in good if each not in dated)
    for each in cluster.backups:
        if each.label.chain in facts.in_use:
            yield each, Kept(KeepReason.IN_USE, facts.in_use[each.label.chain])


def _not_restorable(
    facts: RetentionFacts, good: Mapping[SystemIdentifier, Sequence[BackupManifest]], reasons: Mapping[BackupKey, set[Kept]]
) -> Iterable[tuple[BackupManifest, Kept]]:
    """What cannot be restored from here stays until all that stays is newer: somebody may yet bring what it lacks."""
    staying = [each.stop_time for backups in good.values() for each in backups if reasons[key_of(each)]]
    for cluster in facts.clusters:
        found = good[cluster.system_identifier]
        for each in cluster.backups:
            if each not in found and (not found or each.stop_time >= min(staying)):
                yield each, Kept(KeepReason.NOT_RESTORABLE)


def _locked(facts: RetentionFacts) -> Iterable[tuple[BackupManifest, Kept]]:
    """It takes nobody's place: by all other rules the rest is decided as if it went."""
    for cluster in facts.clusters:
        for each in cluster.backups:
            until = facts.locked.get(key_of(each))
            if until is not None and until > facts.now:
                yield each, Kept(KeepReason.LOCKED, until.isoformat(timespec="seconds"))


def _keep_what_is_needed(facts: RetentionFacts, reasons: dict[BackupKey, set[Kept]]) -> None:
    for cluster in facts.clusters:
        by_label = {each.label: each for each in cluster.backups}
        for each in [each for each in cluster.backups if reasons[key_of(each)]]:
            for needed in chain_of(each, by_label)[1:]:
                reasons[key_of(needed)].add(Kept(KeepReason.NEEDED, each.label.text))


def _fate(backup: BackupManifest, kept: set[Kept], is_good: bool, newest_that_day: BackupManifest | None) -> BackupFate:
    if kept:
        order = list(KeepReason)
        return BackupFate(backup, tuple(sorted(kept, key=lambda each: (order.index(each.reason), each.detail))))
    if not is_good:
        return BackupFate(backup, (), RemovalReason.NOT_RESTORABLE)
    if newest_that_day is not None and newest_that_day != backup:
        return BackupFate(backup, (), RemovalReason.NEWER_THAT_DAY, newest_that_day.label.text)
    return BackupFate(backup, (), RemovalReason.PAST_EVERY_RULE)


def _wal(
    cluster: ClusterHoldings,
    good: Sequence[BackupManifest],
    bases: Sequence[BackupManifest],
    reasons: Mapping[BackupKey, set[Kept]],
) -> ClusterWal:
    """Without a backup that can be restored nothing tells which WAL is old."""
    kept = [each for each in cluster.backups if reasons[key_of(each)]]
    stretches = wal_fates(cluster, bases, kept) if good else ()
    return ClusterWal(cluster.system_identifier, cluster.wal.segment_bytes, tuple(bases), stretches)


def _by_time(backup: BackupManifest) -> tuple[datetime, BackupLabel]:
    return backup.stop_time, backup.label


def _is_old(label: BackupLabel, now: datetime) -> bool:
    begun = label.begun
    return begun is not None and begun <= now - UNFINISHED_AGE


def children_first(fates: Iterable[BackupFate]) -> tuple[BackupManifest, ...]:
    """What goes, in an order in which nothing that is still there has lost what it stands on."""
    going = [fate.backup for fate in fates if not fate.stays]
    clusters = {each.system_identifier for each in going}
    by_label = {system: {each.label: each for each in going if each.system_identifier == system} for system in clusters}
    return tuple(sorted(going, key=lambda each: (-len(chain_of(each, by_label[each.system_identifier])), *key_of(each))))
