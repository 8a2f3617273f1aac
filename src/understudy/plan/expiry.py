"""The steps that carry out what retention decided, and what nobody else may use meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from understudy.plan.plan import Hold, HoldKind, Mode, Plan, PlannedStep, Procedure, in_sequence
from understudy.plan.retention import RetentionDecision, children_first
from understudy.steps.forget_shipped_wal import ForgetShippedWal
from understudy.steps.remove_backups import RemoveBackups
from understudy.steps.remove_wal import RemoveWal
from understudy.vocabulary.identifiers import PlanId, RepositoryName, ResourceName


@dataclass(frozen=True, slots=True)
class DecidedFor:
    repository: RepositoryName
    decision: RetentionDecision


def plan_expiry(
    resource: ResourceName,
    decided: Sequence[DecidedFor],
    plan_id: PlanId,
    stack_digest: str,
    forget: ForgetShippedWal | None = None,
) -> Plan | None:
    """Backups go before their WAL does; repositories go side by side, each by itself. None: there is nothing to remove.

    ``forget`` comes first, where the spool may hold what goes.

    No backup is taken meanwhile, and no chain is read of which anything goes, not even WAL behind it; other chains are free.
    """
    removing = [each for each in decided if each.decision.removes]
    if not removing:
        return None
    first = [] if forget is None else [PlannedStep(forget)]
    steps = [planned for each in removing for planned in in_sequence(*first, *_steps(resource, each))[len(first) :]]
    chains = {chain for each in removing for chain in each.decision.touched_chains()}
    return Plan(
        id=plan_id,
        procedure=Procedure.EXPIRY,
        mode=Mode.ROUTINE,
        subject=resource,
        steps=(*first, *steps),
        holds=frozenset(
            {
                Hold(f"backup-lane:{resource}", HoldKind.EXCLUSIVE),
                *(Hold(f"backup-chain:{resource}/{chain}", HoldKind.EXCLUSIVE) for chain in chains),
            }
        ),
        stack_digest=stack_digest,
    )


def _steps(resource: ResourceName, each: DecidedFor) -> Iterator[PlannedStep]:
    decision = each.decision
    backups = tuple(f"{backup.system_identifier}/{backup.label}" for backup in children_first(decision.backups))
    unfinished = tuple(f"{found.system_identifier}/{found.label}" for found in decision.unfinished if found.goes)
    if backups or unfinished:
        yield PlannedStep(RemoveBackups(resource, each.repository, backups, unfinished))
    for wal in decision.wal:
        if wal.going:
            stretches = tuple(f"{stretch.first}-{stretch.last}" for stretch in wal.going)
            yield PlannedStep(RemoveWal(resource, each.repository, wal.system_identifier, wal.segment_bytes, stretches))
