"""Plans that know of a quarantine: what is marked and when, what is followed, what stays."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plan.retention_estates import estates, is_good, leads, rules
from tests.plan.samples import FAR, NEAR, ORDERS, backup_of, contents, recovery_facts, recovery_wish
from tests.plan.snapshot_samples import NEW, OLD
from tests.plan.stack_samples import DECLARED, parts_for_real
from understudy.plan.plan import Mode, Procedure
from understudy.plan.recovery import plan_recovery
from understudy.plan.recovery_order import Urgency, recovery_order
from understudy.plan.request import Choice, RecoveryRequest, request_from_json, request_to_json
from understudy.plan.retention import KeepReason, KeepRules, decide_retention
from understudy.plan.service_recovery import ActFacts, ServiceFacts, plan_service
from understudy.plan.snapshot_restore import (
    HeldSnapshot,
    LoadFacts,
    QuarantineFacts,
    SnapshotLanding,
    plan_load,
    plan_snapshot_restore,
)
from understudy.plan.snapshot_retention import SnapshotRetentionFacts, decide_snapshot_retention
from understudy.plan.stack_recovery import StackWish, plan_stack_recovery
from understudy.repository.quarantine import Quarantine
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import PlanId, ResourceName
from understudy.vocabulary.recovery_target import LATEST, strictly_before
from understudy.vocabulary.wal import Lsn, Timeline, TimelineFork

BACKUP = backup_of("20261123-030000F")
SINCE = BACKUP.stop_time + timedelta(hours=1)
MARK = Quarantine(ORDERS, SINCE, SINCE + timedelta(hours=9), "run-1", {BACKUP.system_identifier: Timeline(1)})


KEEP_ONE = KeepRules(daily=1, weekly=0, monthly=0, manual=timedelta(), point_in_time=timedelta(), timezone="UTC")


def verbs(plan):
    return [each.step.key.partition("/")[2] for each in plan.steps]


def step(plan, verb):
    return next(each.step for each in plan.steps if each.step.key.endswith(f"/{verb}"))


def test_what_the_old_server_left_is_shipped_then_quarantined_and_only_then_anything_restored():
    wish = recovery_wish(Mode.FAILOVER, strictly_before(SINCE), quarantine_since=SINCE, set_aside=True)
    plan = plan_recovery(wish, recovery_facts([BACKUP]))
    assert verbs(plan)[:4] == ["fence-old-server", "ship-remaining-wal", "quarantine", "provision-target"]
    assert step(plan, "quarantine").repositories == (NEAR, FAR)
    assert step(plan, "provision-target").quarantined, "the name of what is set aside says so"


def test_a_snapshot_is_quarantined_before_its_place_is_touched():
    facts = QuarantineFacts(SINCE, (FAR, NEAR))
    landing = SnapshotLanding("/srv/docs", Mode.FAILOVER, holds_something=True, quarantine=facts)
    plan = plan_snapshot_restore(NEW.resource, HeldSnapshot(NEAR, OLD), landing, None, PlanId("plan-1"), "0" * 64)
    assert verbs(plan)[:2] == ["quarantine", "provision-target"]
    assert step(plan, "quarantine").repositories == (NEAR, FAR), "that which is restored from first"
    assert step(plan, "provision-target").quarantined
    load = LoadFacts(("git", "clone"), load_again=False)
    loaded = plan_load(
        NEW.resource, HeldSnapshot(NEAR, OLD), "/loads/x", load, PlanId("p"), "0" * 64, mode=Mode.FAILOVER, quarantine=facts
    )
    assert verbs(loaded)[0] == "quarantine"


@pytest.mark.parametrize("mode", Mode)
def test_nothing_is_planned_into_wal_that_is_quarantined(mode):
    facts = recovery_facts([BACKUP], quarantines=(MARK,))
    with pytest.raises(Refusal) as refused:
        plan_recovery(recovery_wish(mode, LATEST), facts)
    assert refused.value.code == "target_quarantined"
    plan_recovery(recovery_wish(mode, strictly_before(SINCE)), facts)


def test_the_timeline_of_a_recovery_is_followed():
    wal = contents((1, 2), (1, 3), (2, 3), (2, 4), histories=(2,))
    histories = {Timeline(2): (TimelineFork(Timeline(1), Lsn.parse("0/3000100")),)}
    plan = plan_recovery(recovery_wish(target=LATEST), recovery_facts([BACKUP], wal, histories, quarantines=(MARK,)))
    assert step(plan, "replay-wal").timeline == 2


def test_whether_what_is_quarantined_may_be_taken_outlives_the_process():
    request = RecoveryRequest(Procedure.RESTORE, ORDERS, Choice(quarantined=True), "/srv/copy")
    assert request_from_json(request_to_json(request)) == request


@given(estates, rules, st.integers(0, 30 * 24))
@settings(max_examples=60, deadline=None)
def test_what_is_quarantined_stays_with_all_wal_and_takes_nobodys_place(estate, rules, hours):
    since = estate.now - timedelta(hours=hours)
    mark = Quarantine(ORDERS, since, estate.now, "run-1", {})
    decision = decide_retention(rules, replace(estate.facts(), quarantines=(mark,)))
    kept = {(each.backup.system_identifier, each.backup.label): {kept.reason for kept in each.kept} for each in decision.backups}
    gone = {
        (wal.system_identifier, stretch.first.timeline, number)
        for wal in decision.wal
        for stretch in wal.going
        for number in range(stretch.first.number, stretch.last.number + 1)
    }
    for cluster in estate.clusters:
        good = [each for each in cluster.backups if is_good(cluster, each)]
        clean = [each for each in good if not mark.covers(each) and each.stop_time <= estate.now]
        for backup in cluster.backups:
            if mark.covers(backup):
                reasons = kept[backup.system_identifier, backup.label]
                assert KeepReason.QUARANTINED in reasons
                assert not reasons & {KeepReason.DAILY, KeepReason.LAST_GOOD, KeepReason.PROVEN, KeepReason.MANUAL}
        if clean:
            last = max(clean, key=lambda each: (each.stop_time, each.label))
            assert KeepReason.LAST_GOOD in kept[last.system_identifier, last.label]
        before = [each for each in clean if each.stop_time < since]
        if before:
            base = max(before, key=lambda each: (each.stop_time, each.label))
            left = replace_wal(cluster, gone)
            moments = [each for each in estate.moments if each.system == cluster.system]
            assert all(leads(left, base, each) for each in moments if leads(cluster, base, each))


def replace_wal(cluster, gone):
    return replace(cluster, wal={each for each in cluster.wal if (cluster.system, *each) not in gone})


def test_a_quarantined_snapshot_stays_and_takes_nobodys_place():
    mark = Quarantine(NEW.resource, NEW.start_time, NEW.stop_time + timedelta(hours=1), "run-1", {})
    facts = SnapshotRetentionFacts(now=NEW.stop_time + timedelta(days=1), snapshots=(OLD, NEW), quarantines=(mark,))
    decision = decide_snapshot_retention(KEEP_ONE, facts)
    fates = {each.snapshot.label: {kept.reason for kept in each.kept} for each in decision.snapshots}
    assert fates[NEW.label] == {KeepReason.QUARANTINED}
    assert {KeepReason.DAILY, KeepReason.LAST_GOOD, KeepReason.QUARANTINED} <= fates[OLD.label]


def test_credentials_are_rotated_one_after_another_behind_every_resource_and_before_any_service():
    """Also where a service is more urgent than a resource."""
    web = ResourceName("web")
    parts = {
        **parts_for_real(),
        web: plan_service(web, ServiceFacts(ActFacts(("start",), False), None), PlanId("alone"), "0" * 64),
    }
    declared = {**DECLARED, web: Urgency("P1")}
    wish = StackWish(
        procedure=Procedure.RECOVERY,
        mode=Mode.FAILOVER,
        scenario="security_incident",
        plan_id=PlanId("together"),
        stack_digest="0" * 64,
        turns=recovery_order(declared, tuple(declared)),
        quarantine_since=SINCE,
        rotations=(("passwords", ActFacts(("rotate", "it"), True)), ("tokens", ActFacts(("tokens",), False))),
    )
    plan = plan_stack_recovery(wish, parts)
    after = {each.step.key: each.after | each.once_ended for each in plan.steps}
    assert after["passwords/rotate"] == {"orders/write-and-read-back", "docs/release-target", "images/release-target"}
    assert "passwords/rotate" in after["tokens/rotate"]
    assert {"passwords/rotate", "tokens/rotate"} <= after["web/start"]
    assert "rotate it (passwords)" in plan.steps[0].approval.question
    assert SINCE.isoformat() in plan.steps[0].approval.question
    without = plan_stack_recovery(replace(wish, rotations=()), parts)
    assert not [each for each in without.steps if each.step.key.endswith("/rotate")]
