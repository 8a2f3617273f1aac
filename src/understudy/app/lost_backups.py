"""Backups that were completed in a repository, that no retention was to remove, and that are no longer there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import cast

from understudy.app.installation import Installation
from understudy.app.plans_as_written import steps_as_written
from understudy.app.retention import rules_of
from understudy.app.snapshot_retention import snapshot_rules
from understudy.app.snapshots import snapshots_of
from understudy.plan.plan import Procedure
from understudy.records.run import StepRecord
from understudy.repository.backup_checks import ObjectFault
from understudy.repository.catalog import Repository
from understudy.steps.copy_backup import copy_completed_key
from understudy.steps.copy_snapshot import snapshot_copied_key
from understudy.steps.remove_backups import REMOVES_BACKUPS
from understudy.steps.remove_snapshots import REMOVES_SNAPSHOTS
from understudy.steps.write_backup_manifest import backup_completed_key
from understudy.steps.write_snapshot_manifest import snapshot_completed_key
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.identifiers import RepositoryName, ResourceName


def lost_backups(
    installation: Installation, name: RepositoryName, repository: Repository, resource: ResourceName, there: Collection[str]
) -> Mapping[str, ObjectFault]:
    """By label, what the records of this state directory say was completed in the repository and is not ``there``; backups of a
    database, snapshots of what is none.

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
    missing = completed.keys() - set(there) - set(_released(installation, name, resource))
    if not missing:
        return {}
    newest = max(completed, key=lambda label: label.split("_")[-1])
    elsewhere = _held_elsewhere(installation, name, resource)
    rules = rules_of(installation, resource) if installation.is_database(resource) else snapshot_rules(installation, resource)
    since = installation.clock.now() - rules.point_in_time
    return {
        label: _fault(installation, resource, label, step, label in elsewhere)
        for label, step in sorted(completed.items())
        if label in missing and (label == newest or label in elsewhere or (step.ended is not None and step.ended >= since))
    }


def _fault(installation: Installation, resource: ResourceName, label: str, step: StepRecord, elsewhere: bool) -> ObjectFault:
    again = f"understudy backup {resource} --full" if installation.is_database(resource) else f"understudy backup {resource}"
    held = "; another repository still holds it" if elsewhere else ""
    return ObjectFault(
        f"{resource}/{label}",
        "backup_lost",
        found=f"run {step.run} completed it here, no retention was to remove it, and it is no longer there{held}",
        expected="what was stored here, until keep lets it go",
        hint=f"find out what became of it; a new one makes this repository of use again: {again}",
    )


def _completed(installation: Installation, name: RepositoryName, resource: ResourceName) -> Iterator[tuple[str, StepRecord]]:
    """By label; taken here, or copied here."""
    history = installation.past.history
    of_database = installation.is_database(resource)
    completed_key = backup_completed_key(resource) if of_database else snapshot_completed_key(resource)
    copied_key = copy_completed_key(resource, name) if of_database else snapshot_copied_key(resource, name)
    taken = (step for step in history.successes(completed_key) if _proof(step).get("repository") == name)
    for step in (*taken, *history.successes(copied_key)):
        yield str(_proof(step)["label"]), step


def _proof(step: StepRecord) -> Mapping[str, object]:
    return {} if step.evidence is None else step.evidence.proof


def _released(installation: Installation, name: RepositoryName, resource: ResourceName) -> Iterator[str]:
    """What retention decided to remove, whatever became of the run: one that was killed may have removed it all the same."""
    for run in installation.past.history.of((Procedure.EXPIRY,)):
        for fields in steps_as_written(installation.past.plan(run)):
            if (fields.get("resource"), fields.get("repository")) != (resource, name):
                continue
            if fields["step"] == REMOVES_BACKUPS:
                for folder in cast("Sequence[str]", fields["backups"]):
                    yield folder.partition("/")[2]
            elif fields["step"] == REMOVES_SNAPSHOTS:
                yield from cast("Sequence[str]", fields["labels"])


def _usable_in(installation: Installation, name: RepositoryName, resource: ResourceName) -> frozenset[str]:
    if installation.is_database(resource):
        return frozenset(each.label.text for each in installation.repository(name).backups(resource).usable)
    return frozenset(each.label.text for each in snapshots_of(installation, resource, name).found().usable)


def _held_elsewhere(installation: Installation, name: RepositoryName, resource: ResourceName) -> frozenset[str]:
    """In the resource's other repositories, as far as they can be asked now."""
    held: set[str] = set()
    for other in installation.repository_names(resource):
        try:
            held |= frozenset() if other == name else _usable_in(installation, other, resource)
        except UnderstudyError:
            continue
    return frozenset(held)
