"""Findings stand in the chain: opened by one link, closed by another, and never edited unseen."""

import sqlite3
from contextlib import closing
from datetime import date

import pytest

from tests.records.cast import HeadSigner
from understudy.adapters.clock.system import SystemClock
from understudy.records.comparison import compare_shown
from understudy.records.records import Records
from understudy.records.verification import ChainFault, verify_chain
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import Person, RunId

SIGNER = HeadSigner()
ANNA, DUE = Person("anna"), date(2026, 12, 31)


@pytest.fixture
def records(tmp_path):
    made = Records(tmp_path, SystemClock(), SIGNER)
    yield made
    made.close()


def opened(records, text="the kit is not where it should be"):
    return records.findings.open(text, "operations", DUE, ANNA, RunId("r1"), "data_loss")


def verified(records):
    ledger = records.ledger()
    found = verify_chain(ledger.links, ledger.head, [SIGNER.public_key])
    return [each.fault for each in (*found, *compare_shown(ledger.links, ledger.shown).findings)]


def test_a_finding_is_numbered_and_says_who_sees_to_it_and_what_must_be_tested_again(records):
    first, second = opened(records), opened(records, "another one")
    assert [first.finding, second.finding] == ["finding-0001", "finding-0002"]
    assert (first.owner, first.due, first.by, first.run, first.scenario) == ("operations", DUE, ANNA, "r1", "data_loss")
    assert records.findings.all() == (first, second)
    assert verified(records) == []


def test_one_that_is_closed_says_by_whom_and_how_and_is_closed_once(records):
    opened(records)
    closed = records.findings.close("finding-0001", ANNA, RunId("r2"), "")
    assert closed.closing is not None
    assert (closed.closing.by, closed.closing.retest) == (ANNA, "r2")
    with pytest.raises(Refusal, match="finding_closed"):
        records.findings.close("finding-0001", ANNA, None, "once more")
    assert records.findings.all() == (closed,)
    assert verified(records) == []


def test_one_that_nobody_opened_is_unknown(records):
    opened(records)
    with pytest.raises(Refusal, match="finding_unknown"):
        records.findings.of("finding-0002")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("UPDATE chain SET record = replace(record, 'operations', 'somebody')", ChainFault.RECORD_EDITED),
        ("UPDATE chain SET record = replace(record, '2026-12-31', '2036-12-31')", ChainFault.RECORD_EDITED),
        ("DELETE FROM chain WHERE sequence = 2", ChainFault.CUT_OFF),
        ("DELETE FROM chain WHERE sequence = 1", ChainFault.ORDER_BROKEN),
    ],
)
def test_one_that_was_edited_or_taken_away_is_found(records, change, fault):
    opened(records)
    opened(records, "another one")
    with closing(sqlite3.connect(records.state / "state.db", isolation_level=None)) as database:
        assert database.execute(change).rowcount
    assert fault in verified(records)
