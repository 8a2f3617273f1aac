"""What a recovery came to, held against its objectives; and the same read back from the evidence in which it was signed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from understudy.judge.phase_budgets import MeasuredBudget
from understudy.judge.recovery_point import RecoveryPoint, RecoveryPointSource
from understudy.judge.run_measurement import ObjectiveVerdict, RunMeasurement
from understudy.vocabulary.disruption import Disruption, disruption_from_json
from understudy.vocabulary.identifiers import ResourceName, StepKey
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.phases import Phase

SERVICE = "service"


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
    """None for a target in the past: what came after it was left out on purpose; and of what is kept nowhere."""
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
    kind: str = ""
    """``service``, or the resource's kind; empty in the evidence of earlier versions."""

    @property
    def is_kept(self) -> bool:
        """Whether there is work of it that could be lost."""
        return self.kind != SERVICE

    @property
    def met(self) -> bool:
        """Every objective is known to be met. What is unknown is not called missed, but it is not met either."""
        verdicts = [self.measurement.verdict, *([self.recovery_point.verdict] if self.recovery_point else [])]
        return all(verdict is ObjectiveVerdict.MET for verdict in verdicts)


@dataclass(frozen=True, slots=True)
class MeasuredStack:
    """Several resources that were recovered together, each by itself and all of them as one."""

    scenario: str
    disruption: Disruption
    priorities: Mapping[str, str]
    """Of each resource, as urgent as it was taken to be; in the order of their turns."""
    parts: Mapping[str, MeasuredRecovery]
    """By resource, in the order of their turns."""
    measurement: RunMeasurement
    """Of the whole: until the last of them was validated."""
    recovery_times: Mapping[str, timedelta | None]
    """By priority: until the last of that priority was validated; None while one of them is not."""
    objectives: Objectives
    target: timedelta | None
    target_verdict: ObjectiveVerdict
    budgets: tuple[MeasuredBudget, ...] = ()
    """Of the scenarios that declare some; to miss one fails nothing."""

    @property
    def met(self) -> bool:
        """Every objective is known to be met, of the whole and of each part."""
        return self.measurement.verdict is ObjectiveVerdict.MET and all(part.met for part in self.parts.values())


def measured_from_json(value: JsonObject) -> MeasuredRecovery | MeasuredStack:
    """What ``vocabulary.json_form.to_json`` made of either, as the end of a run is chained with it; resources by their names.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: another version wrote it.
    """
    return _stack_of(value) if "parts" in value else _recovery_of(value)


def _stack_of(value: JsonObject) -> MeasuredStack:
    times = _object(value["recovery_times"])
    return MeasuredStack(
        scenario=str(value["scenario"]),
        disruption=disruption_from_json(_object(value["disruption"])),
        priorities={name: str(each) for name, each in _object(value["priorities"]).items()},
        parts={name: _recovery_of(_object(each)) for name, each in _object(value["parts"]).items()},
        measurement=_measurement_of(value["measurement"]),
        recovery_times={priority: _seconds_if_any(each) for priority, each in times.items()},
        objectives=_objectives_of(value["objectives"]),
        target=_seconds_if_any(value["target"]),
        target_verdict=ObjectiveVerdict(str(value["target_verdict"])),
        budgets=tuple(_budget_of(_object(each)) for each in cast("Sequence[Json]", value.get("budgets", ()))),
    )


def _budget_of(value: JsonObject) -> MeasuredBudget:
    verdict = ObjectiveVerdict(str(value["verdict"]))
    return MeasuredBudget(str(value["of"]), _seconds(value["took"]), _seconds(value["budget"]), verdict)


def _recovery_of(value: JsonObject) -> MeasuredRecovery:
    point = value["recovery_point"]
    return MeasuredRecovery(
        resource=ResourceName(str(value["resource"])),
        disruption=disruption_from_json(_object(value["disruption"])),
        measurement=_measurement_of(value["measurement"]),
        recovery_point=None if point is None else _point_of(_object(point)),
        objectives=_objectives_of(value["objectives"]),
        target=_seconds_if_any(value["target"]),
        target_verdict=ObjectiveVerdict(str(value["target_verdict"])),
        tier=str(value["tier"]),
        tier_objectives=_objectives_of(value["tier_objectives"]),
        tier_verdict=ObjectiveVerdict(str(value["tier_verdict"])),
        beats=bool(value["beats"]),
        unprotected=tuple(map(str, cast("Sequence[Json]", value["unprotected"]))),
        kind=str(value.get("kind", "")),
    )


def _measurement_of(value: Json) -> RunMeasurement:
    found = _object(value)
    return RunMeasurement(
        phases=_phases_of(found["phases"]),
        afterwards=_phases_of(found["afterwards"]),
        recovery_time=_seconds_if_any(found["recovery_time"]),
        verdict=ObjectiveVerdict(str(found["verdict"])),
        unsuccessful=tuple(StepKey(str(each)) for each in cast("Sequence[Json]", found["unsuccessful"])),
    )


def _phases_of(value: Json) -> dict[Phase, timedelta]:
    """In the order of recovery, which canonical JSON does not keep."""
    found = {Phase(phase): _seconds(took) for phase, took in _object(value).items()}
    return {phase: found[phase] for phase in Phase if phase in found}


def _point_of(value: JsonObject) -> RecoveryPoint:
    return RecoveryPoint(
        source=RecoveryPointSource(str(value["source"])),
        at=None if value["at"] is None else datetime.fromisoformat(str(value["at"])),
        loss=_seconds_if_any(value["loss"]),
        verdict=ObjectiveVerdict(str(value["verdict"])),
    )


def _objectives_of(value: Json) -> Objectives:
    found = _object(value)
    return Objectives(_seconds(found["rto"]), _seconds(found["rpo"]))


def _seconds_if_any(value: Json) -> timedelta | None:
    return None if value is None else _seconds(value)


def _seconds(value: Json) -> timedelta:
    return timedelta(seconds=float(cast(float, value)))


def _object(value: Json) -> JsonObject:
    if not isinstance(value, Mapping):
        raise TypeError(f"expected an object: {value!r}")
    return value
