"""Backups that were completed in a repository, that no retention was to remove, and that are no longer there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from understudy.app.installation import Installation
from understudy.app.retention import rules_of, steps_as_written
from understudy.plan.plan import Procedure
from understudy.records.run import StepRecord
from understudy.repository.backup_checks import ObjectFault
from understudy.repository.catalog import BackupListing, Repository
from understudy.steps.copy_backup import copy_completed_key
from understudy.steps.remove_backups import REMOVES_BACKUPS
from understudy.steps.write_backup_manifest import backup_completed_key
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.identifiers import RepositoryName, ResourceName


def lost_backups(
    installation: Installation, name: RepositoryName, repository: Repository, resource: ResourceName, listing: BackupListing
) -> Mapping[str, ObjectFault]:
    """By label, what the records of this state directory say was completed in the repository and ``listing`` lacks.

    Of those: the newest, what is young enough for the window of ``keep``, and what another repository still holds. A loss is so
    told until the rules would have let the backup go.

    Nothing from before this controller's claim, nor where another one writes by now: what that one removed is not in these
    records. Nor where nothing is recorded: a host that only looks knows of no backup but those that are there.

    Raises:
        UnderstudyError: what the repository raises.
    """
    if not (installation.state / "state.db").exists():
        return {}
    claim = repository.current_epoch()
    if claim is None or claim.controller != installation.past.controller_id():
        return {}
    completed = {
        label: step for label, step in _completed(installation, name, resource) if step.ended and step.ended >= claim.claimed
    }
    there = {each.label.text for each in listing.usable} | {each.key.split("/")[-2] for each in listing.unusable}
    missing = completed.keys() - there - set(_released(installation, name, resource))
    if not missing:
        return {}
    newest = max(completed, key=lambda label: label.split("_")[-1])
    elsewhere = _held_elsewhere(installation, name, resource)
    since = installation.clock.now() - rules_of(installation, resource).point_in_time
    return {
        label: _fault(resource, label, step, label in elsewhere)
        for label, step in sorted(completed.items())
        if label in missing and (label == newest or label in elsewhere or (step.ended is not None and step.ended >= since))
    }


def _fault(resource: ResourceName, label: str, step: StepRecord, elsewhere: bool) -> ObjectFault:
    held = "; another repository still holds it" if elsewhere else ""
    return ObjectFault(
        f"{resource}/{label}",
        "backup_lost",
        found=f"run {step.run} completed it here, no retention was to remove it, and it is no longer there{held}",
        expected="what was stored here, until keep lets it go",
        hint=f"find out what became of it; a full backup makes this repository of use again: understudy backup {resource} --full",
    )


def _completed(installation: Installation, name: RepositoryName, resource: ResourceName) -> Iterator[tuple[str, StepRecord]]:
    """By label; taken here, or copied here."""
    history = installation.past.history
    taken = (step for step in history.successes(backup_completed_key(resource)) if _proof(step).get("repository") == name)
    for step in (*taken, *history.successes(copy_completed_key(resource, name))):
        yield str(_proof(step)["label"]), step


def _proof(step: StepRecord) -> Mapping[str, object]:
    return {} if step.evidence is None else step.evidence.proof


def _released(installation: Installation, name: RepositoryName, resource: ResourceName) -> Iterator[str]:
    """What retention decided to remove, whatever became of the run: one that was killed may have removed it all the same."""
    for run in installation.past.history.of((Procedure.EXPIRY,)):
        for fields in steps_as_written(installation.past.plan(run)):
            if fields["step"] == REMOVES_BACKUPS and (fields["resource"], fields["repository"]) == (resource, name):
                for folder in cast("Sequence[str]", fields["backups"]):
                    yield folder.partition("/")[2]


def _held_elsewhere(installation: Installation, name: RepositoryName, resource: ResourceName) -> frozenset[str]:
    """In the resource's other repositories, as far as they can be asked now."""
    held: set[str] = set()
    for other in installation.repository_names(resource):
        try:
            listing = () if other == name else installation.repository(other).backups(resource).usable
        except UnderstudyError:
            continue
        held |= {each.label.text for each in listing}
    return frozenset(held)
