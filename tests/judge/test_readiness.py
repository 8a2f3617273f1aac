"""Each tick of the readiness checklist falls when the one thing that it measures is otherwise, and no other does."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from understudy.judge.readiness import (
    Area,
    KeptFacts,
    ReadBackFacts,
    Readiness,
    ReadinessFacts,
    RehearsedFacts,
    is_ready,
    judge_readiness,
)
from understudy.vocabulary.identifiers import RunId

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
RUN = RunId("20261124-110000-abcdef")
KEPT = KeptFacts("orders", True, RUN, NOON, timedelta(seconds=3), timedelta(minutes=5), True, None, None, None, 2, 0)
STORED = ReadBackFacts("near", 1000, 0, NOON)
REHEARSED = RehearsedFacts("data_loss", ("orders",), RUN, NOON, passed=True, of_this_stack_file=True)
GOOD = ReadinessFacts(
    now=NOON,
    serving=True,
    kept=(KEPT,),
    stored=(STORED,),
    rehearsed=(REHEARSED,),
    drills_declared=1,
    drills_overdue=(),
    deviations_without_finding=(),
    findings_overdue=(),
    roles_missing=(),
    recipients=2,
    signers_named=True,
    chain_links=7,
    chain_faults=0,
    escrow_drill=RUN,
    escrow_drill_at=NOON,
)


def states(facts):
    return {line.name: line.state for line in judge_readiness(facts)}


def test_where_everything_was_measured_to_be_well_it_is_ready_and_what_is_not_built_says_so():
    lines = judge_readiness(GOOD)
    assert is_ready(lines)
    assert {line.area for line in lines} == set(Area)
    assert {line.name for line in lines if line.state is not Readiness.MET} == {"fail_over", "metrics", "messages", "deploys"}
    assert all(line.state is Readiness.NOT_BUILT for line in lines if line.state is not Readiness.MET)


def kept(**change):
    return {"kept": (replace(KEPT, **change),)}


@pytest.mark.parametrize(
    ("change", "name", "state"),
    [
        (kept(recoverable=False), "usable_backup", Readiness.NOT_MET),
        (kept(exposed=timedelta(minutes=6)), "exposure", Readiness.NOT_MET),
        (kept(exposed=None), "exposure", Readiness.UNKNOWN),
        (kept(scheduled=False), "schedule", Readiness.NOT_MET),
        (kept(missed_since=NOON), "schedule", Readiness.NOT_MET),
        (kept(failed=RUN, failed_at=NOON), "last_backup", Readiness.NOT_MET),
        (kept(damaged=1), "sound", Readiness.NOT_MET),
        (kept(repositories=1), "several_repositories", Readiness.NOT_MET),
        ({"stored": (replace(STORED, never_read_bytes=1),)}, "read_back", Readiness.NOT_MET),
        ({"stored": (replace(STORED, oldest_read=None),)}, "read_back", Readiness.UNKNOWN),
        ({"stored": (ReadBackFacts("near", 0, 0, None),)}, "read_back", Readiness.UNKNOWN),
        ({"serving": False}, "serving", Readiness.NOT_MET),
        ({"roles_missing": ("leads",)}, "contacts", Readiness.NOT_MET),
        ({"rehearsed": (replace(REHEARSED, run=None),)}, "proven", Readiness.UNKNOWN),
        ({"rehearsed": (replace(REHEARSED, passed=False),)}, "proven", Readiness.NOT_MET),
        ({"rehearsed": (replace(REHEARSED, of_this_stack_file=False),)}, "proven", Readiness.UNKNOWN),
        ({"drills_declared": 0}, "calendar", Readiness.NOT_MET),
        ({"drills_overdue": ("weekly",)}, "calendar", Readiness.NOT_MET),
        ({"deviations_without_finding": (RUN,)}, "deviations", Readiness.NOT_MET),
        ({"findings_overdue": ("finding-0001",)}, "findings", Readiness.NOT_MET),
        ({"recipients": 1}, "recipients", Readiness.NOT_MET),
        ({"signers_named": False}, "signers", Readiness.NOT_MET),
        ({"chain_faults": 1}, "evidence", Readiness.NOT_MET),
        ({"chain_links": 0}, "evidence", Readiness.UNKNOWN),
        ({"escrow_drill": None}, "escrow", Readiness.UNKNOWN),
    ],
)
def test_one_thing_that_is_otherwise_takes_away_its_own_tick_and_no_other(change, name, state):
    facts = replace(GOOD, **change)
    before, after = states(GOOD), states(facts)
    assert after == before | {name: state}
    assert not is_ready(judge_readiness(facts))
