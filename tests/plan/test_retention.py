"""Which backups and which WAL stay, judged by an oracle that plays restores."""

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plan.retention_estates import B6, SIZE, Estate, estates, is_good, leads, nightly, reachable, rules
from understudy.plan.retention import (
    KeepReason,
    RemovalReason,
    UnfinishedBackup,
    children_first,
    decide_retention,
    key_of,
)
from understudy.plan.wal_retention import WalReason
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import BackupLabel, SystemIdentifier
from understudy.vocabulary.wal import Timeline, WalSegment

by_chance = settings(max_examples=80, deadline=None)


def expired(estate, decision):
    """The estate without what goes."""
    left = deepcopy(estate)
    going = {key_of(each.backup) for each in decision.backups if not each.stays}
    for cluster in left.clusters:
        cluster.backups = [each for each in cluster.backups if key_of(each) not in going]
        for wal in decision.wal:
            if wal.system_identifier == cluster.system:
                cluster.wal -= {
                    (stretch.first.timeline, number)
                    for stretch in wal.going
                    for number in range(stretch.first.number, stretch.last.number + 1)
                }
    return left


def good_ones(estate):
    """Newest first, without those from the future."""
    found = [each for cluster in estate.clusters for each in cluster.backups if is_good(cluster, each)]
    return sorted((each for each in found if each.stop_time <= estate.now), key=lambda each: each.stop_time, reverse=True)


def since(estate, rules):
    newest = good_ones(estate)[:1]
    return newest[0].stop_time - rules.point_in_time if newest else datetime.min.replace(tzinfo=UTC)


def lost(estate, left, rules):
    """Moments of the window that could be reached before and cannot be now.

    A moment that the server stamped before its clock went back, so that a later backup seems to be older than the window,
    cannot be told from one that is older itself.
    """
    window = since(estate, rules)
    older = [each for each in good_ones(estate) if each.stop_time <= window]

    def counts(moment):
        mine = [each for each in older if each.system_identifier == moment.system]
        at = (moment.timeline, (moment.number + 1) * SIZE)
        before_a_jump = any(at <= (each.timeline, each.start_lsn.position) for each in mine)
        return window < moment.at <= estate.now and not before_a_jump

    return {moment for moment in reachable(estate) - reachable(left) if counts(moment)}


@given(estates, rules)
@by_chance
def test_every_moment_of_the_window_that_could_be_reached_still_can(estate, rules):
    left = expired(estate, decide_retention(rules, estate.facts()))
    assert not lost(estate, left, rules)


@given(estates, rules)
@by_chance
def test_whatever_stays_can_be_restored_as_before(estate, rules):
    left = expired(estate, decide_retention(rules, estate.facts()))
    for before, after in zip(estate.clusters, left.clusters, strict=True):
        for backup in after.backups:
            assert is_good(after, backup) == is_good(before, backup)


@given(estates, rules)
@by_chance
def test_the_last_good_one_of_each_cluster_stays_with_all_wal_behind_it(estate, rules):
    left = expired(estate, decide_retention(rules, estate.facts()))
    for before, after in zip(estate.clusters, left.clusters, strict=True):
        mine = [each for each in good_ones(estate) if each.system_identifier == before.system]
        if mine:
            assert mine[0] in after.backups
            moments = [each for each in estate.moments if each.system == before.system]
            assert all(leads(after, mine[0], each) for each in moments if leads(before, mine[0], each))


@given(estates, rules)
@by_chance
def test_what_a_run_reads_stays_with_all_that_its_restore_could_read(estate, rules):
    left = expired(estate, decide_retention(rules, estate.facts()))
    for before, after in zip(estate.clusters, left.clusters, strict=True):
        for backup in before.backups:
            if backup.label.chain.text in estate.in_use:
                assert backup in after.backups
                moments = [each for each in estate.moments if each.system == before.system]
                assert all(leads(after, backup, each) for each in moments if leads(before, backup, each))


@given(estates, rules)
@by_chance
def test_the_newest_proven_one_stays(estate, rules):
    left = expired(estate, decide_retention(rules, estate.facts()))
    for cluster in left.clusters:
        proven = [each for each in good_ones(estate) if (each.system_identifier, each.label.text) in estate.proven]
        mine = [each for each in proven if each.system_identifier == cluster.system]
        assert mine[:1] == [each for each in mine[:1] if each in cluster.backups]


