"""What a finished run of recovery came to: phases, recovery time, recovery point, each against its objective."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from understudy.app.installation import Installation
from understudy.app.run_view import RunView
from understudy.judge.recovery_point import RecoveryPoint, judge_recovery_point
from understudy.judge.run_measurement import MeasuredStep, ObjectiveVerdict, RunMeasurement, measure_run
from understudy.plan.plan import Plan
from understudy.records.run import RunState, StepRecord
from understudy.runner.plan_json import plan_from_json
from understudy.stack.models import Scenario
from understudy.steps.fence_old_server import FenceOldServer
from understudy.vocabulary.disruption import Disruption, KnownBy, disruption_from_json
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.evidence import Outcome
from understudy.vocabulary.identifiers import ResourceName
from understudy.vocabulary.json import Json
from understudy.vocabulary.recovery_target import TargetKind


@dataclass(frozen=True, slots=True)
class Objectives:
    rto: timedelta
    rpo: timedelta


@dataclass(frozen=True, slots=True)
class MeasuredRecovery:
    """The scenario's objectives govern; the tier's are reported beside them."""

    resource: ResourceName
    disruption: Disruption
    measurement: RunMeasurement
    recovery_point: RecoveryPoint | None
    """None for a target in the past: what came after it was left out on purpose."""
    objectives: Objectives
    target: timedelta | None
    """The recovery time that the scenario aims at, within its objective; to miss it fails nothing."""
    target_verdict: ObjectiveVerdict
    tier: str
    tier_objectives: Objectives
    tier_verdict: ObjectiveVerdict
    beats: bool
    """Whether the stack file declares a heartbeat."""
    unprotected: tuple[str, ...]
    """Further repositories that hold no backup of the recovered server, because they were away when it was copied."""

    @property
    def met(self) -> bool:
        """Every objective is known to be met. What is unknown is not called missed, but it is not met either."""
        verdicts = [self.measurement.verdict, *([self.recovery_point.verdict] if self.recovery_point else [])]
        return all(verdict is ObjectiveVerdict.MET for verdict in verdicts)


def measure(installation: Installation, view: RunView) -> MeasuredRecovery:
    """By the disruption that the plan of a real recovery names; a drill counts from its first attempt's submission.

    Raises:
        GiveUp: ``plan_unreadable``.
    """
    plan = plan_of(installation, view)
    disruption = _disruption(plan) or Disruption.exactly(view.began, KnownBy.COMMAND)
    scenario = installation.stack.objective_of(Scenario(view.run.subject))
    resource = ResourceName(view.steps[0].key.partition("/")[0])
    tier_name = installation.resource(resource).tier
    tier = installation.stack.tier_of(resource)
    planned = {each.step.key: each.step.PHASE for each in plan.steps}
    records = [MeasuredStep(step.key, planned[step.key], step.evidence) for step in view.steps if step.evidence is not None]
    now = view.run.ended or installation.clock.now()
    failed = view.run.state is RunState.FAILED

    def measured(objective: timedelta | None) -> RunMeasurement:
        return measure_run(records, planned, disruption.at, objective, now, failed=failed)

    return MeasuredRecovery(
        resource=resource,
        disruption=disruption,
        measurement=measured(scenario.rto),
        recovery_point=_recovery_point(view, disruption.latest, scenario.rpo),
        objectives=Objectives(scenario.rto, scenario.rpo),
        target=scenario.target,
        target_verdict=measured(scenario.target).verdict,
        tier=tier_name,
        tier_objectives=Objectives(tier.rto, tier.rpo),
        tier_verdict=measured(tier.rto).verdict,
        beats=installation.postgres(resource).heartbeat is not None,
        unprotected=tuple(_left_out(view.steps)),
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


def _disruption(plan: Plan) -> Disruption | None:
    fence = next((each.step for each in plan.steps if isinstance(each.step, FenceOldServer)), None)
    return disruption_from_json(fence.disrupted) if fence is not None and fence.disrupted is not None else None


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
