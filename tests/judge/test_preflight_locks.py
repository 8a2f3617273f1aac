"""What `check` says of locks and versions, by what a store says of itself."""

from datetime import timedelta

import pytest

from understudy.judge.preflight import Grade
from understudy.judge.preflight_locks import judge_locks
from understudy.ports.object_store import StoreAbilities
from understudy.vocabulary.locking import LockMode, LockRule

MONTH, HOURS = LockRule(LockMode.COMPLIANCE, timedelta(days=30)), LockRule(LockMode.GOVERNANCE, timedelta(hours=12))
BARE, VERSIONED, LOCKS = ((True, True, versions, locks) for versions, locks in ((False, False), (True, False), (True, True)))


def judged(declared, abilities, **changes):
    return list(judge_locks("repository far", "s3://bucket/x", declared, StoreAbilities(*abilities, **changes)))


@pytest.mark.parametrize(
    ("declared", "abilities", "default", "grade", "words"),
    [
        (MONTH, LOCKS, None, Grade.OK, "at least 30 days (compliance)"),
        (
            HOURS,
            LOCKS,
            MONTH,
            Grade.OK,
            "12 hours (governance) from its last use; the bucket itself locks",
        ),
        (MONTH, VERSIONED, None, Grade.FAILURE, "the bucket has no object lock"),
        (MONTH, BARE, None, Grade.FAILURE, "no object lock and versions"),
        (None, BARE, None, Grade.OK, "has no object lock"),
        (None, LOCKS, None, Grade.OK, "which nothing here uses"),
        (None, LOCKS, MONTH, Grade.WARNING, "nothing is locked anew"),
    ],
)
def test_what_is_said_of_locks(declared, abilities, default, grade, words):
    (found,) = judged(declared, abilities, default_lock=default)
    assert found.grade is grade
    assert words in found.found
    assert bool(found.change) == (grade is not Grade.OK)


def test_versions_that_we_may_not_remove_are_told_and_only_where_there_are_some():
    assert [each.aspect for each in judged(None, VERSIONED, removes_versions=False)] == ["lock", "removal"]
    assert [each.aspect for each in judged(None, BARE, removes_versions=False)] == ["lock"]


def test_what_somebody_hid_is_told_where_everything_is_locked():
    assert [each.aspect for each in judged(MONTH, LOCKS, hidden=3)] == ["lock", "hidden"]
    assert [each.aspect for each in judged(None, VERSIONED, hidden=3)] == ["lock"]  # an earlier expire may have hidden them


def test_a_directory_says_that_it_cannot_lock_also_before_it_was_made():
    (found,) = judge_locks("repository near", "file:///srv/x", None, None)
    assert found.found.startswith("this store cannot lock")