@given(estates, rules)
@by_chance
def test_the_newest_of_each_period_stays_and_a_reason_of_time_is_given_to_no_other(estate, rules):
    decision = decide_retention(rules, estate.facts())
    given = {key_of(each.backup): {kept.reason for kept in each.kept} for each in decision.backups}
    local = [(each, each.stop_time.astimezone(ZoneInfo(rules.timezone)).date()) for each in good_ones(estate)]
    for reason, count, period in (
        (KeepReason.DAILY, rules.daily, lambda day: day),
        (KeepReason.WEEKLY, rules.weekly, lambda day: day - timedelta(days=day.weekday())),
        (KeepReason.MONTHLY, rules.monthly, lambda day: day.replace(day=1)),
    ):
        periods = sorted({period(day) for _, day in local}, reverse=True)[:count]
        firsts = {next(key_of(each) for each, day in local if period(day) == wanted) for wanted in periods}
        named = {key for key, reasons in given.items() if reason in reasons}
        times = {key_of(each): each.stop_time for each, _ in local}
        assert sorted(times[key] for key in named) == sorted(times[key] for key in firsts)


@given(estates, rules)
@by_chance
def test_expiring_twice_is_expiring_once(estate, rules):
    left = expired(estate, decide_retention(rules, estate.facts()))
    again = decide_retention(rules, left.facts())
    assert all(each.stays for each in again.backups)
    assert not any(each.going for each in again.wal)


@given(estates, rules)
@by_chance
def test_a_clock_that_jumps_ahead_removes_nothing_more(estate, rules):
    jumped = max([estate.now, *(each.stop_time for cluster in estate.clusters for each in cluster.backups)])
    today = decide_retention(rules, estate.facts(jumped))
    assert decide_retention(rules, estate.facts(jumped + timedelta(days=4000))).backups == today.backups
    assert decide_retention(rules, estate.facts(jumped + timedelta(days=4000))).wal == today.wal


@given(estates, rules)
@by_chance
def test_a_clock_that_goes_back_still_loses_nothing_of_what_it_can_see(estate, rules):
    estate.now -= timedelta(days=3)
    left = expired(estate, decide_retention(rules, estate.facts()))
    assert not lost(estate, left, rules)


@given(estates, rules)
@by_chance
def test_what_goes_is_removed_before_what_it_stands_on(estate, rules):
    decision = decide_retention(rules, estate.facts())
    order = [key_of(each) for each in children_first(decision.backups)]
    assert sorted(order) == sorted(key_of(each.backup) for each in decision.backups if not each.stays)
    for each in children_first(decision.backups):
        parent = (each.system_identifier, each.parent)
        assert parent not in order or order.index(parent) > order.index(key_of(each))


@given(estates, rules)
@by_chance
def test_nothing_goes_while_one_manifest_cannot_be_believed(estate, rules):
    facts = replace(estate.facts(), unusable=("…/backup.json: signature_untrusted",))
    with pytest.raises(Refusal) as refused:
        decide_retention(rules, facts)
    assert refused.value.code == "retention_unsure"
    assert refused.value.hint


