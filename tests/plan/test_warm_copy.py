"""Whether a recovery goes on from the warm copy, when one is seeded, and what follows where that fails."""

from dataclasses import replace

import pytest

from tests.plan.samples import (
    NOW,
    ORDERS,
    WARM_COPY,
    backup_of,
    contents,
    recovery_facts,
    recovery_wish,
    seeding_plan,
    without_tablespaces,
)
from tests.plan.test_recovery import verbs
from tests.plan.test_request import after, failed
from tests.records.test_warm_copies import COPY
from understudy.plan.plan import Hold, HoldKind, Mode, Procedure, When
from understudy.plan.recovery import plan_recovery
from understudy.plan.request import Choice, RecoveryRequest, request_from_json, request_to_json
from understudy.plan.warm_copy import WarmCopyFacts, seeding_due
from understudy.ports.warm_copies import WarmCopyFault
from understudy.steps.provision_target import ProvisionTarget
from understudy.steps.replay_wal import ReplayWal
from understudy.steps.verify_database import VerifyDatabase
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import BackupLabel, RunId, StepKey, SystemIdentifier
from understudy.vocabulary.phases import Phase
from understudy.vocabulary.recovery_target import RecoveryTarget, TargetKind
from understudy.vocabulary.wal import Lsn, Timeline, TimelineFork

OLDER, NEWER = backup_of("20261123-030000F"), backup_of("20261123-040000F", minutes=60)
SEEN = WarmCopyFacts(WARM_COPY, Lsn.parse("0/3000000"))


def planned(seen=SEEN, mode=Mode.FAILOVER, backups=(OLDER, NEWER), wish=None, **facts):
    return plan_recovery(recovery_wish(mode, **(wish or {})), recovery_facts(backups, warm_copy=seen, **facts))


def unused(plan):
    """Why the copy is not used, as the evidence will say it; and the person is told the same."""
    step = next(each.step for each in plan.steps if each.step.key.endswith("/restore-base-backup"))
    if step.warm_copy_unused:
        assert f"The warm copy is not used: {step.warm_copy_unused}." in plan.steps[0].approval.question
    return step.warm_copy_unused


def test_the_newest_commit_is_recovered_from_the_copy_and_from_the_backup_that_it_came_from():
    plan = planned()
    found = verbs(plan)
    back = ["provision-target", "take-warm-copy", "replay-wal", "promote", "verify-database", "open-to-clients"]
    first = found.index(back[0])
    assert found[first : first + len(back)] == back
    assert not {"restore-base-backup", "check-pages"} & {*found}
    replay = next(each.step for each in plan.steps if isinstance(each.step, ReplayWal))
    assert (replay.label, replay.goes_on) == ("20261123-030000F", True)
    assert Hold("warm-copy:orders", HoldKind.EXCLUSIVE) in plan.holds
    assert Hold("backup-chain:orders/20261123-030000F", HoldKind.SHARED) in plan.holds
    provision = next(each.step for each in plan.steps if isinstance(each.step, ProvisionTarget))
    assert provision.bytes_needed["/srv/copy"] == 0
    question = plan.steps[0].approval.question
    for part in (WARM_COPY.directory, "20261123-030000F", "0/3000000", WARM_COPY.verified.isoformat()):
        assert part in question


def test_every_row_is_read_behind_the_recovery_time_and_nothing_before_takes_longer_for_more_of_them():
    plan = planned()
    found = verbs(plan)
    assert found.index("write-and-read-back") < found.index("take-base-backup") < found.index("verify-served-database")
    steps = {each.step.key: each.step for each in plan.steps}
    assert steps["orders/verify-database"].reads_rows is False
    assert len(steps["orders/verify-database"].checks) == 1
    assert steps["orders/verify-served-database"].PHASE is Phase.PROTECT
    assert steps["orders/verify-served-database"].reads_rows is True


@pytest.mark.parametrize("mode", [Mode.ROUTINE, Mode.DRILL])
def test_a_drill_and_a_restore_leave_the_copy_alone(mode):
    plan = planned(mode=mode)
    assert "take-warm-copy" not in verbs(plan)
    assert unused(plan) == ""


@pytest.mark.parametrize(
    ("changes", "wish", "words"),
    [
        ({}, {"target": RecoveryTarget(TargetKind.TIME, "2026-11-23T12:00:00+00:00")}, "replayed past"),
        ({}, {"label": "20261123-040000F"}, "20261123-040000F was asked for"),
        ({}, {"warm_copy_declined": "--no-warm-copy was given"}, "--no-warm-copy was given"),
        ({"copy": replace(WARM_COPY, taken_by=RunId("run-9"))}, {}, "run-9 has taken it"),
        ({"copy": replace(WARM_COPY, fault=WarmCopyFault("wal_missing", "segment 3 is gone", NOW))}, {}, "segment 3 is gone"),
        ({"trouble": "its control file says that it is in production"}, {}, "in production"),
        ({"copy": replace(WARM_COPY, system_identifier=SystemIdentifier("7"))}, {}, "cluster 7"),
        ({"copy": replace(WARM_COPY, labels=("20261101-030000F",))}, {}, "not usable"),
        ({"copy": replace(WARM_COPY, timeline=Timeline(2))}, {}, "nothing leads to timeline 1"),
        ({"replayed": None}, {}, "nothing leads"),
        ({"same_file_system": False}, {}, "another file system"),
    ],
)
def test_a_copy_that_does_not_fit_is_left_alone_and_why_is_said(changes, wish, words):
    plan = planned(replace(SEEN, **changes), wish=wish)
    assert "take-warm-copy" not in verbs(plan)
    assert words in unused(plan)


