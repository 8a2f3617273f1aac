"""The state database on a real disk that is full."""

import sqlite3

import pytest

from tests.servers.tiny_disk import filled, tiny_file_system
from understudy.adapters.clock.system import SystemClock
from understudy.records.controller_lock import ControllerLock
from understudy.records.receipts import FileReceipts
from understudy.records.records import Records
from understudy.records.state_database import as_state_faults
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import RunId

__all__ = ["tiny_file_system"]

LARGE = {"value": "x" * 4_000_000}


def test_a_full_disk_is_told_as_such_and_everything_goes_on_once_there_is_room(tiny_file_system):
    records = Records(tiny_file_system / "state", SystemClock())
    records.observe("orders", "exposure", {"value": 1})
    with filled(tiny_file_system):
        with pytest.raises(sqlite3.OperationalError, match="full"):
            records.observe("orders", "exposure", LARGE)
        with pytest.raises(GiveUp) as told, as_state_faults():
            records.observe("orders", "exposure", LARGE)
        assert not records.observe_if_possible("orders", "exposure", LARGE)
        assert not records.is_writable()
        assert records.observed("orders", "exposure").value == {"value": 1}
    assert told.value.code == "state_unwritable"
    assert "df -h" in told.value.hint
    assert records.is_writable()
    records.observe("orders", "exposure", {"value": 2})
    assert records.observed("orders", "exposure").value == {"value": 2}
    records.close()


def test_a_controller_that_finds_no_room_for_its_name_says_so_and_leaves_the_lock_free(tiny_file_system):
    lock = ControllerLock(tiny_file_system)
    lock.acquire()
    lock.release()
    with filled(tiny_file_system), pytest.raises(GiveUp) as told:
        lock.acquire()
    assert told.value.code == "state_unwritable"
    lock.acquire()
    lock.release()


def test_a_receipt_that_finds_no_room_says_so(tiny_file_system):
    receipts = FileReceipts(tiny_file_system / "state", RunId("r1"))
    receipts.write("there", {"value": 1})
    with filled(tiny_file_system), pytest.raises(GiveUp) as told:
        receipts.write("more", LARGE)
    assert told.value.code == "state_unwritable"
    assert receipts.read("there") == {"value": 1}
    assert receipts.read("more") is None
