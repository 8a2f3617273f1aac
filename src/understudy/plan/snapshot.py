"""What the next snapshot is called, which one it stands beside, and the steps that take it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from understudy.plan.plan import Hold, HoldKind, Mode, Plan, PlannedStep, Procedure, When, in_sequence
from understudy.steps.copy_snapshot import CopySnapshot, snapshot_copied_key
from understudy.steps.discard_snapshot_leftovers import DiscardSnapshotLeftovers
from understudy.steps.lock_stored import LockSnapshot
from understudy.steps.take_snapshot import TakeSnapshot
from understudy.steps.write_snapshot_manifest import WriteSnapshotManifest, snapshot_completed_key
from understudy.vocabulary.identifiers import BackupOrigin, PlanId, RepositoryName, ResourceName, SnapshotLabel

_LABEL_STEP = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class SnapshotSubject:
    """What the stack file says of the resource, as far as a snapshot needs it."""

    resource: ResourceName
    kind: str
    repositories: tuple[RepositoryName, ...]
    """The first takes the snapshot; the others get copies of its sealed objects."""
    part_bytes: int
    compression_level: int
    locking: frozenset[RepositoryName] = frozenset()
    """Those that lock what they hold."""


@dataclass(frozen=True, slots=True)
class SnapshotFacts:
    now: datetime
    plan_id: PlanId
    stack_digest: str
    origin: BackupOrigin
    labels: Collection[SnapshotLabel]
    """Of everything in the first repository that bears one, complete or not."""
    newest: SnapshotLabel | None
    """The newest usable one there."""
    opens: bool
    """Whether an identity is here: without it no listing can be read."""
    anew: str = ""
    """Why nothing that is there already is to be used; empty: no reason."""
    entries_before: int = 0
    """In the newest one, without the directory itself; 0 where also an empty source is to be taken."""
    damaged: Collection[str] = ()
    """Names of the newest snapshot's parts that were found damaged, in any repository."""


def plan_snapshot(subject: SnapshotSubject, facts: SnapshotFacts) -> Plan:
    resource, (first, *others) = subject.resource, subject.repositories
    previous, reason = _stands_beside(facts)
    label = free_label(facts.labels, facts.now)
    take = TakeSnapshot(
        resource=resource,
        kind=subject.kind,
        repository=first,
        label=label.text,
        previous=None if previous is None else previous.text,
        reason=reason,
        part_bytes=subject.part_bytes,
        compression_level=subject.compression_level,
        stack_digest=facts.stack_digest,
        origin=facts.origin.value,
        entries_before=facts.entries_before,
        damaged_parts=() if previous is None else tuple(sorted(facts.damaged)),
    )
    discard = DiscardSnapshotLeftovers(resource, subject.kind, first, label.text)
    taken = in_sequence(PlannedStep(take), PlannedStep(WriteSnapshotManifest(resource, subject.kind, first)))
    before = frozenset(each.step.key for each in taken)
    # Side by side: a repository that is away keeps the snapshot out of no other.
    copies = tuple(PlannedStep(CopySnapshot(resource, subject.kind, first, other), before) for other in others)
    completed = {first: snapshot_completed_key(resource)} | {other: snapshot_copied_key(resource, other) for other in others}
    locks = tuple(
        PlannedStep(LockSnapshot(resource, subject.kind, each), frozenset({completed[each]}))
        for each in subject.repositories
        if each in subject.locking
    )
    all_before = before | {each.step.key for each in (*copies, *locks)}
    steps = (*taken, *copies, *locks, PlannedStep(discard, all_before, When.ALWAYS))
    holds = {Hold(f"backup-lane:{resource}", HoldKind.EXCLUSIVE)}
    if previous is not None:
        holds.add(Hold(f"backup-chain:{resource}/{previous}", HoldKind.SHARED))
    return Plan(
        id=facts.plan_id,
        procedure=Procedure.BACKUP,
        mode=Mode.ROUTINE,
        subject=resource,
        steps=steps,
        holds=frozenset(holds),
        stack_digest=facts.stack_digest,
    )


def _stands_beside(facts: SnapshotFacts) -> tuple[SnapshotLabel | None, str]:
    if facts.newest is None:
        return None, "everything is read and stored: there is no snapshot yet"
    if facts.anew:
        return None, f"everything is read and stored anew: {facts.anew}"
    if not facts.opens:
        return None, "everything is read and stored anew: no identity is here to open the last listing with"
    reason = f"what is as it was in {facts.newest} is neither read nor stored again"
    if facts.damaged:
        number = len(facts.damaged)
        reason += f", but for what lies in {number} part{'' if number == 1 else 's'} found damaged"
    return facts.newest, reason


def free_label(taken: Collection[SnapshotLabel], moment: datetime) -> SnapshotLabel:
    """The label of this second, or of the next one that is not taken: nothing is ever overwritten."""
    while (label := SnapshotLabel.of(moment)) in taken:
        moment += _LABEL_STEP
    return label


def is_anew(plan: Plan) -> bool:
    """Whether the snapshot that the plan takes uses nothing that was stored before."""
    return not any(isinstance(planned.step, TakeSnapshot) and planned.step.previous is not None for planned in plan.steps)
