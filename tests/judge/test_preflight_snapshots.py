from datetime import timedelta

from understudy.judge.preflight import Grade
from understudy.judge.preflight_snapshots import SourceFacts, judge_schedule, judge_source, judge_state_within

HOUR = timedelta(hours=1)


def graded(**changes):
    facts = {"url": "file:///srv/docs", "entries": 7, "size_bytes": 3000, "is_all": True, "tried": 3, "passed_over": ()}
    return {finding.aspect: finding for finding in judge_source("resource docs", SourceFacts(**(facts | changes)))}


def test_a_source_that_can_be_read_is_told_with_its_size():
    assert graded()["source"].grade is Grade.OK
    assert "7 entries, 2.9 KiB" in graded()["source"].found
    assert "more than 7 entries" in graded(is_all=False)["source"].found


def test_an_empty_source_may_be_a_disk_that_is_not_mounted():
    finding = graded(entries=0)["source"]
    assert finding.grade is Grade.WARNING
    assert "mount its disk" in finding.change


def test_what_cannot_be_kept_is_named():
    finding = graded(passed_over=("run/db.sock: a socket", "run/x: a pipe"))["passed_over"]
    assert finding.grade is Grade.WARNING
    assert "run/db.sock: a socket, and 1 more" in finding.found


def test_a_schedule_that_alone_misses_the_objective_is_warned_of():
    assert judge_schedule("resource docs", HOUR, HOUR).grade is Grade.OK
    rare = judge_schedule("resource docs", HOUR, 24 * HOUR)
    assert (rare.grade, rare.found, rare.expected) == (
        Grade.WARNING, "up to 1d between two snapshots", "at most 1h, the tier's rpo",
    )  # fmt: skip
    none = judge_schedule("resource docs", HOUR, None)
    assert none.grade is Grade.WARNING
    assert "schedule:" in none.change


def test_a_state_directory_that_would_be_kept_with_each_snapshot_is_warned_of():
    finding = judge_state_within("resource var", "/var/lib", "/var/lib/understudy/shop")
    assert finding.grade is Grade.WARNING
    assert finding.change == "leave it out: exclude: [/understudy/shop/]"
