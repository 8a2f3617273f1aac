"""Values into words: the only place where that happens."""

from datetime import UTC, datetime, timedelta

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.cli.backing_up import print_faults
from understudy.cli.exit_codes import ExitCode
from understudy.cli.looking import _GAPS
from understudy.cli.printing import duration, folded, table_lines
from understudy.documents.proofs import proof_lines
from understudy.judge.exposure import ExposureGap
from understudy.repository.backup_checks import ObjectFault
from understudy.vocabulary.errors import Cancelled, GiveUp, Refusal
from understudy.vocabulary.identifiers import BackupLabel
from understudy.vocabulary.json_form import to_json
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


SENTENCE = "WAL of orders in near: 12 segments read, without a hole up to 0/3000060"


def test_a_line_is_folded_between_words_and_goes_on_indented():
    assert folded(f"  hint: {SENTENCE}", 40) == (
        "  hint: WAL of orders in near: 12\n    segments read, without a hole up to\n    0/3000060"
    )
    assert folded(SENTENCE, None) == folded(SENTENCE, 200) == SENTENCE


@given(st.lists(st.text("abc-/:.", min_size=1, max_size=30), min_size=1), st.integers(20, 60), st.integers(0, 10))
def test_folding_breaks_no_word_and_loses_none(texts, width, indentation):
    lines = folded(" " * indentation + " ".join(texts), width, hang=4).split("\n")
    assert [word for line in lines for word in line.split()] == texts
    assert all(len(line) <= width or len(line.split()) == 1 for line in lines)


def test_colours_take_no_room():
    assert folded(click.style("WAL", fg="red") + " of orders", 13) == click.style("WAL", fg="red") + " of orders"


HEADINGS = ("LABEL", "CONSISTENT SINCE", "STORED", "FATE", "BECAUSE")
ROWS = [
    ("20261123-030000F_20261123-040000I", "2026-11-23T04:00:01+00:00", "12.0 MiB", "stays", "of that day, of the newest chain"),
    ("20261123-030000F", "2026-11-23T03:00:01+00:00", "1.2 GiB", "stays", "20261123-030000F_20261123-040000I stands on it"),
]  # fmt: skip


def shown(width, **how):
    return [line.text for line in table_lines(HEADINGS, ROWS, width, **how)]


def test_a_table_that_fits_or_goes_elsewhere_keeps_its_columns_in_one_line_for_each_row():
    whole = shown(None)
    assert len(whole) == 3 and all("  " in line for line in whole)
    assert shown(140, shed=("STORED",), fold="BECAUSE") == whole


def test_a_narrower_table_folds_its_sentences_then_sheds_columns_then_becomes_blocks():
    how = {"shed": ("CONSISTENT SINCE", "STORED"), "fold": "BECAUSE"}
    folding = shown(110, **how)
    assert "CONSISTENT SINCE" in folding[0] and len(folding[1].split("\n")) == 2
    shedding = shown(80, **how)
    assert "CONSISTENT SINCE" not in shedding[0] and "STORED" in shedding[0]
    blocks = shown(55, **how)
    assert blocks[0] == "LABEL             20261123-030000F_20261123-040000I"
    assert "" in blocks, "an empty line between two"
    for lines in (folding, shedding, blocks):
        text = "\n".join(lines)
        assert {row[0] for row in ROWS} <= set(text.split())


@given(st.lists(st.lists(st.text("abc-", max_size=40), min_size=3, max_size=3), min_size=1), st.integers(30, 130))
def test_no_table_breaks_a_cell_or_runs_over_the_edge(rows, width):
    lines = "\n".join(line.text for line in table_lines(("ONE", "TWO", "THREE"), rows, width)).split("\n")
    assert all(len(line) <= width or len(line.split()) == 1 for line in lines)
    found = {word for line in lines for word in line.split()}
    assert {cell for row in rows for cell in row if cell} <= found


def test_a_proof_is_told_in_words_with_units_and_nothing_of_it_is_left_out():
    proof = {
        "label": "20261123-030000F",
        "plain_bytes": 3 * 2**20,
        "duration_seconds": 245.0,
        "slot_restart_lsn": "0/3000060",
        "in_recovery": False,
        "newest_heartbeat": None,
        "set_aside": [],
        "labels": ["20261123-030000F", "20261123-030000F_20261123-040000I"],
        "databases": {"order_items": {"rows": 7, "relation_bytes": 8192, "indexes_to_rebuild": ["a_b", "c_d"]}},
        "checks": [{"sql": "select 1", "answer": "1"}, {"sql": "select 2", "answer": None}],
        "room": [{"directories": ["/srv/a_b"], "free_bytes": 2**30}],
    }
    assert list(proof_lines(proof, 2)) == [
        "  label: 20261123-030000F",
        "  size: 3.0 MiB",
        "  duration: 4 min 05 s",
        "  slot restart LSN: 0/3000060",
        "  in recovery: no",
        "  newest heartbeat: none",
        "  set aside: none",
        "  labels: 20261123-030000F, 20261123-030000F_20261123-040000I",
        "  databases:",
        "    order_items:",
        "      rows: 7",
        "      size: 8.0 KiB",
        "      indexes to rebuild: a_b, c_d",
        "  checks:",
        "    - SQL: select 1",
        "      answer: 1",
        "    - SQL: select 2",
        "      answer: none",
        "  room:",
        "    - directories: /srv/a_b",
        "      free: 1.0 GiB",
    ]


def test_long_lists_have_a_line_for_each():
    names = [f"0000000100000000000000{number:02X}" for number in range(4)]
    assert list(proof_lines({"left": names}, 0)) == ["left:", *(f"  - {name}" for name in names)]


def test_every_reason_why_an_exposure_is_unknown_is_told_in_words():
    assert set(_GAPS) == {gap.value for gap in ExposureGap}


def test_faults_that_are_alike_are_told_once_with_their_number(capsys):
    parts = [f"part-{number}" for number in range(9)]
    faults = [ObjectFault(part, "wrong_key", f"{part} opens with no key", "the key", "name it") for part in parts]
    other = ObjectFault("part-x", "part_corrupt", "part-x differs", "the same bytes", "restore another")
    print_faults("near, orders", [*faults, other])
    said = capsys.readouterr().out
    assert said.count("wrong_key") == 1
    assert "part-0 and 8 more, the last of them part-8" in said
    assert "object:   part-x\n" in said