def test_a_copy_that_replayed_past_the_fork_of_the_timeline_that_goes_on_is_of_another_lineage():
    fork = {Timeline(2): (TimelineFork(Timeline(1), Lsn.parse("0/2F00000")),)}
    wal = contents((1, 2), (2, 2), (2, 3), histories=(2,))
    past = planned(histories=fork, wal=wal)
    assert "nothing leads to timeline 2" in unused(past)
    before = planned(replace(SEEN, replayed=Lsn.parse("0/2E00000")), histories=fork, wal=wal)
    assert "take-warm-copy" in verbs(before)


@pytest.mark.parametrize(
    ("copy", "newest", "timeline", "words"),
    [
        (None, None, None, None),
        (None, "20261123-030000F", None, "no warm copy yet"),
        (WARM_COPY, "20261123-030000F", 1, None),
        (WARM_COPY, "20261123-030000F_20261123-040000I", 1, None),
        (WARM_COPY, "20261123-040000F", 1, "20261123-040000F was taken since"),
        (WARM_COPY, "20261122-040000F", None, None),
        (WARM_COPY, "20261123-030000F", 2, "timeline 2"),
        (COPY, "20261123-030000F", 3, "run-2 has taken"),
        (replace(COPY, taken_by=None), "20261123-030000F", 3, "wal_missing"),
    ],
)
def test_a_copy_is_seeded_where_none_is_or_a_newer_full_backup_or_what_it_cannot_follow(copy, newest, timeline, words):
    due = seeding_due(copy, None if newest is None else BackupLabel(newest), None if timeline is None else Timeline(timeline))
    assert (due is None) if words is None else (words in due)


REQUEST = RecoveryRequest(Procedure.RECOVERY, ORDERS, Choice(), scenario="data_loss")


def failed_in(verb, code="instance_failed"):
    return replace(failed(code, "its words", approved_by="anna"), key=StepKey(f"orders/{verb}"))


@pytest.mark.parametrize("verb", ["take-warm-copy", "replay-wal", "promote", "verify-database"])
def test_where_it_fails_with_the_copy_a_base_backup_is_restored_and_nobody_is_asked_again(verb):
    following = after(REQUEST, planned(), failed_in(verb))
    assert (following.approved_by, following.choice.without) == ("anna", frozenset())
    assert "instance_failed: its words" in following.choice.warm_copy_declined
    assert request_from_json(request_to_json(following)) == following
    again = planned(wish={"warm_copy_declined": following.choice.warm_copy_declined})
    assert "instance_failed" in unused(again)
    assert after(following, again, failed_in("promote")) is None


@pytest.mark.parametrize("verb", ["fence-old-server", "provision-target", "open-to-clients", "verify-served-database"])
def test_what_fails_before_the_copy_is_touched_or_once_it_is_open_is_followed_by_nothing(verb):
    assert after(REQUEST, planned(), failed_in(verb)) is None


def test_a_request_from_before_warm_copies_may_use_one():
    value = request_to_json(REQUEST)
    value["choice"] = {name: each for name, each in value["choice"].items() if name != "warm_copy_declined"}
    assert request_from_json(value) == REQUEST


def test_a_copy_counts_only_behind_all_that_a_drill_verifies_and_what_is_left_over_goes_whatever_happened():
    plan = seeding_plan([without_tablespaces(OLDER)])
    assert verbs(plan) == [
        "provision-target", "restore-base-backup", "replay-wal", "verify-database", "check-pages", "install-warm-copy",
        "remove-former-warm-copies",
    ]  # fmt: skip
    assert [each.when for each in plan.steps[-2:]] == [When.SUCCESS, When.ALWAYS]
    steps = {type(each.step): each.step for each in plan.steps}
    assert steps[VerifyDatabase].reads_rows is True
    assert steps[ReplayWal].is_copy is True
    assert steps[ProvisionTarget].bytes_needed["/srv/copy.warm/plan-1"] == 5500
    assert Hold("warm-copy:orders", HoldKind.EXCLUSIVE) in plan.holds


def test_a_cluster_with_tablespaces_has_no_warm_copy():
    with pytest.raises(Refusal) as refused:
        seeding_plan([OLDER])
    assert refused.value.code == "warm_copy_with_tablespaces"
