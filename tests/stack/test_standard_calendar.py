from datetime import timedelta

from tests.stack.files import FIVE_KEYS, file_with, load, only_mistake
from understudy.stack.models import Scenario
from understudy.stack.standard_calendar import drills_of

BESIDE = """\
  images: {kind: bucket, url: s3://images}
  pictures: {kind: bucket, url: s3://pictures, drill: {url: s3://drills/pictures}}
  documents: {kind: files, path: /srv/documents}
"""


def test_nothing_is_drilled_that_nobody_declared():
    assert drills_of(load(FIVE_KEYS)) == {}


def test_the_usual_drills_are_of_what_can_be_drilled_and_one_of_the_same_name_stands_in_its_place():
    own = "  daily-orders: {scenario: data_loss, every: weekly, max_duration: 10m}\n"
    own += "  extra: {scenario: data_loss, every: 0 5 * * *}\n"
    found = drills_of(load(f"{FIVE_KEYS}{BESIDE}calendar: {{standard: true, timezone: Europe/Berlin}}\ndrills:\n{own}"))
    assert [*found] == ["daily-orders", "daily-pictures", "daily-documents", "monthly-orders", "quarterly-everything", "extra"]
    assert found["quarterly-everything"].resources == ("orders", "pictures", "documents")
    assert (found["daily-documents"].scenario, found["daily-documents"].every) == (Scenario.STORAGE_LOSS, "daily")
    assert (found["daily-orders"].scenario, found["daily-orders"].every) == (Scenario.DATA_LOSS, "weekly")
    assert (found["daily-orders"].max_duration, found["monthly-orders"].max_duration) == (
        timedelta(minutes=10),
        timedelta(hours=4),
    )
    assert {each.timezone for each in found.values()} == {"Europe/Berlin"}
    assert (found["daily-orders"].window, found["extra"].window) == ("01:00-05:00", None), "a cron expression says when"


def test_a_drill_of_what_there_is_not_is_told_with_what_there_is():
    mistake = only_mistake(file_with(top="drills: {d: {scenario: data_loss, resources: [order], every: daily}}"))
    assert "did you mean orders?" in str(mistake)
    mistake = only_mistake(file_with(top="drills: {d: {scenario: data_loss, repository: nearby, every: daily}}"))
    assert "near" in str(mistake)
    for wrong in ("every: yearly", "every: daily, window: 5-6", "every: daily, window: '05:00-05:00'"):
        only_mistake(file_with(top=f"drills: {{d: {{scenario: data_loss, {wrong}}}}}"))
    assert "data_loss" in str(only_mistake(file_with(top="drills: {d: {scenario: flood, every: daily}}")))
