"""What replay ends with when it does not come to its target, said for people."""

from __future__ import annotations

from datetime import timedelta

from understudy.ports.instance import InstanceFacts, InstancePlace
from understudy.repository.replay_path import ReplayPath
from understudy.vocabulary.errors import GiveUp, TryAgain
from understudy.vocabulary.recovery_target import RecoveryTarget, TargetKind
from understudy.vocabulary.wal import Lsn

_START_AGAIN = timedelta(milliseconds=200)


def not_shipped_yet(ship_every_seconds: float) -> str:
    """What to do about a target that lies behind all WAL that is held."""
    return (
        f"its WAL is not shipped yet: understudy serve ships every {ship_every_seconds:g} s (wal.ship_every), so wait so long "
        "where it runs, and start it where it does not"
    )


def earlier_attempt_ended(place: InstancePlace) -> TryAgain:
    """It may have given up because nobody fetched for it, just when we came back."""
    return TryAgain(
        "instance_ended",
        found=f"the server of an earlier attempt in {place.directory} ended",
        expected="that it replays on; it is started again now",
        hint=f"nothing is to be done; why it ended, its log says: {place.log_file}",
        after=_START_AGAIN,
    )


def promoted_by_itself() -> GiveUp:
    return GiveUp(
        "promoted_by_itself",
        found="the server left recovery although it was started as a standby",
        expected="that only Understudy promotes it",
        hint="somebody promoted it, or removed standby.signal; remove the target directory and start again",
    )


def ended(place: InstancePlace, facts: InstanceFacts) -> GiveUp:
    return GiveUp(
        "instance_failed",
        found=f"the server ended while replaying; its last words: {' | '.join(facts.last_words[-4:])}",
        expected="that it replays to the target",
        hint=f"its whole log is {place.log_file}; when the cause is mended, start again",
    )


def not_reached(
    target: RecoveryTarget, timeline: int, path: ReplayPath, facts: InstanceFacts, ship_every_seconds: float
) -> GiveUp:
    hole = f"; segment {path.gap}, which follows, is missing" if path.gap else ""
    return GiveUp(
        "wal_missing" if path.gap else "target_not_reached",
        found=f"all WAL of timeline {timeline} up to {path.reaches} was replayed, the last commit is of "
        f"{facts.last_replayed_commit or 'unknown time'}, and {target} was not met{hole}",
        expected="a commit, a restore point or a position at or behind the target",
        hint=_not_reached_hint(target, ship_every_seconds),
    )


def _not_reached_hint(target: RecoveryTarget, ship_every_seconds: float) -> str:
    if target.kind is TargetKind.TIME:
        not_yet = not_shipped_yet(ship_every_seconds)
        return f"if nothing was committed at that moment or since, restore to latest, which is the same; else {not_yet}"
    return (
        "if the target lies behind the newest WAL in the repository, restore to latest; if it is a transaction or a "
        "name that is older than this backup, choose an older one with --backup"
    )


def target_passed(target: RecoveryTarget, before: Lsn | None, now: Lsn | None) -> GiveUp:
    return GiveUp(
        "target_passed",
        found=f"replay without a target went on from {before} to {now}",
        expected=f"that no WAL came behind {target.value} meanwhile",
        hint="WAL is still being shipped into the repository; start again, so that the server is stopped at its target",
    )


def unreadable(path: ReplayPath, facts: InstanceFacts, other_repositories: tuple[str, ...]) -> GiveUp:
    """``other_repositories``: each may hold a sound copy."""
    before = f"restore to {facts.replayed} with --lsn, or to a --time before it" if facts.replayed else "take an older backup"
    named = " or ".join(f"--repository {each}" for each in other_repositories)
    elsewhere = f" with {named}" if named else ", if there is one"
    return GiveUp(
        "wal_unreadable",
        found=f"replay stopped at {facts.replayed or 'a position before the end of the backup'}: the record there is "
        f"invalid, although the repository holds WAL up to {path.reaches}",
        expected="an unbroken sequence of records up to there",
        hint=f"recover from another repository's copy{elsewhere}; or, giving up all that was written since, {before}",
    )
