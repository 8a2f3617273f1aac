"""When each stored unit was read last outlives the process, and is forgotten with what is stored."""

import sqlite3

import pytest

from understudy.adapters.clock.system import SystemClock
from understudy.ports.readings import Found, ReadFault
from understudy.records.records import Records
from understudy.records.state_database import MIGRATIONS
from understudy.vocabulary.identifiers import RepositoryName, ResourceName, RunId

NEAR, ORDERS = RepositoryName("near"), ResourceName("orders")
FAULT = ReadFault("part_corrupt", "SHA-256 1", "SHA-256 2", "use another", ("20261127-030000F",))


@pytest.fixture
def readings(tmp_path):
    return Records(tmp_path, SystemClock()).readings


def test_what_was_read_is_known_to_the_next_process(tmp_path, readings):
    readings.refresh(NEAR, ORDERS, {"a": 1, "b": 2})
    readings.note(NEAR, ORDERS, [Found("a", 1), Found("b", 2, FAULT)], RunId("r"))
    a, b = Records(tmp_path, SystemClock()).readings.of(NEAR, ORDERS)
    assert (a.unit, a.size_bytes, a.run, a.fault, a.damaged_since) == ("a", 1, "r", None, None)
    assert (b.fault, b.damaged_since) == (FAULT, b.read)
    assert Records(tmp_path, SystemClock()).readings.of(RepositoryName("far"), ORDERS) == ()


def test_what_is_not_stored_any_more_is_forgotten_and_what_changed_its_size_was_never_read(readings):
    readings.note(NEAR, ORDERS, [Found("a", 1), Found("b", 2), Found("c", 3, FAULT)])
    readings.refresh(NEAR, ORDERS, {"a": 1, "c": 4, "d": 5})
    assert [(each.unit, each.read is None) for each in readings.of(NEAR, ORDERS)] == [("a", False), ("c", True), ("d", True)]
    assert [each.unit for each in readings.damaged(NEAR, ORDERS)] == ["c"], "it was not read whole since"
    assert [size for size, _ in readings.in_turn(NEAR)] == [4, 5, 1]


def test_damage_is_dated_by_when_it_was_found_first_until_it_is_read_whole(readings):
    readings.note(NEAR, ORDERS, [Found("a", 1, FAULT)])
    (first,) = readings.damaged(NEAR, ORDERS)
    readings.note(NEAR, ORDERS, [Found("a", 1, FAULT)])
    (again,) = readings.damaged(NEAR, ORDERS)
    assert again.damaged_since == first.damaged_since
    assert again.read > first.read
    readings.note(NEAR, ORDERS, [Found("a", None), Found("unknown", None)])
    assert readings.damaged(NEAR, ORDERS) == ()
    assert [each.unit for each in readings.of(NEAR, ORDERS)] == ["a"]


def test_a_state_directory_from_before_is_lifted(tmp_path):
    Records(tmp_path, SystemClock()).close()
    with sqlite3.connect(tmp_path / "state.db") as earlier:
        earlier.execute("DROP TABLE readings")
        earlier.execute(f"PRAGMA user_version = {len(MIGRATIONS) - 1}")
    assert Records(tmp_path, SystemClock()).readings.of(NEAR, ORDERS) == ()
