"""Whether the next backup is a full or an incremental one, what it is called, and the steps that take it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from understudy.plan.plan import Hold, HoldKind, Mode, Plan, PlannedStep, Procedure, in_sequence
from understudy.ports.database import ServerFacts
from understudy.ports.step import Step
from understudy.repository.manifests import BackupManifest
from understudy.steps.await_wal import AwaitWal
from understudy.steps.copy_backup import CopyBackup, copy_completed_key
from understudy.steps.lock_stored import LockBackup
from understudy.steps.start_wal_stream import StartWalStream
from understudy.steps.take_base_backup import TakeBaseBackup
from understudy.steps.write_backup_manifest import WriteBackupManifest, backup_completed_key
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import BackupKind, BackupLabel, BackupOrigin, PlanId, RepositoryName, ResourceName
from understudy.vocabulary.majors import FIRST_INCREMENTAL_MAJOR, FIRST_MAJOR

_LABEL_STEP = timedelta(seconds=1)
LONGEST_CHAIN = 14
"""Incremental backups on one full one, where no schedule says when the next full one comes."""
OLDEST_CHAIN = timedelta(days=31)
"""Each backup of a chain needs all before it, and WAL from the first on: nothing of it can be let go, and one that is damaged
takes all behind it along."""


@dataclass(frozen=True, slots=True)
class BackupSubject:
    """What the stack file says of the resource, as far as a backup needs it."""

    resource: ResourceName
    slot: str
    repositories: tuple[RepositoryName, ...]
    """The first takes the backup; the others get copies of its sealed objects."""
    part_bytes: int
    compression_level: int
    max_rate_kilobytes: int | None
    synchronous: bool = False
    """Commits are meant to wait for the receiver."""
    locking: frozenset[RepositoryName] = frozenset()
    """Those that lock what they hold."""


@dataclass(frozen=True, slots=True)
class BackupFacts:
    now: datetime
    plan_id: PlanId
    stack_digest: str
    server: ServerFacts
    backups: tuple[BackupManifest, ...]
    """Those in the first repository whose signature and form are right, of this cluster."""
    origin: BackupOrigin
    incremental_refused: str = ""
    """Why an incremental backup could not be taken when it was tried; empty when it was not."""
    full_is_scheduled: bool = False
    """A schedule takes full backups: how long chains get is its business."""
    lacking: tuple[RepositoryName, ...] = ()
    """Further repositories that hold not all of what the newest backup stands on, itself included. One that could not be asked
    is not among them: the step that copies looks again.
    """


@dataclass(frozen=True, slots=True)
class KindDecision:
    kind: BackupKind
    parent: BackupManifest | None
    reason: str


def decide_kind(asked: BackupKind | None, facts: BackupFacts) -> KindDecision:
    """Incremental where it is possible and not asked otherwise; the reason says why a wish could not be met.

    Source: PostgreSQL manual, "Making an Incremental Backup": the server must be 17 or newer, summarize WAL, and be on the
    timeline of the parent; it may still refuse, which shows only when it is asked.
    """
    newest = newest_of(facts.backups)
    if facts.incremental_refused:
        return KindDecision(BackupKind.FULL, None, f"an incremental one could not be taken: {facts.incremental_refused}")
    if asked is BackupKind.FULL:
        return KindDecision(BackupKind.FULL, None, "a full backup was asked for")
    if facts.server.major < FIRST_INCREMENTAL_MAJOR:
        return KindDecision(BackupKind.FULL, None, f"PostgreSQL {facts.server.major} has no incremental backups (17 has)")
    if newest is None:
        return KindDecision(BackupKind.FULL, None, "there is no backup yet that an incremental one could stand on")
    if facts.server.settings.get("summarize_wal") != "on":
        return KindDecision(BackupKind.FULL, None, "summarize_wal is off on the server; incremental backups need it on")
    if newest.timeline != facts.server.timeline:
        return KindDecision(
            BackupKind.FULL, None, f"the server went to timeline {facts.server.timeline} since {newest.label} was taken"
        )
    if facts.lacking:
        lacking = " and ".join(facts.lacking)
        return KindDecision(BackupKind.FULL, None, f"{newest.label}, on which it would stand, is not complete in {lacking}")
    by_hand = asked is BackupKind.INCREMENTAL and facts.origin is BackupOrigin.MANUAL
    long = "" if by_hand or facts.full_is_scheduled else _chain_is_long(newest.label.chain, facts)
    if long:
        return KindDecision(BackupKind.FULL, None, long)
    return KindDecision(BackupKind.INCREMENTAL, newest, f"{newest.label} is there to stand on")


def newest_of(backups: Iterable[BackupManifest]) -> BackupManifest | None:
    """The one that an incremental backup would stand on."""
    return max(backups, key=lambda backup: backup.stop_time, default=None)


def _chain_is_long(chain: BackupLabel, facts: BackupFacts) -> str:
    """Why no further one should stand on it; empty when it may."""
    standing = sum(each.label.chain == chain and each.label != chain for each in facts.backups)
    if standing >= LONGEST_CHAIN:
        return f"{standing} incremental ones stand on {chain} already, and no schedule takes full ones"
    if is_old_chain(chain, facts.now):
        return f"{chain}, on which it would stand, is older than {OLDEST_CHAIN.days} days, and no schedule takes full ones"
    return ""


def is_old_chain(chain: BackupLabel, now: datetime) -> bool:
    return chain.begun is not None and now - chain.begun > OLDEST_CHAIN


def plan_backup(subject: BackupSubject, facts: BackupFacts, asked: BackupKind | None = None) -> Plan:
    """The steps of one backup.

    Raises:
        Refusal: ``version_too_old``.
    """
    if facts.server.major < FIRST_MAJOR:
        raise Refusal(
            "version_too_old",
            found=f"PostgreSQL {facts.server.version}",
            expected=f"PostgreSQL {FIRST_MAJOR} or newer: older ones write no backup manifest",
            hint="upgrade the server; until then, protect it with logical dumps",
        )
    decision = decide_kind(asked, facts)
    resource = subject.resource
    # Only a full backup lets the stream begin anew where WAL was lost: this plan's own backup then starts behind the gap.
    anew = subject.repositories if decision.kind is BackupKind.FULL else ()
    stream = StartWalStream(resource, subject.slot, begin_anew_in=anew, synchronous=subject.synchronous)
    steps = backup_steps(subject, free_label(decision, facts.backups, facts.now), decision, facts.stack_digest, facts.origin)
    holds = {Hold(f"backup-lane:{resource}", HoldKind.EXCLUSIVE)}
    if decision.parent:
        holds.add(Hold(f"backup-chain:{resource}/{decision.parent.label.chain}", HoldKind.SHARED))
    return Plan(
        id=facts.plan_id,
        procedure=Procedure.BACKUP,
        mode=Mode.ROUTINE,
        subject=resource,
        steps=(*in_sequence(PlannedStep(stream), *steps), *lock_steps(subject)),
        holds=frozenset(holds),
        stack_digest=facts.stack_digest,
    )


def backup_steps(
    subject: BackupSubject,
    label: BackupLabel,
    decision: KindDecision,
    stack_digest: str,
    origin: BackupOrigin,
    *,
    first_suffices: bool = False,
) -> list[PlannedStep]:
    """Take it into the first repository, then copy it into the others; each with the WAL that it needs, each signed last.

    ``first_suffices``: after a recovery a further repository that is away is left out and named, and does not fail the run.
    """
    resource, (first, *others) = subject.resource, subject.repositories
    full = decision.kind is BackupKind.FULL
    take = TakeBaseBackup(
        resource=resource,
        repository=first,
        label=label.text,
        parent=decision.parent.label.text if decision.parent else None,
        reason=decision.reason,
        part_bytes=subject.part_bytes,
        compression_level=subject.compression_level,
        max_rate_kilobytes=subject.max_rate_kilobytes,
        stack_digest=stack_digest,
        origin=origin.value,
    )
    steps: list[Step] = [take, AwaitWal(resource, first, may_follow_gap=full), WriteBackupManifest(resource, first)]
    for other in others:
        steps.append(AwaitWal(resource, other, may_follow_gap=full, may_be_left_out=first_suffices))
        steps.append(CopyBackup(resource, first, other, may_be_left_out=first_suffices))
    return [PlannedStep(step) for step in steps]


def lock_steps(subject: BackupSubject, *, first_suffices: bool = False) -> list[PlannedStep]:
    """Beside what else comes after a manifest: a store that keeps no locks keeps no copy from being made."""
    resource, (first, *others) = subject.resource, subject.repositories
    completed = {first: backup_completed_key(resource)} | {other: copy_completed_key(resource, other) for other in others}
    return [
        PlannedStep(LockBackup(resource, each, may_be_left_out=first_suffices), frozenset({completed[each]}))
        for each in subject.repositories
        if each in subject.locking
    ]


def is_full(plan: Plan) -> bool:
    """Whether the backup that the plan takes stands on no other."""
    return not any(isinstance(planned.step, TakeBaseBackup) and planned.step.parent is not None for planned in plan.steps)


def free_label(decision: KindDecision, backups: Iterable[BackupManifest], moment: datetime) -> BackupLabel:
    """The label of this second, or of the next one that is not taken: a backup is never overwritten."""
    taken = {backup.label for backup in backups}
    while True:
        label = BackupLabel.of_incremental(decision.parent.label, moment) if decision.parent else BackupLabel.of_full(moment)
        if label not in taken:
            return label
        moment += _LABEL_STEP
