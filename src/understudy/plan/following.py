"""What comes after a run of a request: decided from how it ended, and from nothing else. Pure.

Some ends of a run call for another one: a server that refuses an incremental backup gets a full one, a damaged backup gives way
to an older one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from understudy.plan.backup import is_full
from understudy.plan.plan import Plan, PlannedStep, Procedure
from understudy.plan.request import BackupRequest, Choice, RecoveryRequest, Request, StackRequest
from understudy.plan.snapshot import is_anew
from understudy.records.run import RunState, StepRecord, StepState
from understudy.steps.check_pages import PAGES_DAMAGED
from understudy.steps.check_prerequisites import CheckPrerequisites
from understudy.steps.copy_backup import PARENT_MISSING
from understudy.steps.open_to_clients import OpenToClients
from understudy.steps.provision_target import DATA_SET_ASIDE
from understudy.steps.replay_wal import ReplayWal
from understudy.steps.restore_base_backup import BACKUP_AT_FAULT, RestoreBaseBackup
from understudy.steps.restore_snapshot import REPOSITORY_AWAY, RestoreSnapshot
from understudy.steps.rotate_credentials import RotateCredentials
from understudy.steps.take_warm_copy import TakeWarmCopy
from understudy.vocabulary.identifiers import RepositoryName, ResourceName, StepKey
from understudy.vocabulary.recovery_target import RecoveryTarget, TargetKind

REPLANNED_AS_FULL = ("incremental_refused", "slot_lost", "wal_removed", "wal_hole", PARENT_MISSING)
"""The server refuses an incremental backup; or WAL was lost, and the stream begins anew behind the gap with a full one only; or a
further repository lacks what it stands on."""

DAMAGE = (
    "part_corrupt", "part_missing", "part_incomplete", "sealed_corrupt", "compressed_corrupt", "object_missing",
    "object_unreadable", "backup_file_missing", "backup_file_unexpected", "backup_file_differs", "manifest_corrupt",
    "archive_cut_short", "archive_corrupt", "incremental_corrupt",
)  # fmt: skip
"""What a restore finds of a backup that is not as it was written. Another key or a store that is away is no damage."""

REPLANNED_ANEW = (*DAMAGE, "wrong_key", "snapshot_missing", "document_malformed", "signature_untrusted")
"""What is found of the snapshots that another one uses; taken anew, it uses none."""

DAMAGED_COPIES = (PAGES_DAMAGED, "logical_read_failed", "structure_damaged")
"""What is found of a copy that was replayed to the target; damage where the evidence names a backup, as it does for bad pages."""

TARGET_NOT_REACHED = "target_not_reached"
_UNDATED = (TargetKind.NAME, TargetKind.TRANSACTION)
"""Of these nothing tells beforehand whether they lie before or behind a backup: replay finds out."""

RepositoriesOf = Callable[[ResourceName], Sequence[RepositoryName]]
"""All of a resource, in the order in which they are tried."""


def next_request(
    request: Request, plan: Plan, state: RunState, steps: Sequence[StepRecord], repositories_of: RepositoriesOf = lambda name: ()
) -> Request | None:
    """What is to be planned now that the last run has ended so; None when the request has come to its end."""
    if state is not RunState.FAILED:
        return None
    if isinstance(request, BackupRequest):
        return _as_full(request, plan, steps)
    if isinstance(request, StackRequest):
        return _of_what_is_left(request, plan, steps, repositories_of)
    return _from_another_backup(request, plan.steps, steps, repositories_of(request.resource))


def _as_full(request: BackupRequest, plan: Plan, steps: Sequence[StepRecord]) -> BackupRequest | None:
    codes = REPLANNED_AS_FULL if is_anew(plan) else REPLANNED_ANEW
    refused = next((step.error.found for step in steps if step.error is not None and step.error.code in codes), None)
    return None if refused is None or (is_full(plan) and is_anew(plan)) else replace(request, incremental_refused=refused)


def _of_what_is_left(
    request: StackRequest, plan: Plan, steps: Sequence[StepRecord], repositories_of: RepositoriesOf
) -> StackRequest | None:
    """What can be tried again, and what waits for that. What came back stays; what failed for good keeps back all that depends on
    it: planned without it, that would look as if nothing were missing.
    """
    whole = {each.step.key for each in plan.steps if isinstance(each.step, CheckPrerequisites | RotateCredentials)}
    agreed = next((step.approval.by for step in steps if step.approval is not None), None)
    again: dict[ResourceName, RecoveryRequest] = {}
    kept_back: dict[ResourceName, set[str]] = {}
    lost: set[str] = set()
    by_name = {part.resource: part for part in request.parts}
    for name in dict.fromkeys(_resource_of(planned.step.key) for planned in plan.steps if planned.step.key not in whole):
        part = by_name[ResourceName(name)]
        planned = [each for each in plan.steps if each.step.key not in whole and _resource_of(each.step.key) == name]
        own = [step for step in steps if step.key not in whole and _resource_of(step.key) == name]
        faults = [step for step in own if step.error is not None]
        if not faults:
            continue
        following = _from_another_backup(part, planned, own, repositories_of(part.resource))
        needs = {_resource_of(key) for each in planned for key in each.after if key not in whole} - {name}
        if following is not None:
            again[part.resource] = following
        elif faults[0].state is StepState.SKIPPED and needs:
            kept_back[part.resource] = needs
        else:
            lost.add(name)
    while further := {name for name, needs in kept_back.items() if name not in lost and needs & lost}:
        lost |= further
    waiting = {name: by_name[name] for name in kept_back if name not in lost}
    if not again:
        return None
    left = {**again, **waiting}
    parts = tuple(left[part.resource] for part in request.parts if part.resource in left)
    return replace(request, parts=parts, approved_by=request.approved_by or agreed, goes_on=True)


def _resource_of(step: StepKey) -> str:
    return step.partition("/")[0]


def _from_another_backup(
    request: RecoveryRequest, planned: Sequence[PlannedStep], steps: Sequence[StepRecord], repositories: Sequence[RepositoryName]
) -> RecoveryRequest | None:
    """An older one of the same repository first: the WAL behind it is what that repository holds. A backup that was asked for is
    exchanged for no other, only for its own copy in a repository behind this one.
    """
    choice = request.choice
    failed_with = _failed_with_the_warm_copy(planned, steps)
    if failed_with is not None:
        return _restoring(request, replace(choice, warm_copy_declined=failed_with), steps)
    damaged = next(_damaged(request.procedure, planned, steps), None)
    useless = damaged or next(_taken_too_late(choice.target, planned, steps), None)
    if useless is None:
        return None
    repository, _, _ = useless.rpartition("/")
    if choice.label is not None and not _is_followed(repository, choice, repositories):
        return None
    not_met = choice.not_met if damaged else choice.not_met | {useless}
    return _restoring(request, replace(choice, without=choice.without | {useless}, not_met=not_met), steps)


def _restoring(request: RecoveryRequest, choice: Choice, steps: Sequence[StepRecord]) -> RecoveryRequest:
    """The same, from elsewhere; who agreed before is not asked again."""
    agreed = next((step.approval.by for step in steps if step.approval is not None), None)
    return replace(
        request,
        choice=choice,
        approved_by=request.approved_by or agreed,
        old_directories=_old_directories(request, steps),
    )


def _failed_with_the_warm_copy(planned: Sequence[PlannedStep], steps: Sequence[StepRecord]) -> str | None:
    """Why; None where it was not used, or what failed came before it was touched, or after it had come up as it should."""
    keys = [each.step.key for each in planned]
    begins = next((each.step.key for each in planned if isinstance(each.step, TakeWarmCopy)), None)
    opened = next((each.step.key for each in planned if isinstance(each.step, OpenToClients)), None)
    if begins is None or opened is None:
        return None
    with_it = keys[keys.index(begins) : keys.index(opened)]
    error = next((step.error for step in steps if step.key in with_it and step.state is StepState.FAILED), None)
    return None if error is None else f"a run before failed with it: {error.code}: {error.found}"


def _old_directories(request: RecoveryRequest, steps: Sequence[StepRecord]) -> tuple[str, ...] | None:
    """Only the first run that sets something aside finds the old server's data; a later one finds the copy of the run before."""
    if request.old_directories is not None or request.procedure is not Procedure.RECOVERY:
        return request.old_directories
    proofs = (step.evidence.proof for step in steps if step.evidence is not None)
    aside = (proof.get(DATA_SET_ASIDE) for proof in proofs)
    return tuple(str(each) for each in aside if each is not None)


