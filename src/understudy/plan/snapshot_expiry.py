"""The steps that carry out what retention decided of snapshots, and what nobody else may use meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from understudy.plan.plan import Hold, HoldKind, Mode, Plan, PlannedStep, Procedure
from understudy.plan.snapshot_retention import SnapshotRetentionDecision
from understudy.steps.remove_snapshots import RemoveSnapshots
from understudy.vocabulary.identifiers import PlanId, RepositoryName, ResourceName


@dataclass(frozen=True, slots=True)
class SnapshotsDecided:
    repository: RepositoryName
    decision: SnapshotRetentionDecision


def plan_snapshot_expiry(
    resource: ResourceName, kind: str, decided: Sequence[SnapshotsDecided], plan_id: PlanId, stack_digest: str
) -> Plan | None:
    """Repositories go side by side, each by itself. None: there is nothing to remove.

    No snapshot is taken meanwhile, which would use parts of earlier ones, and none is read that goes; others are free.
    """
    if not decided:
        return None
    steps = tuple(
        PlannedStep(
            RemoveSnapshots(
                resource,
                kind,
                each.repository,
                tuple(snapshot.label.text for snapshot in each.decision.going),
                tuple(label.text for label in each.decision.unfinished),
                each.decision.parts_begun_before.isoformat(),
            )
        )
        for each in decided
    )
    going = {snapshot.label for each in decided for snapshot in each.decision.going}
    return Plan(
        id=plan_id,
        procedure=Procedure.EXPIRY,
        mode=Mode.ROUTINE,
        subject=resource,
        steps=steps,
        holds=frozenset(
            {
                Hold(f"backup-lane:{resource}", HoldKind.EXCLUSIVE),
                *(Hold(f"backup-chain:{resource}/{label}", HoldKind.EXCLUSIVE) for label in going),
            }
        ),
        stack_digest=stack_digest,
    )
