"""What is asked of all that was ever recorded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.records.cast import submission, succeeded
from tests.supervise.owned_clock import OwnedClock
from understudy.adapters.clock.system import SystemClock
from understudy.records.records import Records
from understudy.records.run import RunState
from understudy.vocabulary.identifiers import RunId, StepKey

A = StepKey("a")


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    records = Records(tmp_path, SystemClock())
    yield records
    records.close()


def test_what_is_newest_is_told_by_the_order_of_what_happened_and_not_by_a_clock_that_was_set_back(tmp_path: Path) -> None:
    clock = OwnedClock()
    records = Records(tmp_path, clock)
    for number, run in enumerate(("first", "second")):
        records.submit(submission(run))
        records.conclude_step(RunId(run), A, succeeded(proof={"number": number}))
        clock.set_by(-timedelta(days=1))
    newest = records.newest_success(A)
    assert newest is not None
    assert newest.run == "second"
    assert [each.run for each in records.history.successes(A)] == ["second", "first"]
    assert [each.run for each in records.runs()] == ["second", "first"]
    assert [each.run for each in records.runs(1)] == ["second"]
    records.close()


def test_the_newest_run_of_a_kind_is_found_however_many_came_since(records: Records) -> None:
    drill = replace(submission("drill", steps=("orders/verify",)), procedure="drill", subject="database_corruption")
    records.submit(drill)
    records.finish(RunId("drill"), RunState.SUCCEEDED)
    for number in range(3):
        records.submit(replace(submission(f"other-{number}", steps=("sales/verify",)), procedure="drill", subject="data_loss"))
        records.finish(RunId(f"other-{number}"), RunState.SUCCEEDED)
    records.submit(submission("unended"))
    newest = records.history.newest(("drill", "recovery"), RunState.SUCCEEDED, "orders")
    assert newest is not None
    assert newest.run == "drill"
    assert records.history.newest(("drill",), RunState.FAILED, "orders") is None
    assert records.history.of(("drill",)) == ("other-2", "other-1", "other-0", "drill")
    assert records.history.of(("drill",), RunState.FAILED) == ()
    assert [each.run for each in records.unended()] == ["unended"]
