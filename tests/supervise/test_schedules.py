from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.supervise.owned_clock import OwnedClock
from understudy.plan.schedule import ScheduledBackup, next_due
from understudy.supervise.schedules import BackupSchedules, Handled
from understudy.vocabulary.errors import GiveUp, Refusal, TryAgain
from understudy.vocabulary.identifiers import BackupKind, ResourceName, RunId

ORDERS = ResourceName("orders")
FULL = ScheduledBackup(ORDERS, BackupKind.FULL, "0 3 * * sun", "UTC", "full", "full backup")
INCREMENTAL = ScheduledBackup(ORDERS, BackupKind.INCREMENTAL, "0 3 * * mon-sat", "UTC", "incremental", "incremental backup")
SNAPSHOT = ScheduledBackup(ORDERS, BackupKind.INCREMENTAL, "*/15 * * * *", "UTC", "schedule", "snapshot")
SPREAD = replace(INCREMENTAL, jitter=timedelta(hours=2), stack="shop")


class Desk:
    """Schedules whose backups are noted down; ``fault`` is raised in place of the next one, ``late`` after it has begun;
    ``failed`` is the run of one that fails."""

    def __init__(self, *entries, has_backup=True):
        self.clock = OwnedClock(datetime(2026, 11, 23, 2, 0, tzinfo=UTC))  # a Monday
        self.has_backup = has_backup
        self.marks = {}
        self.taken = []
        self.fault = self.late = self.failed = None
        self.entries = entries or (FULL, INCREMENTAL)
        self.schedules = self.restarted()

    def restarted(self):
        self.schedules = BackupSchedules(
            ORDERS, self.entries, self.clock, self.handled, self.marks.__setitem__, self.asked, self.back_up
        )
        return self.schedules

    def handled(self, entry):
        return self.marks[entry].occurrence if entry in self.marks else None

    def asked(self):
        if isinstance(self.has_backup, Exception):
            raise self.has_backup
        return self.has_backup

    def back_up(self, kind, begun):
        if self.fault is not None:
            raise self.fault
        self.taken.append(kind)
        begun(RunId(f"run-{len(self.taken)}"))
        if self.late is not None:
            raise self.late
        self.has_backup = True
        return self.failed

    def pass_by(self, **duration):
        self.clock.pass_by(timedelta(**duration))
        self.schedules.look()


@pytest.fixture
def desk():
    desk = Desk()
    desk.schedules.look()
    return desk


def test_nothing_is_due_when_a_schedule_is_new(desk):
    assert desk.taken == []


def test_each_entry_is_acted_on_once_when_it_comes_due(desk):
    desk.pass_by(hours=1)
    desk.pass_by(seconds=1)
    desk.pass_by(hours=22)
    assert desk.taken == [BackupKind.INCREMENTAL]
    desk.pass_by(hours=2)
    assert desk.taken == [BackupKind.INCREMENTAL] * 2


def test_what_was_missed_while_nobody_served_is_made_up_once(desk):
    desk.clock.pass_by(timedelta(days=16))
    desk.restarted().look()
    assert sorted(desk.taken) == [BackupKind.FULL, BackupKind.INCREMENTAL]
    desk.pass_by(seconds=1)
    assert len(desk.taken) == 2


def test_what_a_run_makes_up_for_is_remembered_with_it(desk):
    desk.clock.pass_by(timedelta(days=3))
    desk.restarted().look()
    first, newest = datetime(2026, 11, 23, 3, tzinfo=UTC), datetime(2026, 11, 25, 3, tzinfo=UTC)
    assert desk.marks[INCREMENTAL] == Handled(newest, RunId("run-1"), since=first)


def test_with_a_jitter_it_begins_later_than_its_hour_once_and_at_the_same_distance_after_a_restart():
    desk = Desk(SPREAD)
    desk.schedules.look()
    later = next_due(SPREAD, desk.clock.now()).at - datetime(2026, 11, 23, 3, tzinfo=UTC)
    assert timedelta(0) < later < SPREAD.jitter
    for day in range(3):
        desk.clock.pass_by(timedelta(hours=1) + later - timedelta(seconds=1))
        desk.restarted().look()
        assert len(desk.taken) == day
        desk.clock.pass_by(timedelta(seconds=1))
        desk.restarted().look()
        assert len(desk.taken) == day + 1
        desk.pass_by(hours=23, seconds=-later.total_seconds())
    assert len(desk.taken) == 3


def test_another_jitter_takes_nothing_twice(desk):
    desk.pass_by(hours=1)
    assert desk.taken == [BackupKind.INCREMENTAL]
    desk.marks[SPREAD] = desk.marks.pop(INCREMENTAL)
    desk.entries = (FULL, SPREAD)
    desk.restarted().look()
    desk.pass_by(hours=2)
    assert desk.taken == [BackupKind.INCREMENTAL]
    desk.pass_by(days=1)
    assert desk.taken == [BackupKind.INCREMENTAL] * 2


