"""When the slot that keeps WAL gets short of room."""

import pytest

from understudy.judge.slot_room import SlotRoom, slot_room
from understudy.ports.database import SlotFacts
from understudy.vocabulary.wal import Lsn


@pytest.mark.parametrize(
    ("status", "restart", "safe", "kept", "room", "short"),
    [
        ("reserved", 900, 900, 100, 900, False),
        ("extended", 300, 300, 700, 300, False),
        ("extended", 200, 200, 800, 200, True),
        ("unreserved", 0, -50, 1000, 0, True),
        ("lost", None, None, None, None, True),
        ("extended", 0, None, 1000, None, False),
        ("", None, None, None, None, False),
    ],
    ids=["plenty", "more than a quarter", "less than a quarter", "unreserved", "lost", "without a limit", "nothing reserved"],
)
def test_a_slot_is_short_of_room_when_less_than_a_quarter_of_what_would_be_kept_is_left(status, restart, safe, kept, room, short):
    slot = SlotFacts("orders", False, None if restart is None else Lsn(restart), status, safe, None)
    found = slot_room(slot, Lsn(1000))
    assert found == SlotRoom(status, False, kept, room)
    assert found.is_short is short
