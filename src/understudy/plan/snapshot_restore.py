"""Which snapshot is restored, and the steps that bring it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from understudy.plan.plan import Hold, HoldKind, Mode, Plan, PlannedStep, Procedure, When, in_sequence
from understudy.repository.snapshots.manifest import SnapshotManifest
from understudy.steps.compare_restored import CompareRestored
from understudy.steps.discard_unfinished_restore import DiscardUnfinishedRestore
from understudy.steps.finish_snapshot_restore import FinishSnapshotRestore
from understudy.steps.provision_snapshot_target import ProvisionSnapshotTarget
from understudy.steps.restore_snapshot import RestoreSnapshot
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import PlanId, RepositoryName, ResourceName
from understudy.vocabulary.recovery_target import RecoveryTarget, TargetKind


@dataclass(frozen=True, slots=True)
class HeldSnapshot:
    """A snapshot in one repository."""

    repository: RepositoryName
    snapshot: SnapshotManifest


def choose_snapshot(
    resource: ResourceName, held: Sequence[HeldSnapshot], target: RecoveryTarget, label: str | None
) -> HeldSnapshot:
    """The newest that was complete at the target; of several copies the first.

    Raises:
        Refusal: ``no_such_backup``; ``target_before_first_backup``.
    """
    list_hint = f"list what is there: understudy backups {resource}"
    if label is not None:
        named = [each for each in held if each.snapshot.label.text == label]
        if not named:
            raise Refusal(
                "no_such_backup",
                found=f"no snapshot {label} of {resource} in {' or '.join(dict.fromkeys(each.repository for each in held))}",
                expected="the label of one that is there",
                hint=list_hint,
            )
        return named[0]
    moment = moment_of(target)
    fitting = [each for each in held if moment is None or each.snapshot.stop_time <= moment]
    if not fitting:
        first = min(each.snapshot.stop_time for each in held)
        raise Refusal(
            "target_before_first_backup",
            found=f"the oldest snapshot of {resource} is complete since {first.isoformat()}",
            expected=f"one from before {target.value}",
            hint=list_hint,
        )
    newest = max(each.snapshot.stop_time for each in fitting)
    return next(each for each in fitting if each.snapshot.stop_time == newest)


def moment_of(target: RecoveryTarget) -> datetime | None:
    """None: the newest.

    Raises:
        Refusal: ``target_needs_a_database``.
    """
    match target.kind:
        case TargetKind.LATEST:
            return None
        case TargetKind.TIME:
            return target.time
        case _:
            raise Refusal(
                "target_needs_a_database",
                found=f"the target {target.kind.value} {target.value}".rstrip(),
                expected="a time, or the label of a snapshot: between two snapshots nothing is kept",
                hint="name one with --time or --backup",
            )


def plan_snapshot_restore(
    resource: ResourceName, chosen: HeldSnapshot, place: str, only: str | None, plan_id: PlanId, stack_digest: str
) -> Plan:
    snapshot = chosen.snapshot
    what = (resource, snapshot.kind, chosen.repository, snapshot.label.text, place, only)
    bytes_needed = snapshot.content_bytes if only is None else 0
    steps = in_sequence(
        PlannedStep(ProvisionSnapshotTarget(*what, bytes_needed)),
        PlannedStep(RestoreSnapshot(*what)),
        PlannedStep(CompareRestored(*what)),
        PlannedStep(FinishSnapshotRestore(*what)),
        PlannedStep(DiscardUnfinishedRestore(*what), when=When.ALWAYS),
    )
    return Plan(
        id=plan_id,
        procedure=Procedure.RESTORE,
        mode=Mode.ROUTINE,
        subject=resource,
        steps=steps,
        holds=frozenset(
            {
                Hold(f"target:{place}", HoldKind.EXCLUSIVE),
                Hold(f"backup-chain:{resource}/{snapshot.label}", HoldKind.SHARED),
            }
        ),
        stack_digest=stack_digest,
    )
