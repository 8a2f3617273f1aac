"""Which snapshot is restored, and the steps that bring it back."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from understudy.plan.plan import Approval, Hold, HoldKind, Mode, Plan, PlannedStep, Procedure, When, in_sequence
from understudy.ports.dumps import DUMP_KIND
from understudy.repository.snapshots.manifest import SnapshotManifest
from understudy.steps.compare_restored import CompareRestored
from understudy.steps.discard_unfinished_restore import DiscardUnfinishedRestore
from understudy.steps.finish_snapshot_restore import FinishSnapshotRestore
from understudy.steps.load_content import LoadContent
from understudy.steps.provision_snapshot_target import ProvisionSnapshotTarget, is_directory
from understudy.steps.quarantine_since import QuarantineSince
from understudy.steps.remove_loaded import RemoveLoaded
from understudy.steps.remove_snapshot_sandbox import RemoveSnapshotSandbox
from understudy.steps.restore_snapshot import RestoreSnapshot
from understudy.steps.start_operated import StartOperated
from understudy.steps.stop_operated import StopOperated
from understudy.steps.try_dump import TryDump
from understudy.steps.try_restored import TryRestored
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import PlanId, RepositoryName, ResourceName
from understudy.vocabulary.recovery_target import RecoveryTarget, TargetKind

TRIED_KINDS = ("redis",)
"""Of these a server shows whether what came back can be used."""


@dataclass(frozen=True, slots=True)
class HeldSnapshot:
    """A snapshot in one repository."""

    repository: RepositoryName
    snapshot: SnapshotManifest
    otherwise: tuple[RepositoryName, ...] = ()
    """Those behind it, which may hold the same; none where this one was named."""


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


@dataclass(frozen=True, slots=True)
class OperatedFacts:
    """How the server is ended and started whose data are put in place."""

    stop: Sequence[str] | None
    start: Sequence[str]


@dataclass(frozen=True, slots=True)
class QuarantineFacts:
    """From when on nothing of the resource is to be believed, and where that is to be marked."""

    since: datetime
    repositories: tuple[RepositoryName, ...]
    """All of the resource."""

    def steps(self, resource: ResourceName, chosen: HeldSnapshot) -> list[PlannedStep]:
        others = (each for each in self.repositories if each != chosen.repository)
        where = (chosen.repository, *others)
        return [PlannedStep(QuarantineSince(resource, chosen.snapshot.kind, where, self.since.isoformat()))]


@dataclass(frozen=True, slots=True)
class SnapshotLanding:
    """Where a snapshot goes, and what for."""

    place: str
    """An absolute directory of this host, or ``s3://bucket/prefix``."""
    mode: Mode = Mode.ROUTINE
    sandbox: str | None = None
    """Of a directory's drill: the directory that the place lies in."""
    holds_something: bool = False
    """Of a directory's real recovery: something stands in the place, and is set aside."""
    of_the_past: bool = False
    """The newest was not asked for."""
    operated: OperatedFacts | None = None
    """Of a server's data, in a real recovery."""
    quarantine: QuarantineFacts | None = None
    """Of a real recovery from an intrusion."""

    @property
    def procedure(self) -> Procedure:
        return {Mode.ROUTINE: Procedure.RESTORE, Mode.DRILL: Procedure.DRILL, Mode.FAILOVER: Procedure.RECOVERY}[self.mode]


