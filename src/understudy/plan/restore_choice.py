"""Which backup to restore and along which timelines to replay. Pure: the catalog and a target in, a choice or a refusal out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from understudy.repository.manifests import BackupManifest
from understudy.repository.quarantine import Quarantine
from understudy.repository.replay_path import path_over, wal_missing
from understudy.repository.wal_contents import WalContents
from understudy.steps.replay_faults import not_shipped_yet
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.recovery_target import RecoveryTarget, TargetKind
from understudy.vocabulary.wal import Lsn, Timeline, TimelineFork, WalSegment

Histories = Mapping[Timeline, tuple[TimelineFork, ...]]
"""The ancestry of each timeline that the repository knows; timeline 1 has none."""


@dataclass(frozen=True, slots=True)
class RestoreChoice:
    """``chain`` is the full backup first; ``timeline`` is where the replay ends."""

    chain: tuple[BackupManifest, ...]
    timeline: Timeline

    @property
    def backup(self) -> BackupManifest:
        return self.chain[-1]


def leads_to(histories: Histories, from_timeline: Timeline, at: Lsn, to_timeline: Timeline) -> bool:
    """Whether a server that is at ``at`` on one timeline can replay onto the other: an ancestor, left no earlier than ``at``."""
    if from_timeline == to_timeline:
        return True
    return any(fork.parent == from_timeline and fork.at >= at for fork in histories.get(to_timeline, ()))


def choose_restore(
    backups: Sequence[BackupManifest],
    histories: Histories,
    timelines: Iterable[Timeline],
    target: RecoveryTarget,
    now: datetime,
    timeline: Timeline | None = None,
    label: str | None = None,
) -> RestoreChoice:
    """The newest backup that ends before the target, with its chain, and the timeline to follow.

    Without an asked timeline it is the newest one with any WAL that descends from the newest backup that fits: chosen here, from
    the history files, because the server's own ``latest`` follows any clone that ever promoted into the same archive.

    Whether the WAL in between is there is another question (``require_wal``).

    Args:
        timelines: Those of which the repository holds any WAL.

    Raises:
        Refusal: ``no_backup``, ``no_such_backup``, ``target_in_future``, ``target_before_first_backup``, ``timeline_unknown``,
            ``chain_broken``.
    """
    if not backups:
        raise Refusal("no_backup", found="no usable backup in the repository", expected="at least one",
                      hint="take one with: understudy backup RESOURCE --full")  # fmt: skip
    if target.kind is TargetKind.TIME and target.time > now:
        raise Refusal("target_in_future", found=f"the target {target.value}", expected=f"a moment before now, {now.isoformat()}",
                      hint="check the date and the offset of the time that was asked for")  # fmt: skip
    by_age = sorted(backups, key=lambda backup: backup.stop_time, reverse=True)
    if label is not None:
        by_age = _only(by_age, label)
    before_target = [backup for backup in by_age if _ends_before(backup, target)]
    if not before_target:
        raise _target_too_early(by_age, target)
    written = {*timelines, *(backup.timeline for backup in backups)}
    known = {Timeline(1), *histories, *written}
    if timeline is not None and timeline not in known:
        raise Refusal("timeline_unknown", found=f"timeline {timeline}", expected=f"one of {sorted(known)}",
                      hint="understudy backups RESOURCE lists the timelines that the repository holds")  # fmt: skip
    for backup in before_target:
        wanted = timeline if timeline is not None else _newest_descendant(backup, written, histories)
        if leads_to(histories, backup.timeline, backup.stop_lsn, wanted):
            return RestoreChoice(chain_of_backup(backup, backups), wanted)
    raise Refusal(
        "timeline_unknown",
        found=f"no backup before {target} leads to timeline {timeline}",
        expected="a backup on that timeline or on an ancestor of it, taken before the fork",
        hint="choose another timeline or an earlier target",
    )


def _ends_before(backup: BackupManifest, target: RecoveryTarget) -> bool:
    match target.kind:
        case TargetKind.TIME:
            return backup.stop_time < target.time
        case TargetKind.LSN:
            return backup.stop_lsn <= Lsn.parse(target.value)
        case _:
            return True


def _newest_descendant(backup: BackupManifest, known: set[Timeline], histories: Histories) -> Timeline:
    return max(each for each in known if leads_to(histories, backup.timeline, backup.stop_lsn, each))


def require_history(timeline: Timeline, damaged: Collection[Timeline], later: Iterable[Timeline] = ()) -> None:
    """See that no history file that cannot be read could change what is followed; those of earlier timelines could not.

    A later timeline of which there is WAL may descend from the backup, and hold what is newest. Only a person can say that it is
    not wanted.

    Args:
        later: Those that would have been chosen instead, had they been known to descend from the backup.

    Raises:
        Refusal: ``timeline_history_damaged``.
    """
    in_doubt = timeline if timeline in damaged else max({each for each in later if each > timeline} & {*damaged}, default=None)
    if in_doubt is None:
        return
    stay = f"; or follow timeline {timeline}, which is known, with --timeline {timeline}" if in_doubt != timeline else ""
    raise Refusal(
        "timeline_history_damaged",
        found=f"the history file of timeline {in_doubt} cannot be read, so nobody knows what it descends from",
        expected="the history of the timeline to follow, and of all that began after it",
        hint=f"use another repository's copy with --repository{stay}",
    )


def require_believed(choice: RestoreChoice, target: RecoveryTarget, quarantines: Iterable[Quarantine]) -> None:
    """See that replay would not go on into WAL of which nothing is to be believed.

    Raises:
        Refusal: ``target_quarantined``.
    """
    over = next((each for each in quarantines if each.covers_replay(choice.backup, choice.timeline, target)), None)
    if over is None:
        return
    resource, since = choice.backup.resource, over.since.isoformat()
    raise Refusal(
        "target_quarantined",
        found=f"from backup {choice.backup.label} to {target} on timeline {choice.timeline}: nothing of {resource} from {since} "
        "on is to be believed",
        expected="a moment before that, or the timeline of a recovery",
        hint=f"recover it to before that: understudy recover security_incident --before {since}; restore a copy: --time with an "
        "earlier moment; to look at what is quarantined, restore a copy with --quarantined; if it is to be believed after all: "
        f"understudy quarantine lift {resource}",
    )


def require_wal(
    choice: RestoreChoice, histories: Histories, contents: WalContents, target: RecoveryTarget, ship_every: timedelta
) -> None:
    """See, before anything is touched, that replay can come to a consistent state and to its target.

    A hole matters where everything is wanted. Before a moment that is told by time, by transaction or by name there may be one
    behind it: replay finds out.

    Raises:
        GiveUp: ``wal_missing``.
        Refusal: ``target_beyond_wal``.
    """
    backup = choice.backup
    forks = histories.get(choice.timeline, ())
    to_the_end = target.kind is TargetKind.LATEST
    path = path_over(contents, forks, backup.timeline, backup.start_lsn, choice.timeline, up_to_gap=not to_the_end)
    if path.reaches_at_most < backup.stop_lsn:
        raise wal_missing(path.gap or WalSegment.holding(backup.timeline, path.reaches, contents.segment_bytes))
    if target.kind is not TargetKind.LSN or path.reaches_at_most >= Lsn.parse(target.value):
        return
    if path.gap is not None:
        raise wal_missing(path.gap)
    raise Refusal(
        "target_beyond_wal",
        found=f"the repository's WAL on timeline {choice.timeline} ends at {path.reaches}",
        expected=f"WAL up to the target {target.value}",
        hint=f"{not_shipped_yet(ship_every.total_seconds())}; or restore to latest",
    )


def _only(backups: Sequence[BackupManifest], label: str) -> list[BackupManifest]:
    named = [backup for backup in backups if backup.label.text == label]
    if not named:
        raise Refusal("no_such_backup", found=f"no backup is called {label}",
                      expected=f"one of {', '.join(backup.label.text for backup in backups)}",
                      hint="list them with: understudy backups")  # fmt: skip
    return named


def _target_too_early(backups: Sequence[BackupManifest], target: RecoveryTarget) -> Refusal:
    oldest = backups[-1]
    return Refusal(
        "target_before_first_backup",
        found=f"the target {target} lies before the end of the oldest usable backup, {oldest.label}",
        expected=f"a target behind {oldest.stop_time.isoformat()} (LSN {oldest.stop_lsn})",
        hint="a backup is consistent only from its end on; choose a later target, or --immediate with that backup",
    )


def chain_of_backup(backup: BackupManifest, backups: Sequence[BackupManifest]) -> tuple[BackupManifest, ...]:
    """What it stands on, the full one first, then itself.

    Raises:
        Refusal: ``chain_broken``.
    """
    by_label = {each.label: each for each in backups}
    chain = [backup]
    while chain[0].parent is not None:
        parent = by_label.get(chain[0].parent)
        if parent is None:
            raise Refusal("chain_broken", found=f"{chain[0].label} stands on {chain[0].parent}, which is not usable",
                          expected="every backup down to its full one",
                          hint="restore from a backup of another chain: --backup LABEL")  # fmt: skip
        chain.insert(0, parent)
    return tuple(chain)


def require_known_tablespaces(backups: Sequence[BackupManifest], named: Collection[str]) -> None:
    """A name that no backup knows is mistyped, and what it was meant for would go elsewhere.

    Raises:
        Refusal: ``no_such_tablespace``.
    """
    known = sorted({tablespace.name for backup in backups for tablespace in backup.tablespaces})
    unknown = sorted(set(named) - set(known))
    if unknown:
        raise Refusal(
            "no_such_tablespace",
            found=f"no backup holds a tablespace called {', '.join(unknown)}",
            expected=f"one of {', '.join(known)}" if known else "no --tablespace: the backups hold none",
            hint="leave it out, or spell it as the database does (select spcname from pg_tablespace)",
        )
