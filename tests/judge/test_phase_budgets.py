"""Budgets of phases, against the plain sum."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.judge.phase_budgets import BUDGETED, judge_budgets
from understudy.judge.run_measurement import ObjectiveVerdict, RunMeasurement
from understudy.vocabulary.phases import Phase

SPENT = st.dictionaries(st.sampled_from(list(Phase)), st.timedeltas(timedelta(0), timedelta(hours=1)))
GIVEN = st.dictionaries(st.sampled_from(list(BUDGETED)), st.timedeltas(timedelta(seconds=1), timedelta(hours=1)))
UNBUDGETED = {Phase.DETECT, Phase.WAITING, Phase.PROTECT, Phase.CLEAN_UP}


def measurement(phases, *, validated=True):
    total = sum(phases.values(), timedelta())
    return RunMeasurement(phases, {}, total if validated else None, ObjectiveVerdict.MET, ())


@given(SPENT, GIVEN)
def test_each_moment_that_is_budgeted_counts_for_one_budget_and_a_longer_one_is_missed(spent, given_):
    judged = judge_budgets(measurement(spent), dict.fromkeys(BUDGETED, timedelta(hours=9)))
    budgeted = [took for phase, took in spent.items() if phase not in UNBUDGETED]
    assert sum((each.took for each in judged), timedelta()) == sum(budgeted, timedelta())
    for each in judge_budgets(measurement(spent), given_):
        assert each.budget == given_[each.of]
        assert each.verdict is (ObjectiveVerdict.MISSED if each.took > each.budget else ObjectiveVerdict.MET)


@pytest.mark.parametrize(("took", "verdict"), [(5, ObjectiveVerdict.UNKNOWN), (15, ObjectiveVerdict.MISSED)])
def test_of_what_did_not_come_back_only_what_is_spent_already_is_known(took, verdict):
    [judged] = judge_budgets(
        measurement({Phase.RESTORE: timedelta(minutes=took)}, validated=False), {"restore": timedelta(minutes=10)}
    )
    assert judged.verdict is verdict