def plan_snapshot_restore(
    resource: ResourceName, chosen: HeldSnapshot, landing: SnapshotLanding, only: str | None, plan_id: PlanId, stack_digest: str
) -> Plan:
    """A drill and a real recovery of a directory or a bucket are parts of ``plan_stack_recovery``, which asks the question."""
    snapshot, place = chosen.snapshot, landing.place
    what = (resource, snapshot.kind, chosen.repository, snapshot.label.text, place, only)
    bytes_needed = snapshot.content_bytes if only is None else 0
    in_place = landing.mode is Mode.FAILOVER
    provision = ProvisionSnapshotTarget(*what, bytes_needed, set_aside=in_place and is_directory(place), sandbox=landing.sandbox,
                                        quarantined=landing.quarantine is not None)  # fmt: skip
    asked = Approval(_question(resource, chosen, landing)) if in_place else None
    restore = RestoreSnapshot(*what, of_the_past=landing.of_the_past, otherwise=chosen.otherwise)
    steps = [PlannedStep(provision, approval=asked), PlannedStep(restore), PlannedStep(CompareRestored(*what))]
    if landing.operated is not None:
        steps = [PlannedStep(StopOperated(resource), approval=asked), PlannedStep(provision), *steps[1:]]
    if landing.quarantine is not None:
        steps = [*landing.quarantine.steps(resource, chosen), *steps]
    if snapshot.kind in TRIED_KINDS:
        steps.append(PlannedStep(TryRestored(*what)))
    elif snapshot.kind == DUMP_KIND and landing.mode is Mode.DRILL:
        steps.append(PlannedStep(TryDump(*what)))
    if landing.mode is not Mode.DRILL or is_directory(place):
        # The mark on a bucket's sandbox tells what the clean-up may remove: there nothing is released.
        steps.append(PlannedStep(FinishSnapshotRestore(*what)))
    if landing.operated is not None:
        steps.append(PlannedStep(StartOperated(*what)))
    steps.append(PlannedStep(DiscardUnfinishedRestore(*what), when=When.ALWAYS))
    if landing.sandbox is not None:
        steps.append(PlannedStep(RemoveSnapshotSandbox(resource, landing.sandbox), when=When.ALWAYS))
    holds = {
        Hold(f"target:{place}", HoldKind.EXCLUSIVE),
        Hold(f"backup-chain:{resource}/{snapshot.label}", HoldKind.SHARED),
    }
    if in_place:
        holds.add(Hold(f"backup-lane:{resource}", HoldKind.EXCLUSIVE))
    return Plan(
        id=plan_id,
        procedure=landing.procedure,
        mode=landing.mode,
        subject=resource,
        steps=in_sequence(*steps),
        holds=frozenset(holds),
        stack_digest=stack_digest,
    )


def _question(resource: ResourceName, chosen: HeldSnapshot, landing: SnapshotLanding) -> str:
    snapshot = chosen.snapshot
    taken = snapshot.start_time.isoformat(timespec="seconds")
    text = f"Recover {resource} in {landing.place}, as it was at {taken} (snapshot {snapshot.label} in {chosen.repository})?"
    if landing.holds_something:
        text += " What stands in the directory is set aside beside it, not removed."
    if landing.operated is not None:
        ended = f"ended before with: {shlex.join(landing.operated.stop)}" if landing.operated.stop else "not to be running"
        text += f" The server is {ended}, and started with: {shlex.join(landing.operated.start)}."
        text += " Whatever it holds that is newer than the snapshot, also in its memory alone, is lost to it."
    return text


@dataclass(frozen=True, slots=True)
class LoadFacts:
    """What takes a dump back, as the stack file has it."""

    command: Sequence[str]
    load_again: bool


def plan_load(
    resource: ResourceName,
    chosen: HeldSnapshot,
    place: str,
    load: LoadFacts,
    plan_id: PlanId,
    stack_digest: str,
    *,
    mode: Mode = Mode.ROUTINE,
    of_the_past: bool = False,
    quarantine: QuarantineFacts | None = None,
) -> Plan:
    """As a restore into ``place``, a directory of this run alone; what was compared there is loaded, and the directory removed.

    A person is asked before anything begins, so that nobody has to wait for the question.
    """
    snapshot = chosen.snapshot
    what = (resource, snapshot.kind, chosen.repository, snapshot.label.text, place, None)
    question = (
        f"Hand snapshot {snapshot.label} of {resource} to its load command? It may replace what is there now. It is: "
        f"{shlex.join(load.command)}"
    )
    steps = in_sequence(
        *(quarantine.steps(resource, chosen) if quarantine is not None else ()),
        PlannedStep(ProvisionSnapshotTarget(*what, snapshot.content_bytes), approval=Approval(question)),
        PlannedStep(RestoreSnapshot(*what, of_the_past=of_the_past, otherwise=chosen.otherwise)),
        PlannedStep(CompareRestored(*what)),
        PlannedStep(LoadContent(*what, load.load_again)),
        PlannedStep(RemoveLoaded(*what), when=When.ALWAYS),
    )
    return Plan(
        id=plan_id,
        procedure=Procedure.RECOVERY if mode is Mode.FAILOVER else Procedure.RESTORE,
        mode=mode,
        subject=resource,
        steps=steps,
        holds=frozenset(
            {
                Hold(f"target:{place}", HoldKind.EXCLUSIVE),
                Hold(f"backup-lane:{resource}", HoldKind.EXCLUSIVE),  # what is half loaded is no state to keep
                Hold(f"backup-chain:{resource}/{snapshot.label}", HoldKind.SHARED),
            }
        ),
        stack_digest=stack_digest,
    )
