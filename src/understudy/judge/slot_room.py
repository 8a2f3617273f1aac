"""How near a server is to giving up the slot that keeps WAL for the receiver. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from understudy.ports.database import SlotFacts
from understudy.vocabulary.wal import Lsn

_UNRESERVED = frozenset({"unreserved", "lost"})
"""The manual, ``pg_replication_slots``: the next checkpoint may remove what an unreserved slot needs."""
_SHORT_BELOW = 0.25


@dataclass(frozen=True, slots=True)
class SlotRoom:
    wal_status: str
    active: bool
    """Whether somebody streams from it now."""
    kept_bytes: int | None
    """What the server keeps for it; None: nothing is reserved."""
    room_bytes: int | None
    """How much more may be written before it is given up; None: without a limit, or given up already."""

    @property
    def is_short(self) -> bool:
        """Whether somebody has to do something now: less than a quarter of what the server would keep is left."""
        if self.wal_status in _UNRESERVED:
            return True
        if self.room_bytes is None or self.kept_bytes is None:
            return False
        return self.room_bytes < _SHORT_BELOW * (self.room_bytes + self.kept_bytes)


def slot_room(slot: SlotFacts, flushed: Lsn) -> SlotRoom:
    """``flushed``: how far the server has written."""
    kept = None if slot.restart_lsn is None else flushed.bytes_since(slot.restart_lsn)
    room = slot.safe_wal_size_bytes
    return SlotRoom(slot.wal_status, slot.active, kept, None if room is None else max(0, room))
