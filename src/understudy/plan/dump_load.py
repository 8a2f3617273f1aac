"""The steps that load a dump, or some of it, into a running server."""

from __future__ import annotations

from dataclasses import dataclass

from understudy.plan.plan import Approval, Hold, HoldKind, Mode, Plan, PlannedStep, Procedure, When, in_sequence
from understudy.plan.snapshot_restore import HeldSnapshot
from understudy.steps.compare_restored import CompareRestored
from understudy.steps.load_dump import CheckLoadTarget, DiscardLoad, LoadDump
from understudy.steps.provision_snapshot_target import ProvisionSnapshotTarget
from understudy.steps.restore_snapshot import RestoreSnapshot
from understudy.vocabulary.identifiers import PlanId, ResourceName


@dataclass(frozen=True, slots=True)
class DumpLanding:
    place: str
    """The directory of this run alone that the dump is fetched into."""
    into: str
    """The reference to the server's connection string; empty: that of the stack file."""
    shown: str
    """The server's address, for people."""
    only: str | None = None
    """The directory of a database, or the file of a table."""
    renamed: str = ""
    mode: Mode = Mode.ROUTINE
    of_the_past: bool = False


def plan_dump_load(
    resource: ResourceName, chosen: HeldSnapshot, landing: DumpLanding, plan_id: PlanId, stack_digest: str
) -> Plan:
    """The server is looked at before anybody is asked for more, and before anything is fetched."""
    snapshot = chosen.snapshot
    what = (resource, snapshot.kind, chosen.repository, snapshot.label.text, landing.place, landing.only)
    load = (*what, landing.into, landing.renamed)
    bytes_needed = snapshot.content_bytes if landing.only is None else 0
    steps = in_sequence(
        PlannedStep(CheckLoadTarget(*load), approval=Approval(_question(resource, chosen, landing))),
        PlannedStep(ProvisionSnapshotTarget(*what, bytes_needed)),
        PlannedStep(RestoreSnapshot(*what, of_the_past=landing.of_the_past, otherwise=chosen.otherwise)),
        PlannedStep(CompareRestored(*what)),
        PlannedStep(LoadDump(*load)),
        PlannedStep(DiscardLoad(*load), when=When.ALWAYS),
    )
    holds = {
        Hold(f"target:{landing.place}", HoldKind.EXCLUSIVE),
        Hold(f"load-target:{resource}", HoldKind.EXCLUSIVE),
        Hold(f"backup-chain:{resource}/{snapshot.label}", HoldKind.SHARED),
    }
    if landing.mode is Mode.FAILOVER:
        holds.add(Hold(f"backup-lane:{resource}", HoldKind.EXCLUSIVE))
    return Plan(
        id=plan_id,
        procedure=Procedure.RECOVERY if landing.mode is Mode.FAILOVER else Procedure.RESTORE,
        mode=landing.mode,
        subject=resource,
        steps=steps,
        holds=frozenset(holds),
        stack_digest=stack_digest,
    )


def _question(resource: ResourceName, chosen: HeldSnapshot, landing: DumpLanding) -> str:
    taken = chosen.snapshot.start_time.isoformat(timespec="seconds")
    what = "all databases" if landing.only is None else "one database" if "/" not in landing.only else "one table"
    named = f", into a database {landing.renamed}" if landing.renamed else ""
    roles = " Roles that are not there are made." if landing.only is None else ""
    return (
        f"Load {what} of {resource} into {landing.shown}{named}, as dumped at {taken} (snapshot {chosen.snapshot.label} in "
        f"{chosen.repository})?{roles} Nothing that is there is overwritten; an empty database of the same name gives way."
    )