def test_behind_a_hole_in_the_window_the_next_backup_is_needed_though_no_other_rule_asks_for_it():
    estate = nightly(10)
    behind = estate.here.backups[6]
    estate.here.wal.remove((1, behind.start_lsn.position // SIZE - 1))
    only_the_window = replace(B6, daily=0, weekly=0, monthly=0, manual=timedelta(0))
    decision = decide_retention(only_the_window, estate.facts())
    stay = [each.backup for each in decision.backups if each.stays]
    assert [each.label for each in stay] == [estate.here.backups[number].label for number in (2, 6, 9)]
    assert not lost(estate, expired(estate, decision), only_the_window)


def test_each_timeline_of_the_window_keeps_the_backup_that_leads_to_it():
    """Recovered to before the newest backup: from then on the new timeline stands on an older one."""
    estate = nightly(10)
    estate.recover(3, False)
    estate.write(2, 5)
    estate.back_up(False, 0, False, 1)
    only_the_window = replace(B6, daily=0, weekly=0, monthly=0, manual=timedelta(0), point_in_time=timedelta(hours=10))
    decision = decide_retention(only_the_window, estate.facts())
    stay = [each.backup for each in decision.backups if each.stays]
    assert [each.label for each in stay] == [estate.here.backups[number].label for number in (8, 9, 10)]
    assert not lost(estate, expired(estate, decision), only_the_window)


# Calendars


def dates(decision):
    return {
        each.backup.stop_time.astimezone(ZoneInfo("Europe/Berlin")).date().isoformat() for each in decision.backups if each.stays
    }


def reasons(decision, date):
    (fate,) = (each for each in decision.backups if dates_of(each) == date)
    return {kept.reason for kept in fate.kept}


def dates_of(fate):
    return fate.backup.stop_time.astimezone(ZoneInfo("Europe/Berlin")).date().isoformat()


def test_of_four_hundred_nights_seven_days_four_weeks_and_twelve_months_stay():
    decision = decide_retention(B6, nightly(400).facts())
    days = {f"2026-11-{day}" for day in range(18, 25)}
    weeks = {"2026-11-22", "2026-11-15", "2026-11-08"}
    months = {
        "2026-10-31", "2026-09-30", "2026-08-31", "2026-07-31", "2026-06-30", "2026-05-31",
        "2026-04-30", "2026-03-31", "2026-02-28", "2026-01-31", "2025-12-31",
    }  # fmt: skip
    window_stands_on = {"2026-11-17"}
    assert dates(decision) == days | weeks | months | window_stands_on
    assert reasons(decision, "2026-11-17") == {KeepReason.POINT_IN_TIME}
    assert reasons(decision, "2026-11-22") == {KeepReason.DAILY, KeepReason.WEEKLY}


def test_weekly_fulls_stay_for_the_incrementals_that_stand_on_them():
    decision = decide_retention(B6, nightly(60, incremental_but_sundays=True).facts())
    assert reasons(decision, "2026-10-25") == {KeepReason.NEEDED}
    stands_on_sunday = {f"2026-10-{day}" for day in range(25, 32)}
    assert stands_on_sunday & dates(decision) == stands_on_sunday - set()
    assert "2026-10-24" not in dates(decision)


def test_a_backup_that_a_person_asked_for_stays_for_its_thirty_days():
    decision = decide_retention(B6, nightly(60, by_hand=(20, 29, 31)).facts())
    by_hand = {dates_of(each) for each in decision.backups if KeepReason.MANUAL in {kept.reason for kept in each.kept}}
    assert by_hand == {"2026-11-04", "2026-10-26"}


def test_a_backup_that_does_not_say_who_asked_for_it_counts_as_asked_for():
    estate = nightly(20)
    estate.here.backups = [replace(each, origin=None) for each in estate.here.backups]
    decision = decide_retention(B6, estate.facts())
    assert all(KeepReason.MANUAL in {kept.reason for kept in each.kept} for each in decision.backups)


def test_nights_without_a_backup_do_not_count_against_the_number():
    estate = nightly(30)
    estate.here.backups = [each for each in estate.here.backups if each.stop_time.day % 2]
    decision = decide_retention(B6, estate.facts())
    daily = {dates_of(each) for each in decision.backups if KeepReason.DAILY in {kept.reason for kept in each.kept}}
    assert daily == {f"2026-11-{day:02d}" for day in (23, 21, 19, 17, 15, 13, 11)}


def test_the_day_is_that_of_the_time_zone():
    """23:30 in Berlin and 00:30 the night after are two days there, and one in UTC."""
    estate = Estate()
    for text in ("2026-11-22T23:30:00+01:00", "2026-11-23T00:30:00+01:00"):
        estate.now = datetime.fromisoformat(text).astimezone(UTC)
        estate.back_up(False, 0, False, 0)
    nothing = replace(B6, weekly=0, monthly=0, manual=timedelta(0), point_in_time=timedelta(0))
    assert [each.stays for each in decide_retention(nothing, estate.facts()).backups] == [True, True]
    in_utc = decide_retention(replace(nothing, timezone="UTC"), estate.facts()).backups
    assert [each.stays for each in in_utc] == [False, True]
    assert in_utc[0].removed is RemovalReason.NEWER_THAT_DAY
    assert in_utc[0].removed_for == in_utc[1].backup.label.text


def test_wal_stays_from_the_backup_before_the_window_on_and_of_older_ones_their_own():
    estate = nightly(60)
    decision = decide_retention(B6, estate.facts())
    (wal,) = decision.wal
    onward = [each for each in wal.stretches if each.reason is WalReason.ONWARD]
    base = next(each.backup for each in decision.backups if dates_of(each) == "2026-11-17")
    assert onward[0].first.start.position <= base.start_lsn.position < onward[0].first.end.position
    own = {each.label for each in wal.stretches if each.reason is WalReason.OF_BACKUP}
    assert own == {each.backup.label for each in decision.backups if each.stays and each.backup.stop_time < base.stop_time}
    assert wal.going


def test_what_the_spool_still_holds_stays_until_every_repository_has_it():
    estate = nightly(60)
    facts = estate.facts()
    lagging = WalSegment(Timeline(1), 20, 2**20)
    (cluster,) = facts.clusters
    decision = decide_retention(B6, replace(facts, clusters=(replace(cluster, spooled=(lagging,)),)))
    assert all(stretch.last < lagging for stretch in decision.wal[0].going)
    assert decision.wal[0].going


def test_a_timeline_of_the_window_whose_history_cannot_be_read_removes_nothing():
    estate = nightly(30)
    estate.recover(1, True)
    estate.write(2, 2)
    facts = estate.facts()
    (cluster,) = facts.clusters
    with pytest.raises(Refusal) as refused:
        decide_retention(B6, replace(facts, clusters=(replace(cluster, histories={}),)))
    assert refused.value.code == "retention_unsure"


def test_segments_of_two_sizes_under_one_identifier_remove_nothing():
    estate = nightly(30)
    estate.here.backups[0] = replace(estate.here.backups[0], segment_bytes=2**24)
    with pytest.raises(Refusal) as refused:
        decide_retention(B6, estate.facts())
    assert refused.value.code == "retention_unsure"


def test_an_attempt_without_a_manifest_goes_once_nobody_can_be_at_work_on_it():
    facts = nightly(3).facts()
    system = SystemIdentifier("7400000000000000001")
    labels = ("20261123-110000F", "20261123-100000F", "20261125-000000F", "20269999-000000F")
    unfinished = tuple(UnfinishedBackup(system, BackupLabel(label)) for label in labels)
    decided = decide_retention(B6, replace(facts, unfinished=unfinished)).unfinished
    assert [each.goes for each in decided] == [False, True, False, False]


def test_what_a_run_could_read_of_what_goes_is_told_by_chain():
    estate = nightly(30)
    decision = decide_retention(B6, estate.facts())
    touched = decision.touched_chains()
    assert {each.backup.label for each in decision.backups if not each.stays} <= touched
    newest = decision.backups[-1].backup.label
    assert newest not in touched
    older_ones_that_stay = {each.backup.label for each in decision.backups if each.stays and dates_of(each) < "2026-11-17"}
    assert older_ones_that_stay <= touched


# Negative controls: the oracle objects


def test_one_segment_more_is_noticed():
    estate = nightly(30)
    decision = decide_retention(B6, estate.facts())
    left = expired(estate, decision)
    assert not lost(estate, left, B6)
    onward = next(each for each in decision.wal[0].stretches if each.reason is WalReason.ONWARD)
    left.here.wal.remove((1, onward.first.number))
    assert lost(estate, left, B6)


def test_one_backup_more_is_noticed():
    estate = nightly(30)
    left = expired(estate, decide_retention(B6, estate.facts()))
    left.here.backups = [each for each in left.here.backups if each.stop_time.astimezone(UTC).date().isoformat() != "2026-11-17"]
    assert lost(estate, left, B6)


@given(estates, rules, st.data())
@by_chance
def test_what_is_locked_stays_with_all_that_it_needs_and_changes_nothing_else(estate, rules, data):
    """A lock takes nobody's place: whatever stays without it stays for the same reasons."""
    there = [each for cluster in estate.clusters for each in cluster.backups]
    chosen = data.draw(st.sets(st.sampled_from(there))) if there else set()
    facts = estate.facts()
    until = {key_of(each): facts.now + timedelta(days=1) for each in chosen}
    over = {key_of(each): facts.now for each in there}
    without = {key_of(each.backup): {*each.kept} for each in decide_retention(rules, replace(facts, locked=over)).backups}
    decision = decide_retention(rules, replace(facts, locked=until))
    kept = {key_of(each.backup): {*each.kept} for each in decision.backups}
    by_key = {key_of(each): each for each in there}
    for key, reasons in kept.items():
        added = {each for each in reasons - without[key] if each.reason is not KeepReason.NEEDED}
        assert {each.reason for each in added} == ({KeepReason.LOCKED} if key in until else set())
        assert without[key] <= reasons
        parent = by_key[key].parent
        if reasons and (key[0], parent) in kept:
            assert kept[key[0], parent]
    going = {(wal.system_identifier, segment) for wal in decision.wal for stretch in wal.going for segment in _segments(stretch)}
    owned = {(each.system_identifier, segment) for each in chosen for segment in each.own_wal()}
    wal_there = {(c.system, WalSegment(Timeline(line), number, SIZE)) for c in estate.clusters for line, number in c.wal}
    assert not owned & going & wal_there  # a stretch goes over what is not there, which RemoveWal looks at anew


def _segments(stretch):
    return [WalSegment(stretch.first.timeline, number, SIZE) for number in range(stretch.first.number, stretch.last.number + 1)]
