"""Planning how one database comes back: restored elsewhere, drilled, or recovered where the stack file says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

from understudy.app.backups import backup_subject
from understudy.app.disruption import disruption_beside
from understudy.app.free_directory import require_free_directory
from understudy.app.holdings import Holdings, holdings_of
from understudy.app.identities import new_plan_id
from understudy.app.installation import Installation
from understudy.app.landing import landing_of, recovery_place, short_socket_directory
from understudy.app.old_server import Looking, look_for_old_server, unseen, with_old_timeline
from understudy.app.quarantines import chosen_from
from understudy.app.repositories import made_repository
from understudy.app.sources import other_copies_told, sound_first, source_first, source_that_will_do
from understudy.app.spooled import with_spooled
from understudy.app.warm_copies import CLOSED_PORT, STAGED_SEGMENTS, warm_copy_facts
from understudy.plan.fencing import OldServerFacts
from understudy.plan.following import DAMAGE
from understudy.plan.landing import Landing, require_configuration
from understudy.plan.plan import Mode, Plan, Procedure
from understudy.plan.recovery import RecoveryFacts, RecoveryWish, WantedPart, plan_recovery
from understudy.plan.request import Choice
from understudy.plan.restore_choice import choose_restore, require_believed, require_known_tablespaces
from understudy.ports.instance import InstancePlace
from understudy.repository.at_once import processors
from understudy.repository.manifests import BackupManifest
from understudy.repository.quarantine import require_believed_label
from understudy.repository.server_manifest import parse_server_manifest
from understudy.stack.models import Scenario
from understudy.steps.replay_wal import ReplayWal
from understudy.vocabulary.disruption import Disruption
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.identifiers import BackupLabel, Person, PlanId, RepositoryName, ResourceName, SystemIdentifier
from understudy.vocabulary.recovery_target import left_out_from

_NAMES_OF_A_TABLE = 3


def plan_restore(installation: Installation, resource: str, directory: Path, choice: Choice) -> Plan:
    """
    Raises:
        Refusal: everything that ``plan_recovery`` raises; ``no_such_resource``, ``no_backup``, ``target_not_empty``.
    """
    installation.postgres(resource)
    require_free_directory(installation, directory)
    return _plan(
        installation,
        ResourceName(resource),
        choice,
        procedure=Procedure.RESTORE,
        mode=Mode.ROUTINE,
        subject=resource,
        place=_closed_place(str(directory.absolute())),
        # Where a real recovery puts them is never a copy's: started beside it, the copy would write into production.
        tablespaces=choice.tablespaces or {},
    )


def plan_part_restore(installation: Installation, resource: str, directory: Path, choice: Choice) -> Plan:
    """Restored aside as a drill is, in a directory named after the plan; what is wanted is taken out, and all else removed.

    Raises:
        Refusal: as ``plan_restore`` does; ``option_malformed``.
    """
    settings = installation.postgres(resource)
    require_free_directory(installation, directory)
    part = _part(choice, str(directory.absolute()))
    plan_id = new_plan_id(installation.clock, Procedure.RESTORE)
    drills = Path(settings.drill.directory or installation.state / "drills")
    drills.mkdir(parents=True, exist_ok=True, mode=0o711)
    return _plan(
        installation,
        ResourceName(resource),
        choice,
        procedure=Procedure.RESTORE,
        mode=Mode.ROUTINE,
        subject=resource,
        place=_closed_place(str(drills / plan_id)),
        tablespaces=None,
        plan_id=plan_id,
        part=part,
    )


def _part(choice: Choice, directory: str) -> WantedPart:
    if choice.table is None:
        return WantedPart(choice.database or "", "", "", directory)
    names = choice.table.split(".")
    if len(names) != _NAMES_OF_A_TABLE or not all(names):
        raise Refusal(
            "option_malformed",
            found=f"--table {choice.table!r}",
            expected="DATABASE.SCHEMA.TABLE, as they are called, without quotes and without dots in them",
            hint="where a name holds a dot, take out its whole database: --database NAME",
        )
    database, schema, table = names
    return WantedPart(database, schema, table, directory)


def plan_drill(installation: Installation, scenario: Scenario, name: ResourceName, choice: Choice) -> Plan:
    """In a directory named after the plan, everything else beside it; so that nothing is left once the steps have removed theirs.

    Raises:
        Refusal: as ``plan_restore`` does.
    """
    plan_id = new_plan_id(installation.clock, Procedure.DRILL)
    drills = Path(installation.postgres(name).drill.directory or installation.state / "drills")
    drills.mkdir(parents=True, exist_ok=True, mode=0o711)
    directory = str(drills / plan_id)
    return _plan(
        installation,
        name,
        choice,
        procedure=Procedure.DRILL,
        mode=Mode.DRILL,
        subject=scenario.value,
        place=_closed_place(directory),
        tablespaces=None,
        plan_id=plan_id,
    )


def plan_in_place(
    installation: Installation,
    scenario: Scenario,
    name: ResourceName,
    choice: Choice,
    fence_override_by: Person | None = None,
    disruption: Disruption | None = None,
    looking: Looking = unseen,
    old_directories: tuple[str, ...] | None = None,
) -> Plan:
    """The real recovery, where the stack file says. Asks the old server's addresses whether anybody answers there.

    Raises:
        Refusal: ``recover_place_missing``, ``configuration_missing``, ``socket_directory_unusable``, ``log_unusable``,
            ``old_server_not_fenced``, ``address_taken``, ``since_implausible``; and as ``plan_restore`` does.
    """
    settings = installation.postgres(name)
    if settings.recover is None:
        raise Refusal(
            "recover_place_missing",
            found=f"the stack file does not say where {name} is to come up again",
            expected=f"resources.{name}.recover with a directory",
            hint=f"add it, or restore into a directory of your choice: understudy restore {name} --to DIRECTORY",
        )
    landing = landing_of(name, settings)
    plan = _plan(
        installation,
        name,
        choice,
        procedure=Procedure.RECOVERY,
        mode=Mode.FAILOVER,
        subject=scenario.value,
        place=recovery_place(name, settings.recover, installation.instances[name].owner),
        tablespaces={**settings.recover.tablespaces, **(choice.tablespaces or {})},
        set_aside=True,
        quarantine_since=left_out_from(choice.target) if scenario is Scenario.SECURITY_INCIDENT else None,
        fence_override_by=fence_override_by,
        landing=landing,
        disruption=disruption,
        looking=looking,
        old_directories=old_directories,
    )
    if landing.configuration is None:
        _require_configuration_in_backup(installation, name, plan)
    return plan


def _require_configuration_in_backup(installation: Installation, name: ResourceName, plan: Plan) -> None:
    """
    Raises:
        Refusal: ``configuration_missing``.
    """
    step = next(each.step for each in plan.steps if isinstance(each.step, ReplayWal))
    repository = installation.repository(RepositoryName(step.repository))
    try:
        backup = repository.backup(name, SystemIdentifier(step.system_identifier), BackupLabel(step.label))
        listed = parse_server_manifest(b"".join(repository.read_server_manifest(backup)))
    except GiveUp as error:
        if error.code in DAMAGE:
            return  # the run meets it, too, and goes on from an older backup
        raise
    require_configuration(name, backup.label, listed.files)


def _closed_place(directory: str) -> InstancePlace:
    """Of a server that nobody but Understudy uses."""
    return InstancePlace(directory, short_socket_directory(directory), CLOSED_PORT)


def _plan(
    installation: Installation,
    name: ResourceName,
    choice: Choice,
    *,
    procedure: Procedure,
    mode: Mode,
    subject: str,
    place: InstancePlace,
    tablespaces: Mapping[str, str] | None,
    set_aside: bool = False,
    quarantine_since: datetime | None = None,
    fence_override_by: Person | None = None,
    plan_id: PlanId | None = None,
    part: WantedPart | None = None,
    landing: Landing | None = None,
    disruption: Disruption | None = None,
    looking: Looking = unseen,
    old_directories: tuple[str, ...] | None = None,
) -> Plan:
    """``tablespaces`` by name; None puts each beside the data directory, which is what a sandbox wants."""
    with other_copies_told(installation, name, choice):
        source, holdings = sound_first(
            installation, name, choice, partial(_source, installation, name), partial(_require_fit, installation, choice)
        )
    repositories = source_first(installation, name, source)
    holdings = with_spooled(installation, source, holdings)
    settings = installation.postgres(name)
    require_known_tablespaces(holdings.backups, choice.tablespaces or {})
    wish = RecoveryWish(
        resource=name,
        procedure=procedure,
        mode=mode,
        subject=subject,
        repository=source,
        repositories=repositories,
        target=choice.target,
        place=place,
        processors=processors(),
        tablespaces=_by_oid(holdings.backups, tablespaces, place),
        checks=tuple(_check_fields(check.model_dump(exclude_none=True)) for check in settings.checks),
        heartbeat_database=settings.heartbeat.database if settings.heartbeat else None,
        staging_directory=f"{place.directory}.wal",
        timeline=choice.timeline,
        label=choice.label,
        part=part,
        set_aside=set_aside,
        quarantine_since=quarantine_since,
        fence_override_by=fence_override_by,
        landing=landing,
        disruption=disruption,
        old_directories=old_directories,
        reprotection=backup_subject(installation, name, repositories),
        ship_every=settings.wal.ship_every,
        warm_copy_declined=choice.warm_copy_declined,
    )
    old_server, old_timeline, warm_copy = OldServerFacts(), None, None
    if mode is Mode.FAILOVER:
        if old_directories is None and choice.timeline is None:
            old_timeline, holdings = with_old_timeline(place.directory, holdings)
        old_server = look_for_old_server(installation, name, place, holdings.backups[0].system_identifier, looking)
        wish = replace(wish, disruption=disruption_beside(installation, name, disruption, old_server))
        warm_copy = warm_copy_facts(installation, name)
    facts = RecoveryFacts(
        now=installation.clock.now(),
        plan_id=plan_id or new_plan_id(installation.clock, procedure),
        stack_digest=installation.digest,
        backups=holdings.backups,
        histories=holdings.histories,
        wal=holdings.wal,
        damaged_histories=holdings.damaged_histories,
        programs_major=installation.instances[name].major(),
        staged_wal_bytes=STAGED_SEGMENTS * holdings.wal.segment_bytes,
        old_server=old_server,
        old_timeline=old_timeline,
        quarantines=holdings.quarantines,
        warm_copy=warm_copy,
    )
    return plan_recovery(wish, facts)


def _source(installation: Installation, name: ResourceName, choice: Choice) -> tuple[RepositoryName, Holdings]:
    return source_that_will_do(
        installation,
        name,
        choice,
        partial(_held, installation, name, choice),
    )


def _held(
    installation: Installation, name: ResourceName, choice: Choice, source: RepositoryName, without: frozenset[str]
) -> Holdings:
    """Raises as ``holdings_of`` does, and ``backup_quarantined``."""
    repository = made_repository(installation, source)
    quarantines = chosen_from(installation, name, source, choice)
    if quarantines and choice.label is not None:
        require_believed_label(name, choice.label, quarantines, repository.backups(name).usable)
    return holdings_of(repository, name, without, quarantines)


def _require_fit(installation: Installation, choice: Choice, found: tuple[RepositoryName, Holdings]) -> None:
    """Raises as ``choose_restore`` and ``require_believed`` do."""
    held, now = found[1], installation.clock.now()
    chosen = choose_restore(held.backups, held.histories, held.wal.timelines(), choice.target, now, choice.timeline)
    require_believed(chosen, choice.target, held.quarantines)


def _by_oid(backups: tuple[BackupManifest, ...], named: Mapping[str, str] | None, place: InstancePlace) -> Mapping[int, str]:
    tablespaces = {tablespace for backup in backups for tablespace in backup.tablespaces}
    if named is None:
        return {tablespace.oid: f"{place.directory}-tablespace-{tablespace.oid}" for tablespace in tablespaces}
    return {tablespace.oid: named[tablespace.name] for tablespace in tablespaces if tablespace.name in named}


def _check_fields(check: Mapping[str, object]) -> Mapping[str, str]:
    return {name: str(value) for name, value in check.items()}