def _is_followed(repository: str, choice: Choice, repositories: Sequence[RepositoryName]) -> bool:
    return choice.repository is None and repository in repositories[:-1]


def _damaged(procedure: Procedure, planned: Sequence[PlannedStep], steps: Sequence[StepRecord]) -> Iterator[str]:
    # A restore's damaged copy lies where the other would go, whole but for these pages: its owner may want to repair it.
    # A repository that stayed away has its copy left out as a damaged one is: the same snapshot is taken from the next.
    codes = (*DAMAGE, REPOSITORY_AWAY) if procedure is Procedure.RESTORE else (*DAMAGE, REPOSITORY_AWAY, *DAMAGED_COPIES)
    restores = (each.step for each in planned if isinstance(each.step, RestoreBaseBackup | RestoreSnapshot))
    repository = next((step.repository for step in restores), "")
    for step in steps:
        if step.error is not None and step.error.code in codes and step.evidence is not None:
            label = step.evidence.proof.get(BACKUP_AT_FAULT)
            if label is not None:
                # What is wrong with the pages of a copy is wrong in every repository, which hold the same bytes of it.
                yield str(label) if step.error.code in DAMAGED_COPIES else f"{repository}/{label}"


def _taken_too_late(target: RecoveryTarget, planned: Sequence[PlannedStep], steps: Sequence[StepRecord]) -> Iterator[str]:
    if target.kind in _UNDATED and any(step.error is not None and step.error.code == TARGET_NOT_REACHED for step in steps):
        yield from (each.step.label for each in planned if isinstance(each.step, ReplayWal))
