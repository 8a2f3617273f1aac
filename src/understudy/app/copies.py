"""What the records say of each repository's copy of a resource: how new it is, what has proven it, what its store promises."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from understudy.app.installation import Installation
from understudy.app.protection import EndedRun, ended_run
from understudy.records.run import RunState, StepRecord
from understudy.steps.copy_backup import copy_completed_key
from understudy.steps.copy_snapshot import snapshot_copied_key
from understudy.steps.lock_stored import locked_key
from understudy.steps.write_backup_manifest import backup_completed_key
from understudy.steps.write_snapshot_manifest import snapshot_completed_key
from understudy.vocabulary.identifiers import RepositoryName, ResourceName, RunId, StepKey

_PROVEN_BY = ("restore-base-backup", "restore-snapshot")
"""Verbs of the steps that read a copy whole."""


@dataclass(frozen=True, slots=True)
class KeptCopy:
    label: str
    ended: datetime
    """When its manifest was signed there."""
    run: RunId


@dataclass(frozen=True, slots=True)
class LockStatus:
    mode: str
    until: datetime
    """Of the newest copy: of all that it needs, the lock that runs out first, as the store told it then."""


@dataclass(frozen=True, slots=True)
class CopyStatus:
    """Of one resource in one repository."""

    repository: RepositoryName
    newest: KeptCopy | None
    """None: none was made from here."""
    behind_seconds: float | None
    """How much older it is than the newest of all repositories; None: there is none."""
    can_lock: bool
    """False: a directory, from which whoever may write to it may remove everything."""
    asked_to_lock: bool
    lock: LockStatus | None
    last_proof: EndedRun | None
    """The newest restore, drill or recovery from this repository that succeeded."""


def copies(installation: Installation, name: ResourceName) -> tuple[CopyStatus, ...]:
    """In the order in which they are tried. From the records alone: no store is asked."""
    repositories = installation.repository_names(name)
    first, *others = repositories
    newest = {first: _newest(installation, _completed(installation, name))}
    newest |= {other: _newest(installation, _copied(installation, name, other)) for other in others}
    proofs = _proofs(installation, name, repositories)
    last = max((each.ended for each in newest.values() if each is not None), default=None)
    by_label = {each.label: each.ended for each in (newest[first],) if each is not None}
    return tuple(_of(installation, name, each, newest[each], last, by_label, proofs.get(each)) for each in repositories)


def _of(
    installation: Installation,
    resource: ResourceName,
    name: RepositoryName,
    newest: KeptCopy | None,
    last: datetime | None,
    by_label: dict[str, datetime],
    proof: EndedRun | None,
) -> CopyStatus:
    behind = None
    if newest is not None and last is not None:
        # The same backup is signed in one repository after the other: that makes the second no older.
        behind = 0.0 if newest.label in by_label else max(0.0, (last - newest.ended).total_seconds())
    settings = installation.stack.repositories[name]
    return CopyStatus(
        repository=name,
        newest=newest,
        behind_seconds=behind,
        can_lock=not settings.url.startswith("file:"),
        asked_to_lock=settings.lock is not None,
        lock=_lock(installation, resource, name),
        last_proof=proof,
    )


def _completed(installation: Installation, name: ResourceName) -> StepKey:
    return backup_completed_key(name) if installation.is_database(name) else snapshot_completed_key(name)


def _copied(installation: Installation, name: ResourceName, other: RepositoryName) -> StepKey:
    return copy_completed_key(name, other) if installation.is_database(name) else snapshot_copied_key(name, other)


def _newest(installation: Installation, key: StepKey) -> KeptCopy | None:
    step = installation.records.newest_success(key)
    if step is None or step.evidence is None or step.ended is None:
        return None
    return KeptCopy(str(step.evidence.proof["label"]), step.ended, step.run)


def _lock(installation: Installation, resource: ResourceName, name: RepositoryName) -> LockStatus | None:
    step = installation.records.newest_success(locked_key(resource, name))
    if step is None or step.evidence is None:
        return None
    proof = step.evidence.proof
    return LockStatus(str(proof["mode"]), datetime.fromisoformat(str(proof["locked_until"])))


def _proofs(
    installation: Installation, resource: ResourceName, repositories: Collection[RepositoryName]
) -> dict[RepositoryName, EndedRun]:
    """The newest ones are looked at until each repository is found."""
    found: dict[RepositoryName, EndedRun] = {}
    for verb in _PROVEN_BY:
        for step in installation.records.history.successes(StepKey(f"{resource}/{verb}")):
            name = _read_from(step)
            if name is None or name in found or name not in repositories:
                continue
            run = installation.records.run(step.run)
            if run.state is RunState.SUCCEEDED:
                found[name] = ended_run(run)
            if len(found) == len(repositories):
                return found
    return found


def _read_from(step: StepRecord) -> RepositoryName | None:
    """None where it read only some of it, or does not say."""
    proof = {} if step.evidence is None else step.evidence.proof
    told = proof.get("repository")
    return None if told is None or proof.get("only") else RepositoryName(str(told))
