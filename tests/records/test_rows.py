"""Rows as they are read back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.records.cast import submission, succeeded
from tests.supervise.owned_clock import OwnedClock
from understudy.records.records import Records
from understudy.vocabulary.identifiers import RunId, StepKey

A = StepKey("a")


def test_the_newest_is_what_ended_last_also_where_the_clock_was_put_back_meanwhile(tmp_path: Path) -> None:
    clock = OwnedClock()
    records = Records(tmp_path, clock)
    for run in ("r1", "r2"):
        records.submit(submission(run))
        records.begin_step(RunId(run), A)
        records.conclude_step(RunId(run), A, succeeded())
        clock.set_by(timedelta(days=-1))
    newest = records.newest_success(A)
    assert newest is not None and newest.run == "r2"
    records.close()
