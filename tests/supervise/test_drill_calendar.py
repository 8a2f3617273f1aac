from datetime import UTC, datetime, timedelta

import pytest

from tests.supervise.owned_clock import OwnedClock
from understudy.supervise.drill_calendar import DrillCalendar, DrillUnderWay, DueDrill
from understudy.vocabulary.errors import GiveUp, Refusal, TryAgain
from understudy.vocabulary.identifiers import RunId

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Hall:
    """Drills that are noted down; ``due`` are names with their moments, ``others`` what somebody else has under way."""

    def __init__(self, **due):
        self.clock = OwnedClock(NOON)
        self.due = due
        self.others = []
        self.own = []
        self.begun, self.ended, self.told = [], [], []
        self.fault = self.wrong = None
        self.looked = 0
        self.calendar = self.restarted()

    def restarted(self):
        self.calendar = DrillCalendar(
            self.clock,
            self.turns,
            lambda: [*self.own, *self.others],
            self.begin,
            self.cannot,
            self.ended.append,
            lambda _: self.wrong,
        )
        return self.calendar

    def turns(self):
        self.looked += 1
        return [DueDrill(name, at) for name, at in self.due.items()]

    def begin(self, name):
        if self.fault is not None:
            raise self.fault
        self.begun.append(name)
        run = RunId(f"run-{len(self.begun)}")
        self.own = [DrillUnderWay(run, run, self.clock.now(), name, timedelta(hours=1))]
        return run

    def cannot(self, name, error):
        self.told.append((name, error.code))

    def over(self):
        self.due.pop(self.own[0].drill)
        self.own = []

    def pass_by(self, **duration):
        self.clock.pass_by(timedelta(**duration))
        self.calendar.look()


def test_drills_that_are_due_are_held_one_after_another_in_their_order():
    hall = Hall(first=NOON, second=NOON - timedelta(days=3))
    hall.calendar.look()
    hall.pass_by(minutes=5)
    assert hall.begun == ["first"]
    hall.over()
    hall.pass_by(seconds=2)
    assert hall.begun == ["first", "second"]


def test_one_that_is_due_later_begins_at_its_time_and_meanwhile_little_is_asked():
    hall = Hall(first=NOON + timedelta(minutes=30, seconds=30))
    for _ in range(30 * 30):
        hall.pass_by(seconds=2)
    assert hall.begun == []
    assert hall.looked <= 32, "once a minute"
    hall.pass_by(seconds=32)
    assert hall.begun == ["first"]


@pytest.mark.parametrize("what", ["drill", "recovery"])
def test_none_begins_while_somebody_else_drills_or_recovers_and_theirs_is_never_ended(what):
    hall = Hall(first=NOON)
    hall.others = [DrillUnderWay(RunId("theirs"), RunId("theirs"), NOON - timedelta(days=1))]
    hall.calendar.look()
    hall.pass_by(hours=9)
    assert (hall.begun, hall.ended) == ([], [])
    hall.others = []
    hall.pass_by(seconds=2)
    assert hall.begun == ["first"]


def test_one_that_takes_too_long_is_ended_and_said_again_until_it_has():
    hall = Hall(first=NOON)
    hall.calendar.look()
    hall.pass_by(minutes=59)
    assert hall.ended == []
    hall.pass_by(minutes=2)
    assert hall.ended == ["run-1"]
    hall.pass_by(seconds=2)
    assert hall.ended == ["run-1"]
    hall.pass_by(seconds=15)
    assert hall.ended == ["run-1", "run-1"]


def test_what_an_earlier_process_has_spent_counts_and_a_clock_that_is_set_while_it_runs_does_not():
    hall = Hall()
    hall.own = [DrillUnderWay(RunId("r1"), RunId("r2"), NOON - timedelta(minutes=50), "first", timedelta(hours=1))]
    hall.calendar.look()
    hall.clock.set_by(timedelta(days=9))
    hall.pass_by(minutes=9)
    hall.clock.set_by(timedelta(days=-18))
    hall.calendar.look()
    assert hall.ended == []
    hall.pass_by(minutes=2)
    assert hall.ended == ["r2"], "of a request the run that is under way"


@pytest.mark.parametrize(
    ("fault", "pause"),
    [
        (TryAgain("store_unreachable", found="away"), 15),
        (Refusal("no_backup", found="none"), 300),
        (GiveUp("busy", found="held"), 15),
    ],
)
def test_one_that_cannot_begin_is_told_tried_again_and_keeps_back_no_other(fault, pause, caplog):
    hall = Hall(first=NOON, second=NOON + timedelta(hours=2))
    hall.fault = fault
    hall.calendar.look()
    assert hall.told == [("first", fault.code)]
    hall.pass_by(seconds=pause - 1)
    assert len(hall.told) == 1
    hall.fault = None
    hall.pass_by(seconds=2)
    assert hall.begun == ["first"]
    assert [fault.code in each.getMessage() for each in caplog.records] == [True]


def test_how_it_ended_is_told_also_of_one_that_another_process_began(caplog):
    caplog.set_level("INFO")
    hall = Hall(first=NOON)
    hall.calendar.look()
    hall.restarted().look()
    hall.wrong = "failed"
    hall.over()
    hall.pass_by(seconds=2)
    assert caplog.records[-1].getMessage() == "drill first failed: understudy show run-1"
    assert caplog.records[-1].levelname == "ERROR"


def test_records_that_cannot_be_read_are_told_once_and_end_nothing(caplog):
    hall = Hall(first=NOON)
    hall.turns = None
    hall.restarted()

    def away():
        raise GiveUp("state_unwritable", found="the disk is full")

    hall.calendar = DrillCalendar(hall.clock, away, list, hall.begin, hall.cannot, hall.ended.append, lambda _: None)
    hall.calendar.look()
    hall.calendar.look()
    assert ["state_unwritable" in each.getMessage() for each in caplog.records] == [True]
