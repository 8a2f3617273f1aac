from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from understudy.judge.recovery_point import RecoveryPointSource, judge_recovery_point
from understudy.judge.run_measurement import ObjectiveVerdict

GONE = datetime(2026, 11, 23, 3, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_a_heartbeat_tells_where_it_is_newer_than_the_last_commit_or_is_that():
    point = judge_recovery_point(GONE - MINUTE, GONE - 30 * MINUTE, None, GONE, 5 * MINUTE)
    assert point.source is RecoveryPointSource.HEARTBEAT
    assert point.loss == MINUTE
    assert point.verdict is ObjectiveVerdict.MET
    own = judge_recovery_point(GONE - MINUTE, GONE - MINUTE + timedelta(milliseconds=3), None, GONE, 5 * MINUTE)
    assert own.source is RecoveryPointSource.HEARTBEAT


def test_a_commit_that_came_back_behind_the_last_heartbeat_tells_because_all_before_it_came_back_too():
    point = judge_recovery_point(GONE - 30 * MINUTE, GONE - MINUTE, None, GONE, 5 * MINUTE)
    assert (point.source, point.loss) == (RecoveryPointSource.LAST_REPLAYED_COMMIT, MINUTE)
    assert point.verdict is ObjectiveVerdict.MET


@given(st.timedeltas(timedelta(0), timedelta(hours=1)), st.none() | st.timedeltas(timedelta(0), timedelta(hours=1)))
def test_a_heartbeat_never_makes_the_figure_worse(beat_age, commit_age):
    commit = None if commit_age is None else GONE - commit_age
    with_it = judge_recovery_point(GONE - beat_age, commit, GONE - timedelta(hours=2), GONE, 5 * MINUTE)
    without = judge_recovery_point(None, commit, GONE - timedelta(hours=2), GONE, 5 * MINUTE)
    assert with_it.loss <= without.loss


def test_an_old_heartbeat_proves_a_miss():
    assert judge_recovery_point(GONE - 6 * MINUTE, None, None, GONE, 5 * MINUTE).verdict is ObjectiveVerdict.MISSED
    assert judge_recovery_point(GONE - 60 * MINUTE, GONE - 6 * MINUTE, None, GONE, 5 * MINUTE).verdict is ObjectiveVerdict.MISSED


def test_an_old_last_commit_proves_nothing_because_nobody_may_have_written():
    point = judge_recovery_point(None, GONE - 6 * MINUTE, GONE - 60 * MINUTE, GONE, 5 * MINUTE)
    assert point.source is RecoveryPointSource.LAST_REPLAYED_COMMIT
    assert point.loss == 6 * MINUTE
    assert point.verdict is ObjectiveVerdict.UNKNOWN


def test_a_recent_last_commit_is_proof_enough():
    assert judge_recovery_point(None, GONE - MINUTE, None, GONE, 5 * MINUTE).verdict is ObjectiveVerdict.MET


def test_where_no_commit_was_replayed_the_backup_tells_and_never_proves_a_miss():
    point = judge_recovery_point(None, None, GONE - MINUTE, GONE, 5 * MINUTE)
    assert (point.source, point.loss, point.verdict) == (RecoveryPointSource.BACKUP, MINUTE, ObjectiveVerdict.MET)
    assert judge_recovery_point(None, None, GONE - 6 * MINUTE, GONE, 5 * MINUTE).verdict is ObjectiveVerdict.UNKNOWN


def test_without_either_nothing_is_known_and_without_an_objective_nothing_is_judged():
    assert judge_recovery_point(None, None, None, GONE, 5 * MINUTE).verdict is ObjectiveVerdict.UNKNOWN
    assert judge_recovery_point(None, None, None, GONE, 5 * MINUTE).loss is None
    assert judge_recovery_point(GONE, None, None, GONE, None).verdict is ObjectiveVerdict.NONE_SET


@given(st.timedeltas(timedelta(hours=-1), timedelta(hours=1)), st.timedeltas(timedelta(0), timedelta(hours=1)))
def test_loss_is_never_negative_and_the_verdict_follows_from_it(age, objective):
    """A server whose clock is ahead may have written a heartbeat after the disruption."""
    point = judge_recovery_point(GONE - age, None, None, GONE, objective)
    assert point.loss is not None
    assert point.loss >= timedelta()
    assert (point.verdict is ObjectiveVerdict.MET) == (point.loss <= objective)