def test_what_is_taken_of_a_directory_or_a_bucket_is_called_a_snapshot(caplog):
    caplog.set_level("INFO")
    desk = Desk(SNAPSHOT, has_backup=False)
    desk.failed = "r1"
    desk.schedules.look()
    desk.pass_by(minutes=15)
    assert [record.getMessage() for record in caplog.records] == [
        "orders: no usable snapshot in the first repository; taking one now",
        "orders: the first snapshot failed: understudy show r1",
        "orders: snapshot due since 2026-11-23T02:15:00+00:00",
        "orders: scheduled snapshot failed: understudy show r1",
    ]


def test_a_clock_that_ran_ahead_once_stops_no_schedule(desk):
    desk.clock.set_by(timedelta(days=400))
    desk.schedules.look()
    assert sorted(desk.taken) == [BackupKind.FULL, BackupKind.INCREMENTAL]
    desk.clock.set_by(-timedelta(days=400))
    desk.schedules.look()
    desk.pass_by(hours=1)
    assert len(desk.taken) == 3
    desk.clock.set_by(-timedelta(minutes=1))
    desk.schedules.look()
    desk.pass_by(minutes=1)
    assert len(desk.taken) == 3, "what a clock that goes back by little has seen come due is not due again"


def test_what_is_tried_again_soon_is_although_the_clock_is_set_back(desk):
    desk.fault = TryAgain("database_unreachable", found="connection refused")
    desk.pass_by(minutes=70)
    desk.fault = None
    desk.clock.set_by(-timedelta(minutes=5))
    desk.pass_by(seconds=30)
    assert desk.taken == [BackupKind.INCREMENTAL]


@pytest.mark.parametrize(
    "fault",
    [TryAgain("database_unreachable", found="connection refused"), Refusal("busy", found="another backup runs")],
)
def test_a_backup_that_could_not_begin_is_tried_again_soon(desk, fault):
    desk.fault = fault
    desk.pass_by(hours=1)
    desk.fault = None
    desk.pass_by(seconds=1)
    assert desk.taken == []
    desk.pass_by(seconds=30)
    assert desk.taken == [BackupKind.INCREMENTAL]


def test_a_backup_that_began_and_failed_is_not_repeated(desk):
    desk.late = GiveUp("store_full", found="no space")
    desk.pass_by(hours=1)
    desk.late = None
    desk.pass_by(hours=1)
    assert desk.taken == [BackupKind.INCREMENTAL]


def test_without_a_usable_backup_a_full_one_is_taken_at_once_and_stands_for_what_was_due():
    desk = Desk(has_backup=False)
    desk.schedules.look()
    assert desk.taken == [BackupKind.FULL]
    desk.pass_by(seconds=1)
    assert desk.taken == [BackupKind.FULL]
    desk.pass_by(hours=1)
    assert desk.taken == [BackupKind.FULL, BackupKind.INCREMENTAL]


def test_a_first_backup_that_failed_is_tried_again_later_and_the_schedules_go_on_meanwhile():
    desk = Desk(has_backup=False)
    desk.late = GiveUp("store_full", found="no space")
    desk.schedules.look()
    desk.pass_by(seconds=30)
    assert desk.taken == [BackupKind.FULL]
    desk.pass_by(minutes=5)
    assert desk.taken == [BackupKind.FULL] * 2
    desk.late = None
    desk.pass_by(minutes=5)
    desk.pass_by(minutes=5)
    assert desk.taken == [BackupKind.FULL] * 3


def test_a_repository_that_does_not_answer_is_no_reason_for_a_first_backup():
    desk = Desk(has_backup=TryAgain("store_unreachable", found="no route to host"))
    desk.schedules.look()
    assert desk.taken == []
    desk.has_backup = True
    desk.pass_by(seconds=30)
    assert desk.taken == []


def test_a_run_that_failed_is_logged_as_an_error_that_names_it(caplog):
    desk = Desk(has_backup=False)
    desk.failed = "r1"
    desk.schedules.look()
    desk.pass_by(hours=1)
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert errors == [
        "orders: the first backup failed: understudy show r1",
        "orders: scheduled incremental backup failed: understudy show r1",
    ]
    desk.failed = None
    desk.pass_by(days=1)
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 2


def test_a_clock_that_ran_ahead_once_and_was_put_right_stops_no_schedule(desk):
    desk.clock.set_by(timedelta(days=365))
    desk.schedules.look()
    desk.clock.set_by(timedelta(days=-365))
    desk.taken.clear()
    desk.schedules.look()
    assert desk.taken == [], "nothing is known to be missed"
    desk.pass_by(hours=1)
    assert desk.taken == [BackupKind.INCREMENTAL]
    assert all(mark.occurrence <= desk.clock.now() for mark in desk.marks.values())


def test_a_pause_lasts_as_long_as_it_says_also_where_the_clock_is_put_back():
    desk = Desk(has_backup=False)
    desk.late = GiveUp("store_full", found="no space")
    desk.schedules.look()
    desk.clock.set_by(timedelta(days=-1))
    desk.pass_by(minutes=5)
    assert desk.taken == [BackupKind.FULL] * 2
