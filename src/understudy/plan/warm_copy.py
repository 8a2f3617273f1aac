"""Whether a recovery goes on from the warm copy, and when another one is to be seeded. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from understudy.plan.restore_choice import Histories, RestoreChoice, chain_of_backup, leads_to
from understudy.ports.instance import InstancePlace
from understudy.ports.warm_copies import WarmCopy
from understudy.repository.manifests import BackupManifest
from understudy.steps.take_warm_copy import TakeWarmCopy
from understudy.vocabulary.identifiers import BackupLabel, ResourceName
from understudy.vocabulary.recovery_target import RecoveryTarget, TargetKind
from understudy.vocabulary.wal import Lsn, Timeline


@dataclass(frozen=True, slots=True)
class WarmCopyFacts:
    """What was seen of the copy when a recovery was planned."""

    copy: WarmCopy
    replayed: Lsn | None
    """So far at least; None where its control file cannot be read."""
    trouble: str = ""
    """Why it cannot be used, as its directory tells; empty otherwise."""
    same_file_system: bool = True
    """As the directory of the recovery: it is renamed there, not copied."""


@dataclass(frozen=True, slots=True)
class WarmCopyUse:
    """``choice``: what replay goes on from, where the copy is used; else ``unused`` says why not."""

    choice: RestoreChoice | None
    unused: str = ""


def decide_warm_copy(
    seen: WarmCopyFacts | None,
    choice: RestoreChoice,
    backups: Sequence[BackupManifest],
    histories: Histories,
    target: RecoveryTarget,
    label: str | None = None,
    *,
    declined: str = "",
) -> WarmCopyUse:
    """
    Args:
        choice: What would be restored without it; its timeline is followed either way.
        label: The backup that was asked for, if one was.
        declined: Why nobody wants it: a person said so, or a run before has failed with it.
    """
    if seen is None:
        return WarmCopyUse(None)
    unused = declined or _misfit(seen, choice, histories, target, label)
    backup = next((each for each in backups if each.label.text == seen.copy.label), None)
    if not unused and backup is None:
        unused = f"backup {seen.copy.label}, from which it came, is not usable in the repository that is read from"
    if unused or backup is None:
        return WarmCopyUse(None, unused)
    return WarmCopyUse(RestoreChoice(chain_of_backup(backup, backups), choice.timeline))


def _misfit(
    seen: WarmCopyFacts,
    choice: RestoreChoice,
    histories: Histories,
    target: RecoveryTarget,
    label: str | None,
) -> str:
    """The copy is seconds behind: any moment that a person names it has replayed already, or will have before it is stopped."""
    copy = seen.copy
    if target.kind is not TargetKind.LATEST:
        return f"it has replayed past {target}, or may have"
    if label is not None and label != copy.label:
        return f"it came from backup {copy.label}, and {label} was asked for"
    if copy.taken_by is not None:
        return f"run {copy.taken_by} has taken it"
    if copy.fault is not None:
        return f"it is no longer followed since {copy.fault.at.isoformat(timespec='seconds')}: {copy.fault.found}"
    if seen.trouble:
        return seen.trouble
    if copy.system_identifier != choice.backup.system_identifier:
        return f"it is of cluster {copy.system_identifier}, and the newest backup of {choice.backup.system_identifier}"
    if seen.replayed is None or not leads_to(histories, copy.timeline, seen.replayed, choice.timeline):
        return (
            f"it has replayed timeline {copy.timeline} to {seen.replayed}, from where nothing leads to timeline {choice.timeline}"
        )
    if not seen.same_file_system:
        return f"{copy.directory} is on another file system than the directory of the recovery"
    return ""


def take_warm_copy(resource: ResourceName, place: InstancePlace, seen: WarmCopyFacts) -> TakeWarmCopy:
    copy = seen.copy
    return TakeWarmCopy(
        resource,
        place,
        copy_directory=copy.directory,
        copy_socket_directory=copy.socket_directory,
        made_by=copy.run,
        system_identifier=copy.system_identifier,
        label=copy.label,
    )


def asked_with(use: WarmCopyUse, seen: WarmCopyFacts | None) -> str:
    """What is added to the question of a recovery."""
    if seen is not None and use.choice is not None:
        verified = seen.copy.verified.isoformat(timespec="seconds")
        return (
            f" The warm copy in {seen.copy.directory} takes the place of a restore: seeded from backup {seen.copy.label}, read "
            f"whole and checked at {verified}, and replayed to {seen.replayed}. What it has replayed since is read again once it "
            "serves."
        )
    return f" The warm copy is not used: {use.unused}." if use.unused else ""


def seeding_due(copy: WarmCopy | None, newest: BackupLabel | None, timeline: Timeline | None) -> str | None:
    """Why another copy is to be seeded now; None where none is. ``newest``: the label of the newest usable backup; ``timeline``:
    where the newest WAL that follows on it is.
    """
    if newest is None:
        return None
    if copy is None:
        return "there is no warm copy yet"
    if copy.taken_by is not None:
        return f"run {copy.taken_by} has taken the one before"
    if copy.fault is not None:
        return f"the one before fell out: {copy.fault.code}: {copy.fault.found}"
    if timeline is not None and timeline != copy.timeline:
        return f"the database goes on on timeline {timeline}, and the copy follows {copy.timeline}"
    if newest.chain > BackupLabel(copy.label).chain:
        return f"full backup {newest.chain} was taken since"
    return None
