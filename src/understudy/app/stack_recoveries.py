"""Recovering, and drilling, several resources together; or one that is no database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from understudy.adapters.places import LocalPlaces
from understudy.app.collections import collection_of
from understudy.app.dump_parts import dump_landing
from understudy.app.identities import new_plan_id
from understudy.app.installation import Installation
from understudy.app.replaceable import require_operable, require_places_apart, require_replaceable, require_room
from understudy.app.service_recoveries import (
    brought_up_in_a_drill,
    plan_service_drills,
    plan_service_part,
    rotations,
    services_of_a_failure,
)
from understudy.app.snapshot_restores import choose_held
from understudy.plan.dump_load import plan_dump_load
from understudy.plan.plan import Mode, Plan, Procedure
from understudy.plan.recovery_order import Turn, Urgency, recovery_order
from understudy.plan.request import Choice, RecoveryRequest, StackRequest
from understudy.plan.snapshot_restore import (
    LoadFacts,
    OperatedFacts,
    QuarantineFacts,
    SnapshotLanding,
    plan_load,
    plan_snapshot_restore,
)
from understudy.plan.stack_recovery import StackWish, plan_stack_recovery, planned_disruption, refused_together
from understudy.stack.dumps import PostgresDumpResource
from understudy.stack.models import Scenario
from understudy.stack.resources import SnapshotResource
from understudy.stack.snapshots import BucketResource, FilesResource
from understudy.stack.streams import CommandResource, RedisResource
from understudy.steps.provision_snapshot_target import is_directory
from understudy.vocabulary.disruption import Disruption, KnownBy
from understudy.vocabulary.errors import Refusal, TryAgain, UnderstudyError
from understudy.vocabulary.identifiers import PlanId, ResourceName
from understudy.vocabulary.recovery_target import TargetKind, left_out_from

PlanAlone = Callable[[RecoveryRequest], Plan]
"""Plans the part of one database."""

_OF_SEVERAL = frozenset({TargetKind.LATEST, TargetKind.TIME})


def wanted_resources(installation: Installation, scenario: Scenario, named: Sequence[str]) -> tuple[ResourceName, ...]:
    """Those that were named; else what the scenario takes from the stack, where there is no choice.

    Raises:
        Refusal: ``no_such_resource``, ``resource_is_no_database``, ``resource_is_a_database``, ``no_such_service``.
    """
    if scenario is Scenario.APPLICATION_FAILURE:
        return services_of_a_failure(installation, named)
    for name in named:
        if scenario is Scenario.COMPLETE_FAILURE:
            installation.part(name)
        else:
            installation.resource(name)
    databases = installation.database_names()
    others = tuple(name for name in installation.snapshot_names() if not _is_restored_by_hand(installation, name))
    match scenario:
        case Scenario.COMPLETE_FAILURE | Scenario.SECURITY_INCIDENT:
            by_hand = restored_by_hand(installation, scenario, named)
            everything = (*installation.resource_names(), *installation.service_names())
            return tuple(name for name in everything if name not in by_hand and (not named or name in named))
        case Scenario.DATABASE_CORRUPTION:
            for name in named:
                installation.postgres(name)
            return _one_of(named, databases, "database", "postgres")
        case Scenario.STORAGE_LOSS:
            for name in named:
                installation.in_snapshots(name)
            return _one_of(named, others, "directory or bucket", "files or bucket")
        case _:
            return _one_of(named, databases or others, "database" if databases else "resource", "postgres")


def drilled_resources(installation: Installation, scenario: Scenario, named: Sequence[str]) -> tuple[ResourceName, ...]:
    """As ``wanted_resources``, of a drill: with all that the services among it depend on."""
    return brought_up_in_a_drill(installation, wanted_resources(installation, scenario, named))


def restored_by_hand(installation: Installation, scenario: Scenario, named: Sequence[str]) -> tuple[ResourceName, ...]:
    """What belongs to everything that was lost, and no recovery brings back: a person does, with ``understudy restore --to``."""
    if scenario not in (Scenario.COMPLETE_FAILURE, Scenario.SECURITY_INCIDENT) or named:
        return ()
    return tuple(name for name in installation.snapshot_names() if _is_restored_by_hand(installation, name))


def _is_restored_by_hand(installation: Installation, name: str) -> bool:
    settings = installation.in_snapshots(name)
    if isinstance(settings, CommandResource):
        return settings.load is None
    if isinstance(settings, PostgresDumpResource):
        return settings.recover is None
    return isinstance(settings, RedisResource) and settings.recover is None


def _one_of(named: Sequence[str], candidates: tuple[ResourceName, ...], what: str, kinds: str) -> tuple[ResourceName, ...]:
    """What stands beside it and is well must not be set aside because nobody was asked."""
    if named:
        return tuple(dict.fromkeys(map(ResourceName, named)))
    if len(candidates) == 1:
        return candidates
    if not candidates:
        raise Refusal(
            "no_such_resource",
            found=f"the stack file names no {what}",
            expected=f"a resource of kind {kinds}",
            hint="see what each scenario is about: understudy recover --help",
        )
    raise Refusal(
        "no_such_resource",
        found=f"no resource was named, and the stack has several to which this can happen: {', '.join(candidates)}",
        expected="which of them is lost",
        hint="name it, or each of them: --resource NAME; everything is lost in complete_failure",
    )


def require_choice_of_several(names: Sequence[ResourceName], choice: Choice) -> None:
    """
    Raises:
        Refusal: ``target_of_one_resource``.
    """
    if len(names) <= 1:
        return
    told = [
        (f"the target {choice.target}", choice.target.kind not in _OF_SEVERAL),
        ("--timeline", choice.timeline is not None),
        (f"--backup {choice.label}", choice.label is not None),
    ]
    found = next((text for text, given in told if given), None)
    if found is not None:
        raise Refusal(
            "target_of_one_resource",
            found=f"{found}, for {', '.join(names)} together",
            expected="the newest of each, or one moment for all of them: --time",
            hint="recover that one by itself: --resource NAME",
        )


def lost_since(parts: Sequence[RecoveryRequest], began: datetime, told: datetime | None) -> Disruption:
    """Of all of them: what a person says, else when the first of the databases was lost, else the start of the command.

    Raises:
        Refusal: ``since_implausible``.
    """
    if told is None:
        known = (part.disruption for part in parts if part.disruption is not None)
        return min(known, key=lambda each: each.at, default=Disruption.exactly(began, KnownBy.COMMAND))
    if told > began:
        raise Refusal(
            "since_implausible",
            found=f"--since {told.isoformat()} lies in the future: it is {began.isoformat(timespec='seconds')} now",
            expected="the moment at which the service was lost",
            hint="look at date and offset (+00:00 is UTC); or leave --since out",
        )
    return Disruption.exactly(told, KnownBy.PERSON)


def plan_requested_stack(installation: Installation, request: StackRequest, plan_alone: PlanAlone) -> Plan:
    """All parts, and everything that stands against any of them at once.

    After a run that brought back others, what cannot be planned any more is left out, with all that depends on it.

    Raises:
        Refusal: ``prerequisites_missing`` where several are refused; else what the one part is refused for; and what
            ``plan_stack_recovery`` raises.
        TryAgain: what is needed for planning is away.
    """
    plan_id = new_plan_id(installation.clock, request.procedure)
    plans: dict[ResourceName, Plan] = {}
    refused: dict[ResourceName, UnderstudyError] = {}
    drilled = request.procedure is Procedure.DRILL
    services = [part.resource for part in request.parts if part.resource in installation.stack.services] if drilled else []
    for part in request.parts:
        if part.resource in services:
            continue
        try:
            plans[part.resource] = _plan_part(installation, part, plan_id, plan_alone)
        except UnderstudyError as error:
            refused[part.resource] = error
    drills, undrilled = plan_service_drills(installation, services, plans, plan_id)
    plans, refused = {**plans, **drills}, {**refused, **undrilled}
    turns = _turns(installation, [part.resource for part in request.parts])
    if refused:
        passing = next((error for error in refused.values() if isinstance(error, TryAgain)), None)
        if request.goes_on and passing is not None:
            raise passing
        fitting = _not_held_back(turns, set(refused)) if request.goes_on else ()
        if not fitting:
            raise refused_together(refused)
        plans = {turn.resource: plans[turn.resource] for turn in fitting}
        turns = _turns(installation, list(plans))
    require_places_apart(plans)
    since = next((each for each in map(_quarantine_since, request.parts) if each is not None), None)
    wish = StackWish(
        procedure=request.procedure,
        mode=Mode.DRILL if request.procedure is Procedure.DRILL else Mode.FAILOVER,
        scenario=request.scenario,
        plan_id=plan_id,
        stack_digest=installation.digest,
        turns=turns,
        disruption=_as_planned(request, plans),
        quarantine_since=since,
        rotations=() if since is None else rotations(installation),
    )
    return plan_stack_recovery(wish, plans)


def _quarantine_since(part: RecoveryRequest) -> datetime | None:
    """A drill quarantines nothing, and of a service nothing is kept."""
    intrusion = part.scenario == Scenario.SECURITY_INCIDENT.value and part.procedure is Procedure.RECOVERY
    return left_out_from(part.choice.target) if intrusion and part.choice.target.kind is TargetKind.TIME else None


def _as_planned(request: StackRequest, plans: Mapping[ResourceName, Plan]) -> Disruption | None:
    """Planning has looked whether old servers live, and counts anew where one does."""
    known = request.disruption
    if known is None or known.known_by is KnownBy.PERSON or request.goes_on:
        return known
    seen = (planned_disruption(plan, name) for name, plan in plans.items())
    return min((each for each in seen if each is not None), key=lambda each: each.at, default=known)


def _turns(installation: Installation, wanted: Sequence[ResourceName]) -> tuple[Turn, ...]:
    parts = {**installation.stack.resources, **installation.stack.services}
    declared = {
        ResourceName(name): Urgency(settings.priority, tuple(map(ResourceName, settings.depends_on)))
        for name, settings in parts.items()
    }
    return recovery_order(declared, wanted)


def _not_held_back(turns: Sequence[Turn], refused: set[ResourceName]) -> tuple[Turn, ...]:
    held_back = set(refused)
    fitting: list[Turn] = []
    for turn in turns:
        if turn.resource in held_back or turn.after & held_back:
            held_back.add(turn.resource)
        else:
            fitting.append(turn)
    return tuple(fitting)


def _plan_part(installation: Installation, part: RecoveryRequest, plan_id: PlanId, plan_alone: PlanAlone) -> Plan:
    if part.resource in installation.stack.services:
        return plan_service_part(installation, part.resource, plan_id)
    if installation.is_database(part.resource):
        return plan_alone(part)
    settings, choice = installation.in_snapshots(part.resource), part.choice
    chosen = choose_held(installation, part.resource, choice)
    since = _quarantine_since(part)
    quarantine = None if since is None else QuarantineFacts(since, installation.repository_names(part.resource))
    of_the_past = choice.label is not None or choice.target.kind is not TargetKind.LATEST
    if part.procedure is Procedure.RECOVERY and isinstance(settings, CommandResource) and settings.load is not None:
        place = str(installation.state / "loads" / f"{plan_id}-{part.resource}")
        load = LoadFacts(settings.load, settings.load_again)
        return plan_load(
            part.resource,
            chosen,
            place,
            load,
            plan_id,
            installation.digest,
            mode=Mode.FAILOVER,
            of_the_past=of_the_past,
            quarantine=quarantine,
        )
    if part.procedure is Procedure.RECOVERY and isinstance(settings, PostgresDumpResource):
        loaded = dump_landing(installation, part, plan_id, mode=Mode.FAILOVER, of_the_past=of_the_past)
        return plan_dump_load(part.resource, chosen, loaded, plan_id, installation.digest)
    if part.procedure is Procedure.DRILL:
        landing = _sandbox(installation, part.resource, settings, plan_id)
    else:
        landing = _in_place(installation, part.resource, settings)
    if is_directory(landing.place):
        require_room(installation, chosen, landing.place)
    landing = replace(landing, of_the_past=of_the_past, quarantine=quarantine)
    return plan_snapshot_restore(part.resource, chosen, landing, choice.only, plan_id, installation.digest)


def _sandbox(installation: Installation, name: ResourceName, settings: SnapshotResource, plan_id: PlanId) -> SnapshotLanding:
    """
    Raises:
        Refusal: ``sandbox_missing``.
    """
    if not isinstance(settings, BucketResource):
        own = settings.drill.directory if isinstance(settings, FilesResource) else None
        drills = Path(own or installation.state / "drills")
        drills.mkdir(parents=True, exist_ok=True, mode=0o711)
        sandbox = drills / f"{plan_id}-{name}"
        return SnapshotLanding(str(sandbox / "restored"), Mode.DRILL, sandbox=str(sandbox))
    if settings.drill.url is None:
        raise Refusal(
            "sandbox_missing",
            found=f"the stack file does not say where drills bring {name} up",
            expected=f"resources.{name}.drill.url, a bucket of its service that is for drills, or a prefix in one",
            hint="add it; or drill without it: --resource NAME, once for each of the others",
        )
    return SnapshotLanding(f"{settings.drill.url}/{plan_id}", Mode.DRILL)


def _in_place(installation: Installation, name: ResourceName, settings: SnapshotResource) -> SnapshotLanding:
    """
    Raises:
        Refusal: ``target_not_empty``: of a bucket, in which nothing can be set aside; ``restored_by_hand``.
    """
    if isinstance(settings, BucketResource):
        _require_no_objects(installation, name, settings)
        return SnapshotLanding(settings.url, Mode.FAILOVER)
    if isinstance(settings, FilesResource):
        require_replaceable(installation, name, settings.path)
        return SnapshotLanding(settings.path, Mode.FAILOVER, holds_something=_holds_something(settings.path))
    if isinstance(settings, RedisResource) and settings.recover is not None:
        directory, recover = settings.recover.directory, settings.recover
        require_operable(name, recover)
        require_replaceable(installation, name, directory)
        return SnapshotLanding(
            directory,
            Mode.FAILOVER,
            holds_something=_holds_something(directory),
            operated=OperatedFacts(recover.stop, recover.start),
        )
    missing = "load" if isinstance(settings, CommandResource) else "recover"
    raise Refusal(
        "restored_by_hand",
        found=f"{name} is of kind {settings.kind}, and the stack file does not say how what came back is put in its place",
        expected=f"resources.{name}.{missing}",
        hint=f"add it, or restore it and do that yourself: understudy restore {name} --to DIRECTORY",
    )


def _holds_something(directory: str) -> bool:
    there = LocalPlaces().facts(directory)
    return there.exists and not there.empty


def _require_no_objects(installation: Installation, name: ResourceName, settings: BucketResource) -> None:
    entry = next(iter(collection_of(settings).entries()), None)
    if entry is None:
        return
    raise Refusal(
        "target_not_empty",
        found=f"{settings.url} holds objects, {entry.key!r} among them",
        expected="a bucket, or a prefix, without any: nothing in it is ever overwritten, and nothing can be set aside there",
        hint=f"to bring back what is missing, restore beside it and copy what you need: understudy restore {name} --to "
        "s3://BUCKET/PREFIX [--only NAME]; to recover all of it, move away what is there first",
    )
