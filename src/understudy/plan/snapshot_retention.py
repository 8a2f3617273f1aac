"""Which snapshots of a resource that is no database stay, each with all its reasons. Pure.

The same rules as for backups (``plan.retention``), and simpler: no snapshot stands on another one, and there is no WAL. A part
stays as long as a snapshot that stays refers to it; that follows from the manifests alone (``repository.snapshots.removal``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from understudy.plan.retention import (
    UNFINISHED_AGE,
    KeepReason,
    KeepRules,
    Kept,
    RemovalReason,
    by_periods,
    day_of,
    newest_of_days,
)
from understudy.repository.quarantine import Quarantine, believed, kept_in_quarantine
from understudy.repository.snapshots.manifest import SnapshotManifest
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import BackupOrigin, RunId, SnapshotLabel


@dataclass(frozen=True, kw_only=True)
class SnapshotRetentionFacts:
    """What one repository holds of one resource, and who uses it."""

    now: datetime
    snapshots: tuple[SnapshotManifest, ...]
    unusable: tuple[str, ...] = ()
    """Manifests that cannot be read or are not trusted, with the reason."""
    unfinished: tuple[SnapshotLabel, ...] = ()
    """Folders without a manifest."""
    in_use: Mapping[SnapshotLabel, RunId] = field(default_factory=dict)
    """Those that runs read now."""
    proven: Collection[SnapshotLabel] = ()
    """Those that were restored from this repository and verified."""
    damaged: Collection[str] = ()
    """Labels of those that were not as signed when they were read back last: each takes nobody's place."""
    locked: Mapping[SnapshotLabel, datetime] = field(default_factory=dict)
    """Until when the store lets nobody remove each; those that are under no lock are left out."""
    quarantines: tuple[Quarantine, ...] = ()
    """What they concern takes nobody's place, and stays until they are lifted."""


@dataclass(frozen=True, slots=True)
class SnapshotFate:
    snapshot: SnapshotManifest
    kept: tuple[Kept, ...]
    """Every reason for which it stays; empty: it goes."""
    removed: RemovalReason | None = None
    removed_for: str = ""
    """The newer snapshot of that day."""

    @property
    def stays(self) -> bool:
        return bool(self.kept)


@dataclass(frozen=True, slots=True)
class SnapshotRetentionDecision:
    snapshots: tuple[SnapshotFate, ...]
    """Oldest first."""
    unfinished: tuple[SnapshotLabel, ...]
    """Folders that go: what killed attempts left."""
    parts_begun_before: datetime
    """Parts that no snapshot refers to go where their own snapshot was begun before this."""

    @property
    def going(self) -> tuple[SnapshotManifest, ...]:
        return tuple(fate.snapshot for fate in self.snapshots if not fate.stays)


def decide_snapshot_retention(rules: KeepRules, facts: SnapshotRetentionFacts) -> SnapshotRetentionDecision:
    """
    Raises:
        Refusal: ``retention_unsure``: a manifest cannot be believed, and may name any part.
    """
    if facts.unusable:
        more = f", and {len(facts.unusable) - 1} more" if len(facts.unusable) > 1 else ""
        raise Refusal(
            "retention_unsure",
            found=f"{facts.unusable[0]}{more}",
            expected="that every manifest can be read and is trusted: one that cannot might stand on what would go",
            hint="see understudy backups; trust its signer (encryption.signers) or move its folder out of the repository",
        )
    sound = [each for each in facts.snapshots if each.label.text not in facts.damaged]
    trusted = believed(facts.quarantines, sound)
    counted = sorted((each for each in trusted if each.stop_time <= facts.now), key=_by_time, reverse=True)
    reasons: dict[SnapshotLabel, set[Kept]] = {each.label: set() for each in facts.snapshots}
    for snapshot, kept in [*by_periods(rules, counted), *_by_age(rules, counted), *_for_safety(facts, counted)]:
        reasons[snapshot.label].add(kept)
    for snapshot in kept_in_quarantine(facts.quarantines, facts.snapshots, trusted):
        reasons[snapshot.label].add(Kept(KeepReason.QUARANTINED))
    for snapshot in _not_restorable(facts, sound, reasons):
        reasons[snapshot.label].add(Kept(KeepReason.NOT_RESTORABLE))
    for label, until in facts.locked.items():
        if until > facts.now and label in reasons:
            reasons[label].add(Kept(KeepReason.LOCKED, until.isoformat(timespec="seconds")))
    day, newest_of_day = day_of(rules), newest_of_days(rules, counted)
    old = facts.now - UNFINISHED_AGE
    return SnapshotRetentionDecision(
        snapshots=tuple(
            _fate(each, reasons[each.label], each in sound, newest_of_day.get(day(each)))
            for each in sorted(facts.snapshots, key=_by_time)
        ),
        unfinished=tuple(label for label in facts.unfinished if label.begun is not None and label.begun <= old),
        parts_begun_before=old,
    )


def _by_age(rules: KeepRules, newest_first: Sequence[SnapshotManifest]) -> Iterable[tuple[SnapshotManifest, Kept]]:
    """Durations are counted back from the newest one, so that a clock that jumps ahead removes nothing more."""
    if not newest_first:
        return
    newest = newest_first[0].stop_time
    for each in newest_first:
        if each.origin is BackupOrigin.MANUAL and each.stop_time >= newest - rules.manual:
            yield each, Kept(KeepReason.MANUAL)
    for each in newest_first:
        yield each, Kept(KeepReason.POINT_IN_TIME)
        if each.stop_time <= newest - rules.point_in_time:
            # What was there when the window begins.
            return


def _for_safety(
    facts: SnapshotRetentionFacts, newest_first: Sequence[SnapshotManifest]
) -> Iterable[tuple[SnapshotManifest, Kept]]:
    if newest_first:
        yield newest_first[0], Kept(KeepReason.LAST_GOOD)
    for each in newest_first:
        if each.label in facts.proven:
            yield each, Kept(KeepReason.PROVEN)
            break
    for each in facts.snapshots:
        if each.stop_time > facts.now:
            yield each, Kept(KeepReason.FROM_THE_FUTURE)
        if each.label in facts.in_use:
            yield each, Kept(KeepReason.IN_USE, facts.in_use[each.label])


def _not_restorable(
    facts: SnapshotRetentionFacts, sound: Sequence[SnapshotManifest], reasons: Mapping[SnapshotLabel, set[Kept]]
) -> list[SnapshotManifest]:
    """What is damaged stays until all that stays is newer: most of it may still be of use, and its store may be mended."""
    oldest = min((each.stop_time for each in sound if reasons[each.label]), default=None)
    damaged = [each for each in facts.snapshots if each not in sound]
    return [each for each in damaged if oldest is None or each.stop_time >= oldest]


def _fate(snapshot: SnapshotManifest, kept: set[Kept], is_sound: bool, newest_that_day: SnapshotManifest | None) -> SnapshotFate:
    if kept:
        order = list(KeepReason)
        return SnapshotFate(snapshot, tuple(sorted(kept, key=lambda each: (order.index(each.reason), each.detail))))
    if not is_sound:
        return SnapshotFate(snapshot, (), RemovalReason.NOT_RESTORABLE)
    if newest_that_day is not None and newest_that_day != snapshot:
        return SnapshotFate(snapshot, (), RemovalReason.NEWER_THAT_DAY, newest_that_day.label.text)
    return SnapshotFate(snapshot, (), RemovalReason.PAST_EVERY_RULE)


def _by_time(snapshot: SnapshotManifest) -> tuple[datetime, SnapshotLabel]:
    return snapshot.stop_time, snapshot.label
