"""The disaster recovery plan: every scenario planned as it would be carried out now, and what the evidence says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from understudy import __version__
from understudy.app.carrying_out import serving_pid
from understudy.app.drill_calendar import DrillStatus, calendar_status
from understudy.app.installation import Installation
from understudy.app.key_ring import trusted_signers
from understudy.app.known_errors import known_errors
from understudy.app.looking import Status, status
from understudy.app.proven_runs import proven_runs
from understudy.app.recoveries import plan_as_asked
from understudy.app.stack_recoveries import restored_by_hand, wanted_resources
from understudy.documents.disaster_plan import (
    DisasterPlan,
    LastTime,
    PlannedResource,
    ProcedureStep,
    RepositoryRead,
    ScenarioProcedure,
    ScheduledDrill,
)
from understudy.judge.measured import SERVICE
from understudy.plan.plan import Plan, PlannedStep, Procedure
from understudy.plan.recovery_order import Urgency, recovery_order
from understudy.records.run import RecordedError, RunState
from understudy.stack.models import Scenario
from understudy.stack.services import Service
from understudy.vocabulary.errors import Refusal, UnderstudyError
from understudy.vocabulary.identifiers import Person, ResourceName

Command = Callable[..., str]
"""What a person types, from the words of a command: with what leads to this stack."""

_ANSWERS = "old_server_not_fenced"
_NOBODY = Person("nobody: this is a plan on paper")
_ERRORS_SHOWN = 12
_RUNS_LOOKED_AT = 50


def disaster_plan(installation: Installation, stack_file: Path, command: Command) -> DisasterPlan:
    """Reads the repositories, and asks the addresses of the databases, as the recoveries themselves would; changes nothing there.

    What cannot be planned now stands in it with the reason.
    """
    seen = status(installation)
    return DisasterPlan(
        stack=installation.stack,
        digest=installation.digest,
        stack_file=str(stack_file.absolute()),
        state=str(installation.state),
        parts=tuple(_parts(installation, seen)),
        procedures=tuple(_procedures(installation, command)),
        proven=proven_runs(installation),
        read_back=tuple(
            RepositoryRead(each.repository, each.size_bytes, each.never_read_bytes, each.damaged, each.oldest_read)
            for each in seen.reading_back.repositories
        ),
        calendar=tuple(map(_calendar_drill, calendar_status(installation.reading(installation.past)))),
        serving=serving_pid(installation.state) is not None,
        recipients=installation.stack.encryption.recipients,
        signers=tuple(sorted(trusted_signers(installation.stack.encryption, installation.state))),
        advice=known_errors(),
        met_lately=tuple(_met_lately(installation)),
        made=installation.clock.now(),
        made_by_version=__version__,
    )


def _calendar_drill(each: DrillStatus) -> ScheduledDrill:
    passed = each.last_passed
    return ScheduledDrill(
        name=each.name,
        scenario=each.scenario,
        resources=each.resources,
        every=each.every,
        passed=None if passed is None else passed.run,
        passed_at=None if passed is None else passed.ended,
        next=each.next,
        overdue_since=each.overdue_since,
    )


def _parts(installation: Installation, seen: Status) -> Iterator[PlannedResource]:
    """Resources and services."""
    stack, parts = installation.stack, {**installation.stack.resources, **installation.stack.services}
    declared = {
        ResourceName(name): Urgency(each.priority, tuple(map(ResourceName, each.depends_on))) for name, each in parts.items()
    }
    by_hand = restored_by_hand(installation, Scenario.COMPLETE_FAILURE, ())
    newest = {each.resource: each.newest_backup for each in seen.resources}
    snapshots = {each.resource: each.newest_snapshot for each in seen.snapshots}
    following = {each.resource: each.next_backup for each in seen.resources}
    following |= {each.resource: each.next_backup for each in seen.snapshots}
    turns: dict[ResourceName, int] = {}
    for turn in recovery_order(declared, tuple(declared)):
        name, settings = turn.resource, parts[turn.resource]
        turns[name] = 1 + max((turns[each] for each in turn.after | turn.once_ended), default=0)
        taken = newest.get(name) or snapshots.get(name)
        yield PlannedResource(
            name=name,
            kind=SERVICE if isinstance(settings, Service) else settings.kind,
            turn=turns[name],
            priority=turn.priority,
            depends_on=tuple(settings.depends_on),
            tier=settings.tier,
            rto=stack.tiers[settings.tier].rto,
            rpo=stack.tiers[settings.tier].rpo,
            newest_backup=taken.label if taken is not None else None,
            newest_backup_at=taken.ended if taken is not None else None,
            next_backup=following.get(name),
            by_hand=name in by_hand,
        )


def _procedures(installation: Installation, command: Command) -> Iterator[ScenarioProcedure]:
    for scenario in Scenario:
        for names, named in scenario_choices(installation, scenario):
            yield _procedure(installation, scenario, names, named, command)


def scenario_choices(
    installation: Installation, scenario: Scenario
) -> Iterator[tuple[tuple[ResourceName, ...], tuple[str, ...]]]:
    """What the scenario may be about: all at once, or each by itself where a person must name which one is lost. With what is
    typed to say so.
    """
    try:
        yield wanted_resources(installation, scenario, ()), ()
        return
    except Refusal:
        pass
    for name in installation.resource_names():
        try:
            yield wanted_resources(installation, scenario, (name,)), ("--resource", name)
        except Refusal:
            continue


def _procedure(
    installation: Installation,
    scenario: Scenario,
    names: tuple[ResourceName, ...],
    named: tuple[str, ...],
    command: Command,
) -> ScenarioProcedure:
    if scenario is Scenario.SECURITY_INCIDENT:
        named = (*named, "--before", "TIME")
    drilled = any(name not in installation.stack.services for name in names)
    plan, against = _planned(installation, Procedure.RECOVERY, scenario, names)
    of_the_drill = plan is None
    if plan is None and drilled:
        plan, _ = _planned(installation, Procedure.DRILL, scenario, names)
    return ScenarioProcedure(
        scenario=scenario.value,
        resources=tuple(names),
        command=command("recover", scenario.value, *named),
        rehearsal=command("drill", scenario.value, *named) if drilled else None,
        steps=tuple(_step(installation, each) for each in plan.steps) if plan is not None else (),
        of_the_drill=of_the_drill and plan is not None,
        stands_against=against,
    )


def _planned(
    installation: Installation, procedure: Procedure, scenario: Scenario, names: tuple[ResourceName, ...]
) -> tuple[Plan | None, RecordedError | None]:
    """The plan, and what stands against it. While the old server answers, the plan is made as if somebody let that pass."""
    try:
        return plan_as_asked(installation, procedure, scenario, names), None
    except UnderstudyError as error:
        against = RecordedError.of(error)
        if not (procedure is Procedure.RECOVERY and _ANSWERS in f"{error.code} {error.found}"):
            return None, against
    try:
        return plan_as_asked(installation, procedure, scenario, names, fence_override_by=_NOBODY), against
    except UnderstudyError:
        return None, against


def _step(installation: Installation, planned: PlannedStep) -> ProcedureStep:
    step = planned.step
    found = installation.past.newest_success(step.key)
    last = None
    if found is not None and found.evidence is not None and found.ended is not None:
        last = LastTime(found.run, found.evidence.ended - found.evidence.started, found.ended)
    return ProcedureStep(step.key, step.PHASE, planned.approval.question if planned.approval is not None else None, last)


def _met_lately(installation: Installation) -> Iterator[RecordedError]:
    """The newest first, each code once."""
    told: set[str] = set()
    for run in installation.past.runs(_RUNS_LOOKED_AT):
        if run.state is not RunState.FAILED:
            continue
        errors = [run.error, *(step.error for step in installation.past.steps(run.run))]
        for error in errors:
            if error is not None and error.code and error.code not in told and len(told) < _ERRORS_SHOWN:
                told.add(error.code)
                yield error
