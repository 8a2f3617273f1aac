"""Which snapshots stay: the union of the rules, counted by time, and never without the last good one."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.repository.sample_snapshots import sample_snapshot
from understudy.plan.retention import KeepReason, KeepRules, Kept, RemovalReason
from understudy.plan.snapshot_retention import SnapshotRetentionFacts, decide_snapshot_retention
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import BackupOrigin, RunId, SnapshotLabel

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
B6 = KeepRules(
    daily=7, weekly=4, monthly=12, manual=timedelta(days=365), point_in_time=timedelta(days=2), timezone="Europe/Berlin"
)
NOTHING = KeepRules(daily=0, weekly=0, monthly=0, manual=timedelta(0), point_in_time=timedelta(0), timezone="UTC")


def taken(ago, **changes):
    return sample_snapshot(NOW - ago - timedelta(minutes=1), **changes)


def decide(snapshots, rules=B6, **facts):
    facts = {"now": NOW, "snapshots": tuple(snapshots)} | facts
    return decide_snapshot_retention(rules, SnapshotRetentionFacts(**facts))


def staying(decision):
    return [fate.snapshot for fate in decision.snapshots if fate.stays]


ages = st.lists(st.integers(-24, 24 * 500), max_size=30, unique=True)
snapshots = ages.map(
    lambda hours: [
        taken(timedelta(hours=each), origin=BackupOrigin.MANUAL if each % 5 == 0 else BackupOrigin.AUTOMATIC) for each in hours
    ]
)
some_rules = st.builds(
    KeepRules,
    daily=st.integers(0, 9),
    weekly=st.integers(0, 5),
    monthly=st.integers(0, 5),
    manual=st.integers(0, 400).map(lambda days: timedelta(days=days)),
    point_in_time=st.integers(0, 60).map(lambda days: timedelta(days=days)),
    timezone=st.sampled_from(["UTC", "Asia/Kolkata"]),
)


def before(snapshots, moment):
    return max((each for each in snapshots if each.stop_time <= moment), key=lambda each: each.stop_time, default=None)


@settings(max_examples=80, deadline=None)
@given(snapshots, some_rules, st.integers(0, 24 * 60))
def test_every_moment_of_the_window_comes_back_from_the_snapshot_that_it_would_have(held, rules, hours):
    dated = [each for each in held if each.stop_time <= NOW]
    decision = decide(held, rules)
    if not dated:
        assert staying(decision) == [fate.snapshot for fate in decision.snapshots]
        return
    newest = before(dated, NOW)
    moment = newest.stop_time - min(timedelta(hours=hours), rules.point_in_time)
    assert before(staying(decision), moment) == before(dated, moment)
    assert newest in staying(decision)


@settings(max_examples=80, deadline=None)
@given(snapshots, some_rules)
def test_expiring_twice_is_expiring_once_and_the_future_stays(held, rules):
    left = staying(decide(held, rules))
    assert staying(decide(left, rules)) == left
    assert all(each in left for each in held if each.stop_time > NOW)


@settings(max_examples=80, deadline=None)
@given(snapshots, some_rules)
def test_each_rule_keeps_the_newest_of_as_many_periods_as_it_says(held, rules):
    decision = decide(held, rules)
    for reason, count in (
        (KeepReason.DAILY, rules.daily),
        (KeepReason.WEEKLY, rules.weekly),
        (KeepReason.MONTHLY, rules.monthly),
    ):
        details = [kept.detail for fate in decision.snapshots for kept in fate.kept if kept.reason is reason]
        assert len(details) == len(set(details)) <= count


def test_with_no_rule_at_all_the_newest_stays():
    decision = decide([taken(timedelta(days=each)) for each in range(5)], NOTHING)
    assert [each.stop_time for each in staying(decision)] == [NOW]
    assert [fate.removed for fate in decision.snapshots] == [RemovalReason.PAST_EVERY_RULE] * 4 + [None]
    assert decision.going == tuple(fate.snapshot for fate in decision.snapshots[:4])


def test_a_clock_that_jumps_ahead_removes_nothing_more():
    held = [taken(timedelta(days=each)) for each in range(300)]
    assert staying(decide(held)) == staying(decide(held, now=NOW + timedelta(days=4000)))


def test_what_is_read_or_was_proven_stays_and_says_why():
    old, older, oldest = (taken(timedelta(days=days)) for days in (700, 701, 702))
    run = RunId("20261123-115900-1a2b")
    decision = decide(
        [taken(timedelta(0)), old, older, oldest], NOTHING, in_use={older.label: run}, proven={old.label, oldest.label}
    )
    kept = {fate.snapshot.label: fate.kept for fate in decision.snapshots}
    assert kept[older.label] == (Kept(KeepReason.IN_USE, run),)
    assert kept[old.label] == (Kept(KeepReason.PROVEN),)
    assert kept[oldest.label] == ()


def test_of_two_of_a_day_the_newer_one_is_named_as_the_reason():
    morning, evening = (taken(timedelta(days=6, hours=hours)) for hours in (8, 1))
    decision = decide([morning, evening, taken(timedelta(0))], replace(NOTHING, daily=7))
    first = decision.snapshots[0]
    assert (first.snapshot, first.removed, first.removed_for) == (morning, RemovalReason.NEWER_THAT_DAY, evening.label.text)


def test_nothing_goes_while_one_manifest_cannot_be_believed():
    with pytest.raises(Refusal, match="retention_unsure"):
        decide([taken(timedelta(0))], unusable=("files/documents/…: signature_wrong",))


def test_folders_that_killed_attempts_left_go_once_they_are_a_day_old():
    old, young = (SnapshotLabel.of(NOW - timedelta(hours=hours)) for hours in (25, 23))
    decision = decide([taken(timedelta(0))], unfinished=(old, young))
    assert decision.unfinished == (old,)
    assert decision.parts_begun_before == NOW - timedelta(hours=24)


def test_what_is_locked_stays_until_its_lock_has_run_out_and_takes_nobodys_place():
    old, older, newest = (taken(timedelta(days=each)) for each in (600, 601, 0))
    until = NOW + timedelta(days=1)
    decision = decide([older, old, newest], NOTHING, locked={old.label: until, older.label: NOW})
    assert staying(decision) == [old, newest]
    assert decision.snapshots[1].kept == (Kept(KeepReason.LOCKED, until.isoformat()),)
