import pytest

from understudy.judge.preflight import Finding, Grade, finding_of, judge_clock, judge_version, passes
from understudy.vocabulary.errors import GiveUp


@pytest.mark.parametrize(
    ("number", "grade"),
    [
        (120022, Grade.FAILURE),
        (130000, Grade.OK),
        (150018, Grade.OK),
        (170002, Grade.OK),
        (180004, Grade.OK),
        (190000, Grade.WARNING),
    ],
)
def test_versions_from_13_to_18_are_supported(number, grade):
    finding = judge_version("resource orders", "db:5432", number, f"{number // 10000}.x")
    assert finding.grade is grade
    assert (finding.change == "") == (grade is Grade.OK)


def test_a_version_that_is_supported_and_not_tested_says_which_are():
    assert "tested are 15, 16 and 18" in judge_version("resource orders", "db:5432", 170002, "17.2").found
    assert "tested" not in judge_version("resource orders", "db:5432", 180004, "18.4").found


@pytest.mark.parametrize(("seconds", "grade"), [(0, Grade.OK), (-1, Grade.OK), (1.5, Grade.WARNING), (-3600, Grade.WARNING)])
def test_clocks_may_differ_by_a_second(seconds, grade):
    assert judge_clock("resource orders", seconds).grade is grade


def test_warnings_do_not_stand_in_the_way_and_one_failure_does():
    warning = Finding("keys", "identity", Grade.WARNING, "none")
    failure = Finding("keys", "identity", Grade.FAILURE, "none")
    assert passes([warning])
    assert not passes([warning, failure])


def test_an_error_becomes_a_failure_with_its_hint_as_the_change():
    finding = finding_of(GiveUp("some_code", found="this", expected="that", hint="do so"), "keys", "identity")
    assert (finding.grade, finding.found, finding.expected, finding.change) == (Grade.FAILURE, "some_code: this", "that", "do so")
