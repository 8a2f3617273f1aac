"""What a finished run of recovery came to: phases, recovery time, recovery point, each against its objective."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast

from understudy.app.installation import Installation
from understudy.app.run_view import RunView, is_of_the_whole, views_by_resource
from understudy.judge.measured import SERVICE, MeasuredRecovery, MeasuredStack, Objectives
from understudy.judge.phase_budgets import judge_budgets
from understudy.judge.recovery_point import RecoveryPoint, judge_recovery_point, judge_snapshot_point
from understudy.judge.run_measurement import VALIDATING, MeasuredStep, RunMeasurement, measure_run
from understudy.plan.plan import Plan
from understudy.plan.stack_recovery import planned_disruption
from understudy.records.run import RunState, StepRecord, StepState
from understudy.runner.plan_json import plan_from_json
from understudy.stack.models import PhasedObjective, Scenario
from understudy.stack.services import Service
from understudy.steps.check_prerequisites import CheckPrerequisites
from understudy.steps.restore_snapshot import RestoreSnapshot
from understudy.vocabulary.disruption import Disruption, KnownBy
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.evidence import Outcome
from understudy.vocabulary.identifiers import ResourceName, StepKey
from understudy.vocabulary.json import Json
from understudy.vocabulary.phases import Phase
from understudy.vocabulary.recovery_target import TargetKind


def measure(installation: Installation, view: RunView) -> MeasuredRecovery | MeasuredStack:
    """By the disruption that the plan of a real recovery names; a drill counts from its first attempt's submission.

    Raises:
        GiveUp: ``plan_unreadable``.
    """
    plan = plan_of(installation, view)
    disruption = planned_disruption(plan) or Disruption.exactly(view.began, KnownBy.COMMAND)
    if not any(isinstance(each.step, CheckPrerequisites) for each in plan.steps):
        resource = ResourceName(view.steps[0].key.partition("/")[0])
        return _measure_one(installation, view, plan, resource, disruption)
    return _measure_stack(installation, view, plan, disruption)


def _measure_stack(installation: Installation, view: RunView, plan: Plan, disruption: Disruption) -> MeasuredStack:
    scenario = installation.stack.objective_of(Scenario(view.run.subject))
    parts: dict[str, MeasuredRecovery] = {}
    priorities: dict[str, str] = {}
    records: list[MeasuredStep] = []
    planned: dict[StepKey, Phase] = {}
    plans = {view.run.run: plan}
    views = views_by_resource(view)
    turns = _turns_of(installation, view)
    if view.run.subject == Scenario.APPLICATION_FAILURE:
        disruption = _with_copies_up(installation, plan, views, turns) or disruption
        turns = tuple(name for name in turns if name in installation.stack.services)
    for name in turns:
        own = views[name]
        its_plan = plans.setdefault(own.run.run, plan_of(installation, own))
        counted = planned_disruption(its_plan, name) or disruption
        parts[name] = _measure_one(installation, own, its_plan, ResourceName(name), replace(disruption, latest=counted.latest))
        look = next(each.step for each in its_plan.steps if isinstance(each.step, CheckPrerequisites))
        priorities[name] = look.priorities[name]
        planned |= _planned_of(its_plan, name)
        records += _measured_steps(own, planned)
    planned |= {each.step.key: each.step.PHASE for each in plan.steps if isinstance(each.step, CheckPrerequisites)}
    records += _measured_steps(replace(view, steps=view.steps[:1]), planned)
    now = view.run.ended or installation.clock.now()

    def measured(objective: timedelta | None) -> RunMeasurement:
        return measure_run(records, planned, disruption.at, objective, now, failed=view.run.state is RunState.FAILED)

    whole = measured(scenario.rto)
    return MeasuredStack(
        scenario=view.run.subject,
        disruption=disruption,
        priorities=priorities,
        parts=parts,
        measurement=whole,
        recovery_times=_by_priority(priorities, parts),
        objectives=Objectives(scenario.rto, scenario.rpo),
        target=scenario.target,
        target_verdict=measured(scenario.target).verdict,
        budgets=judge_budgets(whole, dict(scenario.phases)) if isinstance(scenario, PhasedObjective) else (),
    )


def _with_copies_up(
    installation: Installation, plan: Plan, views: Mapping[str, RunView], turns: Sequence[str]
) -> Disruption | None:
    """What a failed application stands on is there. A drill brings copies of it up first, which is no part of what is rehearsed:
    its time counts from when they were. None: there are none, or not all of them came up.
    """
    phases = {each.step.key: each.step.PHASE for each in plan.steps}
    moments: list[datetime | None] = []
    for name in turns:
        if name not in installation.stack.services:
            validating = [step for step in views[name].steps if phases.get(step.key) in VALIDATING]
            moments.append(validating[-1].ended if validating and all(step.error is None for step in validating) else None)
    known = [each for each in moments if each is not None]
    return Disruption.exactly(max(known), KnownBy.COPIES) if known and len(known) == len(moments) else None


def _turns_of(installation: Installation, view: RunView) -> tuple[str, ...]:
    """Of the first run, which was about everything that was asked for; those that follow are about what is left of it."""
    while view.follows is not None:
        view = view.follows
    return next(each.step.resources for each in plan_of(installation, view).steps if isinstance(each.step, CheckPrerequisites))


def _by_priority(priorities: Mapping[str, str], parts: Mapping[str, MeasuredRecovery]) -> dict[str, timedelta | None]:
    times: dict[str, timedelta | None] = {}
    for priority in sorted(set(priorities.values())):
        taken = [parts[name].measurement.recovery_time for name, own in priorities.items() if own == priority]
        known = [each for each in taken if each is not None]
        times[priority] = max(known) if len(known) == len(taken) else None
    return times


def _planned_of(plan: Plan, resource: str) -> dict[StepKey, Phase]:
    steps = (each.step for each in plan.steps)
    return {step.key: step.PHASE for step in steps if not is_of_the_whole(step.key) and step.key.startswith(f"{resource}/")}


def _measured_steps(view: RunView, planned: Mapping[StepKey, Phase]) -> list[MeasuredStep]:
    """Without those that were left out because something before them failed: that they were skipped proves nothing."""
    ran = (step for step in view.steps if step.error is None or step.state is not StepState.SKIPPED)
    return [MeasuredStep(step.key, planned[step.key], step.evidence) for step in ran if step.evidence is not None]


def _measure_one(
    installation: Installation, view: RunView, plan: Plan, resource: ResourceName, disruption: Disruption
) -> MeasuredRecovery:
    declared = installation.part(resource)
    scenario = installation.stack.objective_of(Scenario(view.run.subject))
    tier = installation.stack.tier_of(resource)
    planned = _planned_of(plan, resource)
    records = _measured_steps(view, planned)
    now = view.run.ended or installation.clock.now()
    failed = view.run.state is RunState.FAILED
    is_database = installation.is_database(resource)

    def measured(objective: timedelta | None) -> RunMeasurement:
        return measure_run(records, planned, disruption.at, objective, now, failed=failed)

    whole = measured(scenario.rto)
    point: RecoveryPoint | None = None  # of a service, which keeps nothing
    if is_database:
        point = _recovery_point(view, disruption.latest, scenario.rpo)
    elif resource not in installation.stack.services:
        is_back = whole.recovery_time is not None
        point = _snapshot_point(view, plan, resource, disruption.latest, scenario.rpo, is_back=is_back)
    return MeasuredRecovery(
        resource=resource,
        disruption=disruption,
        measurement=whole,
        recovery_point=point,
        objectives=Objectives(scenario.rto, scenario.rpo),
        target=scenario.target,
        target_verdict=measured(scenario.target).verdict,
        tier=declared.tier,
        tier_objectives=Objectives(tier.rto, tier.rpo),
        tier_verdict=measured(tier.rto).verdict,
        beats=is_database and installation.postgres(resource).heartbeat is not None,
        unprotected=tuple(_left_out(view.steps)),
        kind=SERVICE if isinstance(declared, Service) else declared.kind,
    )


def plan_of(installation: Installation, view: RunView) -> Plan:
    """
    Raises:
        GiveUp: ``plan_unreadable``.
    """
    try:
        return plan_from_json(installation.records.plan(view.run.run))
    except (ValueError, KeyError, TypeError) as error:
        raise GiveUp(
            "plan_unreadable",
            found=f"the plan of {view.run.run} cannot be read: {type(error).__name__}: {error}",
            expected="kinds of steps that this version knows",
            hint="another version planned it: measure it with that one",
        ) from error


def _snapshot_point(
    view: RunView, plan: Plan, resource: str, disrupted: datetime, objective: timedelta, *, is_back: bool
) -> RecoveryPoint | None:
    """None where an older snapshot was asked for than the newest. Of what did not come back nothing is known to be kept."""
    restores = (each.step for each in plan.steps if isinstance(each.step, RestoreSnapshot))
    if any(restore.resource == resource and restore.of_the_past for restore in restores):
        return None
    started = _moment(_proof(view, "restore-snapshot").get("snapshot_started")) if is_back else None
    return judge_snapshot_point(started, disrupted, objective)


def _recovery_point(view: RunView, disrupted: datetime, objective: timedelta) -> RecoveryPoint | None:
    replay = _proof(view, "replay-wal")
    if replay.get("target", TargetKind.LATEST.value) != TargetKind.LATEST.value:
        return None
    heartbeat = _proof(view, "verify-database").get("newest_heartbeat")
    last_commit, backup_started = _moment(replay.get("last_replayed_commit")), _moment(replay.get("backup_started"))
    return judge_recovery_point(_moment(heartbeat), last_commit, backup_started, disrupted, objective)


def _left_out(steps: Sequence[StepRecord]) -> Iterator[str]:
    for step in steps:
        copying = step.key.partition("/")[2].startswith("copy-backup-to-")
        if copying and step.error is None and step.evidence is not None and step.evidence.outcome is Outcome.SKIPPED:
            yield str(step.evidence.proof["repository"])


def _proof(view: RunView, verb: str) -> Mapping[str, Json]:
    found: StepRecord | None = next((step for step in view.steps if step.key.endswith(f"/{verb}")), None)
    return found.evidence.proof if found is not None and found.evidence is not None else {}


def _moment(value: Json) -> datetime | None:
    return datetime.fromisoformat(cast(str, value)) if value else None
