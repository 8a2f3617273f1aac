"""What is shown of runs and steps, held against the chain; and what was recorded before a run's end was."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.records.cast import NOON, HeadSigner, submission, succeeded
from understudy import __version__
from understudy.adapters.clock.system import SystemClock
from understudy.records.chain import append_link
from understudy.records.chained_form import RUN_ENDED
from understudy.records.comparison import Comparison, compare_shown
from understudy.records.evidence_json import evidence_to_json
from understudy.records.export import END_UNTOLD, export_run, unproven, verify_export
from understudy.records.records import Records
from understudy.records.run import RecordedError, RunState
from understudy.records.verification import ChainFault
from understudy.vocabulary.identifiers import Person, RunId, StepKey

RUN, A, B = RunId("r1"), StepKey("a"), StepKey("b")
ANNA = Person("anna")
SIGNER = HeadSigner()
TRUSTED = frozenset({SIGNER.public_key})


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    records = Records(tmp_path, SystemClock(), SIGNER)
    yield records
    records.close()


def compared(records: Records) -> Comparison:
    ledger = records.ledger()
    return compare_shown(ledger.links, ledger.shown)


def faults(records: Records) -> list[ChainFault]:
    return [each.fault for each in compared(records).findings]


def edit(records: Records, *statements: str) -> None:
    with closing(sqlite3.connect(records.state / "state.db", isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)


def carried_out(records: Records, run: RunId, *, to_the_end: bool = True) -> None:
    records.submit(submission(run))
    for step in (A, B):
        records.begin_step(run, step)
        records.conclude_step(run, step, succeeded())
    if to_the_end:
        records.finish(run, RunState.SUCCEEDED, report={"met": True})


def of_before(records: Records, run: RunId, state: RunState | None = RunState.SUCCEEDED) -> None:
    """A run as it was recorded before ends were: its steps' records tell no times, and there is no link of its end."""
    records.submit(submission(run))
    evidence = evidence_to_json(succeeded().evidence)
    for step in (A, B):
        records.begin_step(run, step)
        records.conclude_step(run, step, succeeded())
    edit(records, f"DELETE FROM chain WHERE run = '{run}'", "DELETE FROM chain_head")  # noqa: S608
    record = {"run": run, "state": "succeeded", "attempts": 1, "evidence": evidence, "error": None, "approval": None}
    with records._database.writing() as connection:
        for step in (A, B):
            append_link(connection, run, step, {**record, "step": step}, NOON, SIGNER)
    if state is not None:
        edit(records, f"UPDATE runs SET state = '{state}', ended = '{NOON.isoformat()}' WHERE run = '{run}'")  # noqa: S608


def test_a_runs_end_is_chained_once_with_its_header_its_steps_and_what_it_came_to(records: Records) -> None:
    carried_out(records, RUN)
    records.finish(RUN, RunState.FAILED, RecordedError("plan_unreadable", "it cannot be read"), {"met": False})
    *_, last = records.chain()[0]
    assert [each.step for each in records.chain()[0]] == [A, B, RUN_ENDED]
    assert last.record is not None
    said = {name: last.record[name] for name in ("state", "mode", "subject", "error", "met", "understudy_version", "steps")}
    assert said == {
        "state": "succeeded",
        "mode": "routine",
        "subject": "orders",
        "error": None,
        "met": True,
        "understudy_version": __version__,
        "steps": [{"step": "a", "state": "succeeded"}, {"step": "b", "state": "succeeded"}],
    }
    assert compared(records) == Comparison(())


def test_when_the_chain_cannot_be_written_the_run_has_not_ended(records: Records) -> None:
    class TiredSigner:
        def sign(self, document: object) -> dict[str, object]:
            raise OSError("the key is gone")

    carried_out(records, RUN, to_the_end=False)
    tired = Records(records.state, SystemClock(), TiredSigner())  # type: ignore[arg-type]
    with pytest.raises(OSError, match="the key is gone"):
        tired.finish(RUN, RunState.SUCCEEDED)
    tired.close()
    assert records.run(RUN).ended is None
    assert len(records.chain()[0]) == 2


