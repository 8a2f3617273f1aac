"""What a run of recovery took, by phase, and whether it met its objective.

Every moment between the disruption and the validated service is counted once, so that the phases add up to the recovery time:
where steps of several phases ran at once, for the earliest of them in the order of recovery; where none ran, as waiting.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from understudy.vocabulary.evidence import Evidence, Outcome
from understudy.vocabulary.identifiers import StepKey
from understudy.vocabulary.phases import Phase


class ObjectiveVerdict(StrEnum):
    MET = "met"
    MISSED = "missed"
    UNKNOWN = "unknown"
    """Nothing tells: not validated yet, not failed and the time not up, or nothing newer came back and perhaps nobody wrote."""
    NONE_SET = "none_set"


@dataclass(frozen=True, slots=True)
class MeasuredStep:
    """The evidence of one step, and which phase it belongs to."""

    key: StepKey
    phase: Phase
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class RunMeasurement:
    phases: Mapping[Phase, timedelta]
    """Within the recovery time, in the order of recovery; they add up to it. Up to the last evidence while not validated."""
    afterwards: Mapping[Phase, timedelta]
    """Phases that do not belong to the recovery time: how long at least one of their steps ran."""
    recovery_time: timedelta | None
    """From the disruption to the validated service; None while it is not."""
    verdict: ObjectiveVerdict
    unsuccessful: tuple[StepKey, ...]
    """Steps that failed, or of which it is not known, in order of time."""


_AFTERWARDS = frozenset({Phase.PROTECT, Phase.CLEAN_UP})
VALIDATING = frozenset({Phase.VERIFY, Phase.CUT_OVER})
"""Phases whose steps look at what came back: with the last of them the service is validated."""
_GOOD = frozenset({Outcome.DONE, Outcome.SKIPPED})


def measure_run(
    records: Sequence[MeasuredStep],
    planned: Mapping[StepKey, Phase],
    disrupted: datetime,
    objective: timedelta | None,
    now: datetime,
    *,
    failed: bool = False,
) -> RunMeasurement:
    """
    Args:
        records: The newest evidence of each step that has any.
        planned: The phase of every step of the plan, so that a step without evidence is missed.
        disrupted: When the service was lost; in a drill, when the drill was begun.
        objective: The recovery time objective.
        now: For the verdict on a run that is not validated yet.
        failed: It has ended without success, so that what is not validated by now will not be.
    """
    validated = _validated_at(records, planned)
    recovering = [record for record in records if record.phase not in _AFTERWARDS]
    end = validated or max((record.evidence.ended for record in recovering), default=disrupted)
    return RunMeasurement(
        phases=_attributed(recovering, disrupted, end),
        afterwards={
            phase: sum((stop - start for start, stop in _merged(r for r in records if r.phase is phase)), timedelta())
            for phase in Phase
            if phase in _AFTERWARDS and any(record.phase is phase for record in records)
        },
        recovery_time=validated - disrupted if validated else None,
        verdict=_verdict(validated, disrupted, objective, now, failed=failed),
        unsuccessful=tuple(
            record.key
            for record in sorted(records, key=lambda record: record.evidence.ended)
            if record.evidence.outcome not in _GOOD
        ),
    )


def _validated_at(records: Sequence[MeasuredStep], planned: Mapping[StepKey, Phase]) -> datetime | None:
    """When the last step that validates had ended well; None while one that recovery needs is missing or went wrong."""
    good = {record.key: record.evidence.ended for record in records if record.evidence.outcome in _GOOD}
    needed = [key for key, phase in planned.items() if phase not in _AFTERWARDS]
    validating = [key for key in needed if planned[key] in VALIDATING]
    if not validating or any(key not in good for key in needed):
        return None
    return max(good[key] for key in validating)


def _verdict(
    validated: datetime | None, disrupted: datetime, objective: timedelta | None, now: datetime, *, failed: bool
) -> ObjectiveVerdict:
    if objective is None:
        return ObjectiveVerdict.NONE_SET
    if validated is not None:
        return ObjectiveVerdict.MET if validated - disrupted <= objective else ObjectiveVerdict.MISSED
    return ObjectiveVerdict.MISSED if failed or now - disrupted > objective else ObjectiveVerdict.UNKNOWN


def _attributed(records: Sequence[MeasuredStep], start: datetime, end: datetime) -> dict[Phase, timedelta]:
    """Each stretch between two changes to the earliest phase at work in it."""
    spans = [(record.phase, max(start, record.evidence.started), min(end, record.evidence.ended)) for record in records]
    spans = [span for span in spans if span[1] < span[2]]
    if spans:
        first = min(span[1] for span in spans)
        spans.append((Phase.DETECT, start, first))
    moments = sorted({start, end, *(moment for span in spans for moment in span[1:])})
    order = {phase: number for number, phase in enumerate(Phase)}
    totals: dict[Phase, timedelta] = {}
    for left, right in itertools.pairwise(moments):
        at_work = [phase for phase, began, ended in spans if began <= left and right <= ended]
        phase = min(at_work, key=order.__getitem__, default=Phase.WAITING)
        totals[phase] = totals.get(phase, timedelta()) + (right - left)
    return {phase: totals[phase] for phase in Phase if phase in totals}


def _merged(records: Iterable[MeasuredStep]) -> list[tuple[datetime, datetime]]:
    """Their times, with overlaps counted once."""
    merged: list[tuple[datetime, datetime]] = []
    for start, stop in sorted((record.evidence.started, record.evidence.ended) for record in records):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], stop))
        else:
            merged.append((start, stop))
    return merged
