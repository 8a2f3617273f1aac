"""When a finding is overdue, and which run is its retest."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from understudy.judge.findings import FindingState, Retest, finding_state, why_no_retest
from understudy.records.findings import Closing, FindingRecord
from understudy.vocabulary.identifiers import Person

OPENED = datetime(2026, 11, 24, 12, tzinfo=UTC)
FINDING = FindingRecord(
    "finding-0001", "too slow", "operations", date(2026, 12, 1), OPENED, Person("anna"), None, "data_loss", None
)
PASSED = Retest("data_loss", measured=True, submitted=OPENED + timedelta(days=1), succeeded=True, met=True)


@pytest.mark.parametrize(
    ("today", "state"),
    [(date(2026, 11, 30), FindingState.OPEN), (date(2026, 12, 1), FindingState.OPEN), (date(2026, 12, 2), FindingState.OVERDUE)],
)
def test_it_is_overdue_once_its_day_has_passed(today, state):
    assert finding_state(FINDING, today) is state


def test_one_that_is_closed_is_never_overdue():
    closed = replace(FINDING, closing=Closing(OPENED, Person("anna"), None, "no more"))
    assert finding_state(closed, date(2030, 1, 1)) is FindingState.CLOSED


def test_a_later_run_of_the_same_scenario_that_met_everything_is_a_retest():
    assert why_no_retest(FINDING, PASSED) is None
    assert why_no_retest(replace(FINDING, scenario=""), replace(PASSED, scenario="complete_failure")) is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"measured": False}, "neither a drill nor a recovery"),
        ({"submitted": OPENED}, "before the finding was opened"),
        ({"scenario": "storage_loss"}, "about storage_loss"),
        ({"succeeded": False}, "did not succeed"),
        ({"met": False}, "not every objective"),
        ({"met": None}, "not every objective"),
    ],
)
def test_any_one_thing_that_is_otherwise_makes_it_none(change, why):
    said = why_no_retest(FINDING, replace(PASSED, **change))
    assert said is not None and why in said
