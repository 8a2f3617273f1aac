"""What a step saw is only called done with proof, and only with times that mean the same everywhere."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.vocabulary.evidence import Evidence, Outcome

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def evidence(outcome=Outcome.DONE, *, proof=None, started=NOON, ended=NOON):
    return Evidence("orders", "a thing was done", outcome, started, ended, proof if proof is not None else {"rows": 1})


def test_done_without_proof_cannot_be_constructed():
    with pytest.raises(ValueError, match="without proof"):
        evidence(proof={})


@pytest.mark.parametrize("outcome", [Outcome.SKIPPED, Outcome.FAILED, Outcome.UNKNOWN])
def test_what_was_not_done_needs_no_proof(outcome):
    assert evidence(outcome, proof={}).outcome is outcome


def test_a_proof_of_a_zero_or_a_no_is_a_proof():
    assert evidence(proof={"pages_bad": 0}).proof == {"pages_bad": 0}
    assert evidence(proof={"stopped_here": False}).proof == {"stopped_here": False}


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("which", ["started", "ended"])
def test_times_without_an_offset_are_refused_whatever_the_outcome(outcome, which):
    with pytest.raises(ValueError, match="offset"):
        evidence(outcome, **{which: NOON.replace(tzinfo=None)})


def test_a_duration_counts_across_offsets():
    there = timezone(timedelta(hours=9))
    assert evidence(ended=(NOON + timedelta(seconds=5)).astimezone(there)).duration == timedelta(seconds=5)


def test_it_cannot_be_changed_into_something_unproven():
    with pytest.raises(AttributeError):
        evidence().outcome = Outcome.UNKNOWN


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.booleans() | st.none()))
def test_done_exists_exactly_with_proof(proof):
    try:
        made = evidence(proof=proof)
    except ValueError:
        assert not proof
    else:
        assert made.proof and made.proof == proof
