"""What was lost, and how well that is known."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from understudy.judge.recovery_point import RecoveryPointSource, judge_recovery_point
from understudy.judge.run_measurement import ObjectiveVerdict

DISRUPTED = datetime(2026, 11, 23, 3, tzinfo=UTC)
OBJECTIVE = timedelta(minutes=5)


def test_a_heartbeat_within_the_objective_meets_it():
    point = judge_recovery_point(DISRUPTED - timedelta(seconds=9), None, DISRUPTED, OBJECTIVE)
    assert (point.source, point.verdict) == (RecoveryPointSource.HEARTBEAT, ObjectiveVerdict.MET)


def test_a_heartbeat_beyond_the_objective_proves_a_miss():
    point = judge_recovery_point(DISRUPTED - timedelta(minutes=6), None, DISRUPTED, OBJECTIVE)
    assert point.verdict is ObjectiveVerdict.MISSED


def test_an_old_last_commit_proves_nothing_because_the_database_may_have_been_silent():
    point = judge_recovery_point(None, DISRUPTED - timedelta(hours=6), DISRUPTED, OBJECTIVE)
    assert (point.source, point.verdict) == (RecoveryPointSource.LAST_REPLAYED_COMMIT, ObjectiveVerdict.UNKNOWN)
    assert point.loss == timedelta(hours=6)


def test_without_anything_to_tell_by_the_loss_is_unknown_and_not_zero():
    point = judge_recovery_point(None, None, DISRUPTED, OBJECTIVE)
    assert (point.source, point.loss, point.verdict) == (RecoveryPointSource.NONE, None, ObjectiveVerdict.UNKNOWN)


@given(heartbeat=st.none() | st.integers(-600, 86_400), commit=st.none() | st.integers(-600, 86_400))
def test_the_loss_is_never_negative_and_met_only_when_a_bound_within_the_objective_is_known(heartbeat, commit):
    at = [None if age is None else DISRUPTED - timedelta(seconds=age) for age in (heartbeat, commit)]
    point = judge_recovery_point(at[0], at[1], DISRUPTED, OBJECTIVE)
    bound = heartbeat if heartbeat is not None else commit
    assert (point.verdict is ObjectiveVerdict.MET) == (bound is not None and bound <= OBJECTIVE.total_seconds())
    assert point.loss is None or point.loss >= timedelta()
