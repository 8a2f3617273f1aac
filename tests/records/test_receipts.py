"""Receipts: written whole, read back, replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from understudy.records.receipts import FileReceipts
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import RunId

RUN = RunId("r1")


def test_a_receipt_is_read_back_also_by_a_later_process(tmp_path: Path) -> None:
    FileReceipts(tmp_path, RUN).write("orders/base-backup", {"stop_lsn": "0/3000060", "parts": ["ä", 2]})
    assert FileReceipts(tmp_path, RUN).read("orders/base-backup") == {"stop_lsn": "0/3000060", "parts": ["ä", 2]}
    assert (tmp_path / "runs/r1/receipts/orders/base-backup.json").exists()


def test_a_receipt_never_written_is_none(tmp_path: Path) -> None:
    assert FileReceipts(tmp_path, RUN).read("nothing") is None


def test_writing_again_replaces(tmp_path: Path) -> None:
    receipts = FileReceipts(tmp_path, RUN)
    receipts.write("a", {"n": 1})
    receipts.write("a", {"n": 2})
    assert receipts.read("a") == {"n": 2}
    assert [each.name for each in (tmp_path / "runs/r1/receipts").iterdir()] == ["a.json"]


def test_runs_do_not_see_each_others_receipts(tmp_path: Path) -> None:
    FileReceipts(tmp_path, RUN).write("a", {"n": 1})
    assert FileReceipts(tmp_path, RunId("r2")).read("a") is None


def test_a_value_that_is_no_json_leaves_the_earlier_receipt(tmp_path: Path) -> None:
    receipts = FileReceipts(tmp_path, RUN)
    receipts.write("a", {"n": 1})
    with pytest.raises(ValueError, match="Out of range"):
        receipts.write("a", {"n": float("nan")})
    assert receipts.read("a") == {"n": 1}


@pytest.mark.parametrize("name", ["", "../a", "a/../b", "/a", "a//b", ".a", "a\0"])
def test_a_name_that_leaves_the_runs_directory_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not a receipt's name"):
        FileReceipts(tmp_path, RUN).write(name, {})


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_a_damaged_receipt_is_refused_rather_than_taken_for_absent(tmp_path: Path, content: bytes) -> None:
    receipts = FileReceipts(tmp_path, RUN)
    receipts.write("a", {"n": 1})
    (tmp_path / "runs/r1/receipts/a.json").write_bytes(content)
    with pytest.raises(GiveUp, match="receipt_damaged"):
        receipts.read("a")


def test_what_a_killed_process_left_aside_is_used_up_by_the_next_write(tmp_path: Path) -> None:
    receipts = FileReceipts(tmp_path, RUN)
    directory = tmp_path / "runs/r1/receipts"
    directory.mkdir(parents=True)
    (directory / ".a.json.aside").write_bytes(b'{"n": 1')
    assert receipts.read("a") is None
    receipts.write("a", {"n": 2})
    assert [each.name for each in directory.iterdir()] == ["a.json"]
