"""Taking the snapshots of what is no database."""

from __future__ import annotations

from understudy.app.carrying_out import Asked, Watcher, carry_out
from understudy.app.damaged_parts import damaged_parts
from understudy.app.identities import new_plan_id
from understudy.app.installation import Installation
from understudy.app.quarantines import quarantines_in
from understudy.app.repositories import prepare_repositories
from understudy.app.run_view import RunView
from understudy.plan.plan import Plan, Procedure
from understudy.plan.request import BackupRequest, Request
from understudy.plan.snapshot import SnapshotFacts, SnapshotSubject, plan_snapshot
from understudy.repository.quarantine import believed
from understudy.repository.snapshots.catalog import Snapshots
from understudy.steps.take_snapshot import entries_within
from understudy.vocabulary.identifiers import BackupKind, RepositoryName, ResourceName, SnapshotLabel


def snapshots_of(installation: Installation, resource: ResourceName, repository: RepositoryName) -> Snapshots:
    """Those of the resource in one repository; nothing is asked yet."""
    return installation.repository(repository).snapshots(installation.in_snapshots(resource).kind, resource)


def snapshot_subject(installation: Installation, name: ResourceName) -> SnapshotSubject:
    settings = installation.in_snapshots(name)
    return SnapshotSubject(
        resource=name,
        kind=settings.kind,
        repositories=installation.repository_names(name),
        part_bytes=settings.backup.part_size,
        compression_level=settings.backup.compression_level,
        locking=installation.locking,
    )


def take_snapshot(
    installation: Installation, name: ResourceName, kind: BackupKind | None, watcher: Watcher, *, take_over: bool = False
) -> RunView:
    """Raises as ``back_up`` does."""
    prepare_repositories(installation, name, take_over=take_over)
    request = BackupRequest(name, kind)
    asked = Asked(request, lambda following: plan_requested_snapshot(installation, following))
    return carry_out(installation, plan_next_snapshot(installation, request), watcher, asked=asked)


def plan_requested_snapshot(installation: Installation, request: Request) -> Plan:
    """Raises as ``take_snapshot`` does, and ``controller_superseded``: nobody is asked here whether to take over."""
    if not isinstance(request, BackupRequest):
        raise TypeError(f"not asked for a backup: {request}")
    prepare_repositories(installation, request.resource)
    return plan_next_snapshot(installation, request)


def plan_next_snapshot(installation: Installation, request: BackupRequest) -> Plan:
    """Gather the facts and decide."""
    subject = snapshot_subject(installation, request.resource)
    there = snapshots_of(installation, request.resource, subject.repositories[0]).found()
    labels = {each.label for each in there.usable} | set(there.unfinished)
    labels |= {label for label in map(_label_in, (each.key for each in there.unusable)) if label is not None}
    trusted = believed(quarantines_in(installation, request.resource, subject.repositories[0]), there.usable)
    newest = max(trusted, key=lambda each: each.stop_time, default=None)
    all_anew = request.kind is BackupKind.FULL
    damaged = damaged_parts(installation, request.resource)
    facts = SnapshotFacts(
        now=installation.clock.now(),
        plan_id=new_plan_id(installation.clock, Procedure.BACKUP),
        stack_digest=installation.digest,
        origin=request.origin,
        labels=labels,
        newest=None if newest is None else newest.label,
        opens=installation.keys.keys.identity is not None,
        anew=request.incremental_refused or ("that was asked for" if all_anew else ""),
        entries_before=0 if newest is None or all_anew else entries_within(subject.kind, newest.entries),
        damaged=() if newest is None else damaged & {part.name for part in newest.parts},
    )
    return plan_snapshot(subject, facts)


def _label_in(key: str) -> SnapshotLabel | None:
    try:
        return SnapshotLabel(key.split("/")[-2])
    except (ValueError, IndexError):
        return None
