"""Taking backups."""

from __future__ import annotations

from understudy.app.carrying_out import Asked, Watcher, carry_out
from understudy.app.damage import damage_below
from understudy.app.identities import new_plan_id
from understudy.app.installation import Installation
from understudy.app.quarantines import quarantines_in
from understudy.app.repositories import prepare_repositories
from understudy.app.run_view import RunView
from understudy.app.seen import remember_seen
from understudy.app.snapshots import plan_requested_snapshot, take_snapshot
from understudy.app.streaming import require_free_slot
from understudy.plan.backup import BackupFacts, BackupSubject, newest_of, plan_backup
from understudy.plan.plan import Plan, Procedure
from understudy.plan.request import BackupRequest, Request
from understudy.repository.manifests import BackupManifest
from understudy.repository.quarantine import quarantine_over
from understudy.vocabulary.errors import Refusal, UnderstudyError
from understudy.vocabulary.identifiers import BackupKind, BackupOrigin, RepositoryName, ResourceName

_KIBIBYTE = 1024


def backup_subject(installation: Installation, name: ResourceName, repositories: tuple[RepositoryName, ...]) -> BackupSubject:
    """What the stack file says of the resource's backups; ``repositories`` in the order in which they get one."""
    resource = installation.postgres(name)
    backup = resource.backup
    return BackupSubject(
        resource=name,
        slot=installation.stack.slot_of(name),
        repositories=repositories,
        part_bytes=backup.part_size,
        compression_level=backup.compression_level,
        max_rate_kilobytes=backup.max_rate // _KIBIBYTE if backup.max_rate else None,
        synchronous=resource.wal.synchronous,
        locking=installation.locking,
    )


def plan_next_backup(
    installation: Installation,
    name: ResourceName,
    kind: BackupKind | None,
    refused: str = "",
    origin: BackupOrigin = BackupOrigin.MANUAL,
) -> Plan:
    """Gather the facts and decide. ``refused`` is what stood against an incremental backup a moment ago."""
    repositories = installation.repository_names(name)
    server = installation.databases[name].facts()
    remember_seen(installation.state, name, server)
    listing = installation.repository(repositories[0]).backups(name, server.system_identifier)
    newest = None if kind is BackupKind.FULL or refused else newest_of(listing.usable)
    damaged = "" if newest is None else damage_below(installation, name, newest, listing.usable)
    if newest is not None and quarantine_over(quarantines_in(installation, name, repositories[0]), newest) is not None:
        damaged = damaged or f"{newest.label}, on which it would stand, is quarantined"
    if damaged:
        newest, refused = None, damaged
    facts = BackupFacts(
        now=installation.clock.now(),
        plan_id=new_plan_id(installation.clock, Procedure.BACKUP),
        stack_digest=installation.digest,
        server=server,
        backups=listing.usable,
        origin=origin,
        incremental_refused=refused,
        full_is_scheduled=installation.postgres(name).backup.full is not None,
        lacking=tuple(other for other in repositories[1:] if newest is not None and _lacks(installation, other, newest)),
    )
    return plan_backup(backup_subject(installation, name, repositories), facts, kind)


def _lacks(installation: Installation, repository: RepositoryName, backup: BackupManifest) -> bool:
    """Whether the backup, or one that it stands on, is not there. What cannot be asked now is not said to lack anything."""
    try:
        return not installation.repository(repository).is_complete(backup.resource, backup.system_identifier, backup.label)
    except UnderstudyError:
        return False


def back_up(
    installation: Installation, resource: str, kind: BackupKind | None, watcher: Watcher, *, take_over: bool = False
) -> RunView:
    """Take a base backup, or a snapshot of what is no database; where one that stands on others can't be taken, or won't do, plan
    once more without them.

    Raises:
        Refusal: ``no_such_resource``, ``busy``, ``version_too_old``; ``slot_in_use``: the controller to be taken over from still
            receives WAL; and what the database and the repository raise.
    """
    name = ResourceName(resource)
    if not installation.is_database(resource):
        return take_snapshot(installation, name, kind, watcher, take_over=take_over)
    if take_over:
        require_free_slot(installation, name)
    prepare_repositories(installation, name, take_over=take_over)
    plan = plan_next_backup(installation, name, kind)
    asked = Asked(BackupRequest(name, kind), lambda following: plan_requested_backup(installation, following))
    return carry_out(installation, plan, watcher, asked=asked)


def plan_requested_backup(installation: Installation, request: Request) -> Plan:
    """Raises as ``back_up`` does, and ``controller_superseded``: nobody is asked here whether to take over."""
    if not isinstance(request, BackupRequest):
        raise TypeError(f"not asked for a backup: {request}")
    if not installation.is_database(request.resource):
        return plan_requested_snapshot(installation, request)
    prepare_repositories(installation, request.resource)
    kind = BackupKind.FULL if request.incremental_refused else request.kind
    return plan_next_backup(installation, request.resource, kind, request.incremental_refused, request.origin)


def no_backup(resource: ResourceName, found: str) -> Refusal:
    return Refusal("no_backup", found=found, expected="at least one", hint=f"take one: understudy backup {resource}")
