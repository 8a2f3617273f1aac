"""Restoring, drilling and recovering: three wishes, one plan."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from understudy.app.carrying_out import Asked, Watcher, carry_out
from understudy.app.database_recoveries import plan_drill, plan_in_place, plan_part_restore, plan_restore
from understudy.app.disruption import disruption_at
from understudy.app.installation import Installation
from understudy.app.old_server import Looking, unseen
from understudy.app.other_identity import opening_as_asked
from understudy.app.quarantines import remember_quarantines
from understudy.app.repositories import made_repository, prepare_repository
from understudy.app.run_view import RunView
from understudy.app.service_recoveries import stopped_meanwhile
from understudy.app.snapshot_restores import local_directory, plan_requested_snapshot_restore, snapshot_restore_request
from understudy.app.sources import other_copies_told, source_first
from understudy.app.stack_recoveries import (
    drilled_resources,
    lost_since,
    plan_requested_stack,
    require_choice_of_several,
    wanted_resources,
)
from understudy.plan.plan import Plan, Procedure
from understudy.plan.request import BackupRequest, Choice, RecoveryRequest, Request, StackRequest
from understudy.plan.stack_recovery import planned_disruption
from understudy.stack.models import Scenario
from understudy.steps.ship_remaining_wal import ShipRemainingWal
from understudy.vocabulary.errors import Refusal, UnderstudyError
from understudy.vocabulary.identifiers import Person, RepositoryName, ResourceName
from understudy.vocabulary.recovery_target import strictly_before

_ALWAYS_WHOLE = (Scenario.COMPLETE_FAILURE, Scenario.SECURITY_INCIDENT)

_log = logging.getLogger(__name__)


def restore(installation: Installation, resource: str, place: Path | str, choice: Choice, watcher: Watcher) -> RunView:
    """Restore into an empty directory, or of a bucket into another one; a database is verified, and its server left stopped.

    Raises as ``plan_restore``, ``plan_requested_snapshot_restore`` and ``carry_out`` do.
    """
    if installation.is_database(resource):
        _require_whole(resource, choice)
        request = RecoveryRequest(Procedure.RESTORE, ResourceName(resource), choice, local_directory(str(place)))
    else:
        request = snapshot_restore_request(installation, resource, str(place), choice)
    return _carry_out(installation, request, plan_requested_recovery(installation, request), watcher)


def _require_whole(resource: str, choice: Choice) -> None:
    if choice.only is not None:
        raise Refusal(
            "database_is_whole",
            found=f"--only {choice.only}, and {resource} is a database",
            expected="a restore of all of it, or of one database or table",
            hint=f"name it: understudy restore {resource} --to DIRECTORY --database NAME, or --table DATABASE.SCHEMA.TABLE",
        )


def drill(installation: Installation, scenario: Scenario, resources: Sequence[str], choice: Choice, watcher: Watcher) -> RunView:
    """Carry out the scenario in a sandbox that is removed afterwards. Raises as ``wanted_resources``,
    ``require_choice_of_several``, ``plan_drill``, ``plan_requested_stack`` and ``carry_out`` do.

    What opens it is the stack file's identity, or that of ``choice``.

    Args:
        resources: Names of what is lost; empty: what the scenario takes where there is no choice.
    """
    request = drill_request(installation, scenario, resources, choice)
    return _carry_out(installation, request, plan_requested_recovery(installation, request), watcher)


def drill_request(
    installation: Installation, scenario: Scenario, resources: Sequence[str], choice: Choice
) -> RecoveryRequest | StackRequest:
    """What ``drill`` carries out. Raises as ``wanted_resources`` and ``require_choice_of_several`` do."""
    names = drilled_resources(installation, scenario, resources)
    return _requested(installation, Procedure.DRILL, scenario, names, choice)


def _requested(
    installation: Installation, procedure: Procedure, scenario: Scenario, names: Sequence[ResourceName], choice: Choice
) -> RecoveryRequest | StackRequest:
    """One database alone is a plan of its own."""
    require_choice_of_several([name for name in names if name not in installation.stack.services], choice)
    parts = tuple(
        RecoveryRequest(procedure, name, _fitting(installation, name, names, choice), scenario=scenario.value) for name in names
    )
    alone = len(names) == 1 and installation.is_database(names[0]) and scenario not in _ALWAYS_WHOLE
    return parts[0] if alone else StackRequest(procedure, scenario.value, parts)


def _fitting(installation: Installation, name: ResourceName, names: Sequence[ResourceName], choice: Choice) -> Choice:
    """Tablespaces that are named for one of several are those of the databases among them; of a service nothing is chosen."""
    if name in installation.stack.services:
        return Choice()
    if len(names) == 1 or installation.is_database(name):
        return choice
    return replace(choice, tablespaces=None)


def recover(
    installation: Installation,
    scenario: Scenario,
    resources: Sequence[str],
    choice: Choice,
    watcher: Watcher,
    *,
    approved_by: Person | None = None,
    fence_override_by: Person | None = None,
    take_over: bool = False,
    since: datetime | None = None,
    looking: Looking = unseen,
) -> RunView:
    """Carry out the scenario for real, where the stack file says.

    What may refuse it is looked at first, before anybody is asked and before anything is written. It writes to the repositories
    of databases (the last WAL, the base backup afterwards), so they must be this controller's, or be taken over, which happens
    once somebody has agreed. Only the one that it reads from must be there.

    Args:
        resources: As for ``drill``.
        since: When the service was lost, as a person knows it.
        looking: Entered while other hosts are asked.

    Raises:
        Refusal: ``controller_superseded``; and as ``wanted_resources``, ``require_choice_of_several``, ``plan_in_place``,
            ``plan_requested_stack`` and ``carry_out`` do.
    """
    began = installation.clock.now()
    names = stopped_meanwhile(installation, scenario, wanted_resources(installation, scenario, resources))
    databases = [name for name in names if installation.is_database(name)]
    for name in databases:
        with other_copies_told(installation, name, choice):
            # Preparing would make one, and there is nothing to recover from.
            made_repository(installation, source_first(installation, name, choice.repository)[0]).describe()

    def as_agreed(part: RecoveryRequest) -> RecoveryRequest:
        counted = disruption_at(installation, part.resource, began, since) if part.resource in databases else None
        return replace(
            part, approved_by=approved_by, fence_override_by=fence_override_by, disruption=counted, take_over=take_over
        )

    request = _requested(installation, Procedure.RECOVERY, scenario, names, choice)
    if isinstance(request, StackRequest):
        parts = tuple(map(as_agreed, request.parts))
        request = replace(request, parts=parts, approved_by=approved_by, disruption=lost_since(parts, began, since))
    else:
        request = as_agreed(request)
    plan = plan_requested_recovery(installation, request, looking)
    request = _counted_as_planned(request, plan)
    for name in databases:
        _prepare_to_write(installation, name, choice, claim=not take_over)
    view = _carry_out(installation, request, plan, watcher)
    if scenario is Scenario.SECURITY_INCIDENT:
        remember_quarantines(installation, [name for name in names if name not in installation.stack.services])
    return view


def _prepare_to_write(installation: Installation, name: ResourceName, choice: Choice, *, claim: bool) -> None:
    source, *others = source_first(installation, name, choice.repository)
    with other_copies_told(installation, name, choice):
        prepare_repository(installation, source, claim=claim)
    for other in others:
        _prepare_if_there(installation, other, claim=claim)


def _counted_as_planned(request: RecoveryRequest | StackRequest, plan: Plan) -> RecoveryRequest | StackRequest:
    """The runs that follow find no old server any more, so what was seen of it when this one was planned holds for them, too."""
    if isinstance(request, RecoveryRequest):
        return replace(request, disruption=planned_disruption(plan, request.resource))
    parts = tuple(replace(part, disruption=planned_disruption(plan, part.resource)) for part in request.parts)
    return replace(request, parts=parts, disruption=planned_disruption(plan))


def _prepare_if_there(installation: Installation, repository: RepositoryName, *, claim: bool) -> None:
    """What it lacks then, the steps say that write to it."""
    try:
        prepare_repository(installation, repository, claim=claim)
    except UnderstudyError as error:
        _log.warning("%s cannot be written to now: %s", repository, error)


def _carry_out(installation: Installation, request: RecoveryRequest | StackRequest, plan: Plan, watcher: Watcher) -> RunView:
    asked = Asked(request, lambda following: plan_requested_recovery(installation, following))
    return carry_out(installation, plan, watcher, request.approved_by, asked)


def plan_as_asked(
    installation: Installation,
    procedure: Procedure,
    scenario: Scenario,
    names: Sequence[ResourceName],
    *,
    fence_override_by: Person | None = None,
) -> Plan:
    """The drill or the recovery that would be carried out now, to be read. Raises as ``drill`` and ``recover`` do."""
    if procedure is Procedure.DRILL:
        names = tuple(name for name in names if name not in installation.stack.services)
    else:
        names = stopped_meanwhile(installation, scenario, names)
    intrusion = scenario is Scenario.SECURITY_INCIDENT  # whose moment only a person can name: planned as if it were this one
    choice = Choice(target=strictly_before(installation.clock.now())) if intrusion else Choice()
    request = _requested(installation, procedure, scenario, names, choice)
    if isinstance(request, StackRequest):
        request = replace(request, parts=tuple(replace(each, fence_override_by=fence_override_by) for each in request.parts))
    else:
        request = replace(request, fence_override_by=fence_override_by)
    return plan_requested_recovery(installation, request)


def plan_requested_recovery(installation: Installation, request: Request, looking: Looking = unseen) -> Plan:
    """Raises as ``plan_restore``, ``plan_drill``, ``plan_in_place`` and ``plan_requested_stack`` do; ``signer_not_named``."""
    if isinstance(request, BackupRequest):
        raise TypeError(f"not asked for a recovery: {request}")
    installation = opening_as_asked(installation, request)
    installation.require_believed_signer(own_key_will_do=request.procedure is not Procedure.RECOVERY)
    if isinstance(request, StackRequest):
        return plan_requested_stack(installation, request, lambda part: plan_requested_recovery(installation, part, looking))
    resource, choice = request.resource, request.choice
    if not installation.is_database(resource):
        return plan_requested_snapshot_restore(installation, request)
    match request.procedure:
        case Procedure.RESTORE:
            plan_it = plan_restore if choice.database is None and choice.table is None else plan_part_restore
            return plan_it(installation, resource, Path(request.directory), choice)
        case Procedure.DRILL:
            return plan_drill(installation, Scenario(request.scenario), resource, choice)
        case _:
            scenario, override_by = Scenario(request.scenario), request.fence_override_by
            old = request.old_directories
            plan = plan_in_place(installation, scenario, resource, choice, override_by, request.disruption, looking, old)
            return _taking_over(plan) if request.take_over else plan


def _taking_over(plan: Plan) -> Plan:
    steps = (
        replace(each, step=replace(each.step, take_over=True)) if isinstance(each.step, ShipRemainingWal) else each
        for each in plan.steps
    )
    return replace(plan, steps=tuple(steps))