def test_a_run_under_way_and_one_that_nobody_took_up_pass(records: Records) -> None:
    records.submit(submission("r2", executor=None))
    records.request_cancel(RunId("r2"), ANNA)
    carried_out(records, RUN, to_the_end=False)
    assert compared(records) == Comparison((), under_way=(RUN,))
    edit(records, "UPDATE steps SET state = 'succeeded' WHERE run = 'r2' AND step = 'b'")
    assert faults(records) == [ChainFault.RECORD_EDITED]


def test_an_approval_that_comes_after_its_steps_end_changes_nothing(records: Records) -> None:
    records.submit(submission(asks=("b",)))
    records.conclude_step(RUN, B, succeeded())
    records.approve(RUN, B, ANNA, "Really?")
    assert records.approval(RUN, B) is None
    assert compared(records).findings == ()


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE runs SET state = 'succeeded', ended = '2026-11-24T12:00:00+00:00'", ChainFault.RECORD_MISSING),
        ("UPDATE runs SET state = 'failed'", ChainFault.RECORD_MISSING),
        ("UPDATE steps SET state = 'failed' WHERE step = 'a'", ChainFault.RECORD_EDITED),
        ("DELETE FROM steps WHERE step = 'a'", ChainFault.RECORD_MISSING),
        ("DELETE FROM runs", ChainFault.RECORD_MISSING),
        ("UPDATE steps SET attempts = 2", ChainFault.RECORD_EDITED),
        ("UPDATE steps SET state = x'00'", ChainFault.RECORD_EDITED),
    ],
)
def test_a_run_under_way_that_is_made_to_have_ended_or_to_be_another_is_found(
    records: Records, statement: str, fault: ChainFault
) -> None:
    carried_out(records, RUN, to_the_end=False)
    edit(records, statement)
    assert set(faults(records)) == {fault}


def test_a_step_that_has_not_ended_and_is_made_to_have_ended_is_found(records: Records) -> None:
    records.submit(submission())
    edit(records, "UPDATE steps SET state = 'succeeded' WHERE step = 'a'")
    assert faults(records) == [ChainFault.RECORD_EDITED]


def test_a_run_that_ended_before_ends_were_recorded_is_told_as_such_and_not_as_an_edit(records: Records) -> None:
    of_before(records, RUN)
    carried_out(records, RunId("r2"))
    assert compared(records) == Comparison((), end_untold=(RUN,))
    exported = export_run(records, RUN)
    assert (verify_export(exported, TRUSTED), unproven(exported)) == ((), {END_UNTOLD: (RUN,)})
    edit(records, "UPDATE steps SET state = 'failed' WHERE run = 'r1' AND step = 'a'")
    assert faults(records) == [ChainFault.RECORD_EDITED]


def test_a_run_that_was_begun_before_ends_were_recorded_has_its_end_recorded(records: Records) -> None:
    of_before(records, RUN, state=None)
    records.finish(RUN, RunState.SUCCEEDED)
    assert compared(records) == Comparison(())
    edit(records, "UPDATE runs SET mode = 'drill'")
    assert faults(records) == [ChainFault.RECORD_EDITED]


def test_an_export_of_before_is_read_as_it_was_written(records: Records) -> None:
    of_before(records, RUN)
    exported = dict(export_run(records, RUN))
    untold = {"asked", "approval"}
    exported["steps"] = [
        {name: each for name, each in step.items() if name not in untold}
        for step in exported["steps"]  # type: ignore[union-attr]
    ]
    assert (verify_export(exported, TRUSTED), unproven(exported)) == ((), {END_UNTOLD: (RUN,)})


def test_the_export_of_a_run_under_way_says_so_and_one_that_is_made_to_have_ended_is_found(records: Records) -> None:
    carried_out(records, RUN, to_the_end=False)
    exported = dict(export_run(records, RUN))
    assert verify_export(exported, TRUSTED) == ()
    assert list(unproven(exported).values()) == [(RUN,)]
    exported["run"] = {**exported["run"], "state": "succeeded"}  # type: ignore[dict-item]
    assert [each.fault for each in verify_export(exported, TRUSTED)] == [ChainFault.RECORD_MISSING]
