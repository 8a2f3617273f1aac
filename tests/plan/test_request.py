"""What comes after a run: from what was asked for and how the run ended, and from nothing else."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.plan.samples import ORDERS, backup_facts, backup_of, backup_subject, recovery_facts, recovery_wish
from understudy.plan.backup import plan_backup
from understudy.plan.following import DAMAGE, DAMAGED_COPIES, REPLANNED_AS_FULL, next_request
from understudy.plan.plan import Mode, Procedure
from understudy.plan.recovery import plan_recovery
from understudy.plan.request import BackupRequest, Choice, RecoveryRequest, StackRequest, request_from_json, request_to_json
from understudy.records.run import ApprovalRecord, RecordedError, RunState, StepRecord, StepState
from understudy.vocabulary.disruption import Disruption, KnownBy
from understudy.vocabulary.evidence import Evidence, Outcome
from understudy.vocabulary.identifiers import BackupKind, BackupOrigin, Person, RepositoryName, RunId, StepKey
from understudy.vocabulary.recovery_target import LATEST, RecoveryTarget, TargetKind
from understudy.vocabulary.wal import Timeline

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
FULL = backup_of("20261123-030000F")
INCREMENTAL_PLAN = plan_backup(backup_subject(), backup_facts([FULL]))
FULL_PLAN = plan_backup(backup_subject(), backup_facts())
DRILL_PLAN = plan_recovery(recovery_wish(Mode.DRILL), recovery_facts([FULL]))
NAMED = RecoveryTarget(TargetKind.NAME, "before_the_upgrade")
LOST = Disruption.exactly(NOON, KnownBy.PERSON)
A_DRILL = RecoveryRequest(Procedure.DRILL, ORDERS, Choice(), scenario="data_loss")
PASSING = ("store_unreachable", "wrong_key", "identity_missing", "wal_missing", "unexpected_error", "controller_superseded")


def failed(code, found="found", approved_by=None, **proof):
    """One step that ended with this code."""
    evidence = Evidence("orders", "claim", Outcome.FAILED, NOON, NOON, {"code": code, "found": found, **proof})
    approval = ApprovalRecord(approved_by, NOON) if approved_by else None
    error = RecordedError(code, found)
    return StepRecord(
        RunId("r"), StepKey("orders/step"), StepState.FAILED, 1, NOON, NOON, None, evidence, error, None, approval, None
    )


def after(request, plan, *steps, state=RunState.FAILED, repositories=()):
    return next_request(request, plan, state, steps, lambda name: repositories)


@pytest.mark.parametrize("code", REPLANNED_AS_FULL)
def test_a_refused_incremental_backup_is_followed_by_a_full_one_and_a_full_one_by_none(code):
    request = BackupRequest(ORDERS)
    assert after(request, INCREMENTAL_PLAN, failed(code, "the server's words")) == BackupRequest(
        ORDERS, incremental_refused="the server's words"
    )
    assert after(request, FULL_PLAN, failed(code)) is None


def test_the_full_backup_that_follows_is_as_automatic_as_the_one_that_was_refused():
    following = after(BackupRequest(ORDERS, origin=BackupOrigin.AUTOMATIC), INCREMENTAL_PLAN, failed("incremental_refused"))
    assert following.origin is BackupOrigin.AUTOMATIC


def test_a_request_from_before_its_origin_was_told_counts_as_made_by_hand():
    told = request_to_json(BackupRequest(ORDERS, BackupKind.FULL, origin=BackupOrigin.AUTOMATIC))
    del told["origin"]
    assert request_from_json(told) == BackupRequest(ORDERS, BackupKind.FULL, origin=BackupOrigin.MANUAL)


@pytest.mark.parametrize("code", [*DAMAGE, *DAMAGED_COPIES])
def test_a_damaged_backup_is_left_out_by_the_label_that_the_evidence_names_and_not_by_words(code):
    following = after(A_DRILL, DRILL_PLAN, failed(code, f"/{FULL.label}/ is elsewhere", backup="20261122-030000F"))
    # Pages are the same wherever the backup lies; a part is damaged where it was read.
    where = "" if code in DAMAGED_COPIES else "near/"
    assert following.choice.without == {f"{where}20261122-030000F"}
    assert after(A_DRILL, DRILL_PLAN, failed(code, f"an object below /{FULL.label}/")) is None


def test_what_was_left_out_before_stays_left_out():
    before = RecoveryRequest(Procedure.DRILL, ORDERS, Choice(without=frozenset({"older"})), scenario="data_loss")
    choice = after(before, DRILL_PLAN, failed("part_corrupt", backup="newer")).choice
    assert (choice.without, choice.not_met) == ({"older", "near/newer"}, frozenset())


def test_a_backup_that_was_asked_for_is_not_exchanged_for_another():
    certain = RecoveryRequest(Procedure.DRILL, ORDERS, Choice(NAMED, label=FULL.label.text), scenario="data_loss")
    assert after(certain, DRILL_PLAN, failed("part_corrupt", backup=FULL.label.text)) is None
    assert after(certain, DRILL_PLAN, failed("target_not_reached")) is None


def test_a_damaged_backup_that_was_asked_for_is_looked_for_in_the_repository_behind_and_nowhere_else():
    certain = RecoveryRequest(Procedure.DRILL, ORDERS, Choice(label=FULL.label.text), scenario="data_loss")
    damaged, near, far = failed("part_corrupt", backup=FULL.label.text), RepositoryName("near"), RepositoryName("far")
    following = after(certain, DRILL_PLAN, damaged, repositories=(near, far))
    assert following.choice.left_out_of(near) == {FULL.label.text}
    assert following.choice.left_out_of(far) == frozenset()
    assert after(certain, DRILL_PLAN, damaged, repositories=(far, near)) is None
    from_near = replace(certain, choice=replace(certain.choice, repository=near))
    assert after(from_near, DRILL_PLAN, damaged, repositories=(near, far)) is None


@pytest.mark.parametrize("kind", TargetKind)
def test_a_target_that_nothing_dates_is_looked_for_behind_the_next_older_backup(kind):
    value = {TargetKind.TIME: NOON.isoformat(), TargetKind.LSN: "0/3000000", TargetKind.TRANSACTION: "7", TargetKind.NAME: "n"}
    request = RecoveryRequest(Procedure.RESTORE, ORDERS, Choice(RecoveryTarget(kind, value.get(kind, ""))), "/srv/copy")
    following = after(request, DRILL_PLAN, failed("target_not_reached"))
    if kind in (TargetKind.NAME, TargetKind.TRANSACTION):
        assert following.choice.without == following.choice.not_met == {FULL.label.text}
        assert request_from_json(request_to_json(following)) == following
    else:
        assert following is None


def test_an_approval_holds_for_the_runs_that_follow():
    agreed = after(A_DRILL, DRILL_PLAN, failed("part_corrupt", approved_by=Person("anna"), backup=FULL.label.text))
    assert agreed.approved_by == Person("anna")
    again = after(agreed, DRILL_PLAN, failed("part_corrupt", backup="20261122-030000F"))
    assert again.approved_by == Person("anna")
    assert after(A_DRILL, DRILL_PLAN, failed("part_corrupt", backup=FULL.label.text)).approved_by is None


@pytest.mark.parametrize("code", DAMAGED_COPIES)
def test_a_restore_with_damaged_pages_leaves_its_copy_for_repair_and_a_recovery_goes_on(code):
    damaged = failed(code, backup=FULL.label.text)
    restore = RecoveryRequest(Procedure.RESTORE, ORDERS, Choice(), "/srv/copy")
    assert after(restore, DRILL_PLAN, damaged) is None
    recovery = RecoveryRequest(Procedure.RECOVERY, ORDERS, Choice(), scenario="database_corruption", disruption=LOST)
    assert after(recovery, DRILL_PLAN, damaged).choice.without == {FULL.label.text}


def test_every_run_of_a_request_counts_from_the_same_moment():
    recovery = RecoveryRequest(Procedure.RECOVERY, ORDERS, Choice(), scenario="database_corruption", disruption=LOST)
    following = after(recovery, DRILL_PLAN, failed("part_corrupt", backup=FULL.label.text))
    assert after(following, DRILL_PLAN, failed("part_corrupt", backup="20261122-030000F")).disruption == LOST


def test_the_runs_that_follow_look_for_the_old_servers_wal_where_the_first_one_set_its_data_aside():
    recovery = RecoveryRequest(Procedure.RECOVERY, ORDERS, Choice(), scenario="database_corruption")
    damaged = failed("part_corrupt", backup=FULL.label.text)
    following = after(recovery, DRILL_PLAN, failed("", data_set_aside="/srv/data.before-1"), damaged)
    assert following.old_directories == ("/srv/data.before-1",)
    last = after(following, DRILL_PLAN, failed("", data_set_aside="/srv/data.before-2"), damaged)
    assert last.old_directories == following.old_directories, "the second run set the first one's copy aside"
    assert after(recovery, DRILL_PLAN, failed("", data_set_aside=None), damaged).old_directories == ()


def test_a_request_from_before_its_moment_was_told_has_none():
    told = request_to_json(A_DRILL)
    del told["disruption"], told["old_directories"]
    assert request_from_json(told) == A_DRILL


@pytest.mark.parametrize("state", [RunState.SUCCEEDED, RunState.CANCELLED])
def test_nothing_follows_a_run_that_succeeded_or_was_cancelled(state):
    assert after(A_DRILL, DRILL_PLAN, failed("part_corrupt", backup=FULL.label.text), state=state) is None
    assert after(BackupRequest(ORDERS), INCREMENTAL_PLAN, failed("incremental_refused"), state=state) is None


@pytest.mark.parametrize("code", PASSING)
def test_nothing_follows_a_fault_that_another_run_would_meet_again(code):
    assert after(A_DRILL, DRILL_PLAN, failed(code, backup=FULL.label.text)) is None
    assert after(BackupRequest(ORDERS), INCREMENTAL_PLAN, failed(code)) is None


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=10)
choices = st.builds(
    Choice,
    target=st.sampled_from([LATEST, NAMED, RecoveryTarget(TargetKind.TIME, NOON.isoformat())]),
    timeline=st.none() | st.integers(1, 9).map(Timeline),
    label=st.none() | words,
    repository=st.none() | words.map(RepositoryName),
    tablespaces=st.none() | st.dictionaries(words, words, max_size=2),
    without=st.frozensets(words, max_size=3),
    opened_with=st.none() | words,
)
backup_kinds = st.none() | st.sampled_from(BackupKind)
backups = st.builds(BackupRequest, st.just(ORDERS), backup_kinds, words, st.sampled_from(BackupOrigin))
recoveries = st.builds(
    RecoveryRequest,
    st.sampled_from([Procedure.RESTORE, Procedure.DRILL, Procedure.RECOVERY]),
    st.just(ORDERS),
    choices,
    words,
    words,
    st.none() | words.map(Person),
    st.none() | words.map(Person),
    st.none() | st.builds(Disruption, st.just(NOON), st.sampled_from(KnownBy), st.just(NOON)),
    st.none() | st.lists(words, max_size=2).map(tuple),
)
disruptions = st.none() | st.builds(Disruption, st.just(NOON), st.sampled_from(KnownBy), st.just(NOON))
together = st.builds(
    StackRequest,
    st.sampled_from([Procedure.DRILL, Procedure.RECOVERY]),
    words,
    st.lists(recoveries, max_size=3).map(tuple),
    st.none() | words.map(Person),
    disruptions,
    st.booleans(),
)
requests = backups | recoveries | together


@given(requests)
def test_a_request_comes_back_from_json_equal(request):
    assert request_from_json(json.loads(json.dumps(request_to_json(request)))) == request
