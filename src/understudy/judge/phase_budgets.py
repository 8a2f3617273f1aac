"""What the parts of a recovery took, held against what each of them was given. Pure.

A budget tells where the time of a missed objective went, or how much of it is left; the objective itself is that of the whole, so
to miss a budget fails nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from understudy.judge.run_measurement import ObjectiveVerdict, RunMeasurement
from understudy.vocabulary.phases import Phase

BUDGETED: Mapping[str, frozenset[Phase]] = {
    "provisioning": frozenset({Phase.FENCE, Phase.SHIP, Phase.PROVISION}),
    "restore": frozenset({Phase.RESTORE, Phase.REPLAY, Phase.PROMOTE}),
    "deployment": frozenset({Phase.CUT_OVER, Phase.DEPLOY}),
    "verification": frozenset({Phase.VERIFY}),
}
"""Which phases each budget is of. Until the first step, and between steps, nobody is at work; those have none."""


@dataclass(frozen=True, slots=True)
class MeasuredBudget:
    of: str
    """``provisioning``, ``restore``, ``deployment`` or ``verification``."""
    took: timedelta
    budget: timedelta
    verdict: ObjectiveVerdict


def judge_budgets(measurement: RunMeasurement, budgets: Mapping[str, timedelta]) -> tuple[MeasuredBudget, ...]:
    """
    Args:
        budgets: By the names of ``BUDGETED``; what is not named is not judged.
    """
    return tuple(_judged(name, measurement, budgets[name]) for name in BUDGETED if name in budgets)


def _judged(name: str, measurement: RunMeasurement, budget: timedelta) -> MeasuredBudget:
    """Of what is not validated it is not known that nothing more of that phase will come; what is spent is."""
    took = sum((spent for phase, spent in measurement.phases.items() if phase in BUDGETED[name]), timedelta())
    if took > budget:
        verdict = ObjectiveVerdict.MISSED
    else:
        verdict = ObjectiveVerdict.MET if measurement.recovery_time is not None else ObjectiveVerdict.UNKNOWN
    return MeasuredBudget(name, took, budget, verdict)
