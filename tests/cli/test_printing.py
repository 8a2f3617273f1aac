"""Values into words: the only place where that happens."""

from datetime import UTC, datetime, timedelta

import pytest

from understudy.cli.exit_codes import ExitCode
from understudy.cli.printing import duration, to_json
from understudy.vocabulary.errors import Cancelled, GiveUp, Refusal
from understudy.vocabulary.identifiers import BackupLabel
from understudy.vocabulary.wal import Lsn


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.4237, "0.42 s"),
        (12.34, "12.3 s"),
        (99.96, "1 min 40 s"),
        (timedelta(minutes=4, seconds=5), "4 min 05 s"),
        (timedelta(hours=3, minutes=10), "3 h 10 min"),
        (None, "unknown"),
    ],
)
def test_durations_read_with_as_much_precision_as_matters(value, words):
    assert duration(value) == words


def test_values_become_json_that_a_machine_can_compare():
    value = {
        "at": datetime(2026, 11, 23, 3, tzinfo=UTC),
        "took": timedelta(seconds=1.5),
        "lsn": Lsn.parse("0/3000060"),
        "label": BackupLabel("20261123-030000F"),
        "code": ExitCode.BUSY,
        "names": frozenset({"one"}),
    }
    assert to_json(value) == {
        "at": "2026-11-23T03:00:00+00:00",
        "took": 1.5,
        "lsn": "0/3000060",
        "label": "20261123-030000F",
        "code": 4,
        "names": ["one"],
    }


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refusal("busy", found="x"), ExitCode.BUSY),
        (Refusal("target_not_empty", found="x"), ExitCode.REFUSED),
        (Refusal("stack_file_invalid", found="x"), ExitCode.USAGE),
        (GiveUp("secret_missing", found="x"), ExitCode.PREREQUISITE),
        (GiveUp("part_corrupt", found="x"), ExitCode.FAILED),
        (Cancelled(), ExitCode.INTERRUPTED),
    ],
)
def test_each_error_ends_in_the_documented_exit_code(error, code):
    assert ExitCode.of(error) is code
