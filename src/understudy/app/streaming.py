"""The stream beside a command: who streams before it, and what it leaves running. The WAL receiver outlives it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from understudy.app.carrying_out import serving_pid
from understudy.app.installation import Installation
from understudy.ports.database import SlotHolder
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import ResourceName

_LOOKS_AT_SLOT = 100
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class LeftStreaming:
    receiver_pid: int
    spool: Path
    slot: str
    synchronous: bool
    """The server's commits may wait for it."""


def left_streaming(installation: Installation, resource: str) -> LeftStreaming | None:
    """None where ``serve`` looks after it, or nothing runs."""
    name = ResourceName(resource)
    receiver = installation.receiver_pid(name)
    if receiver is None or serving_pid(installation.state) is not None:
        return None
    synchronous = installation.postgres(name).wal.synchronous
    return LeftStreaming(receiver, installation.spool_directory(name), installation.stack.slot_of(name), synchronous)


def require_free_slot(installation: Installation, name: ResourceName) -> None:
    """Whether another controller's receiver streams through the slot of ours: looked at before anything is taken over from it.

    A receiver that ended a moment ago may still be connected, as the server sees it.

    Raises:
        Refusal: ``slot_in_use``; and what the database raises.
    """
    if installation.receiver_pid(name) is not None:
        return
    slot_name, database = installation.stack.slot_of(name), installation.databases[name]
    holder: SlotHolder | None = None
    for _ in range(_LOOKS_AT_SLOT):
        slot = database.slot(slot_name)
        if slot is None or not slot.active:
            return
        holder = slot.holder
        installation.clock.wait(_LOOK_SECONDS)
    raise _in_use(slot_name, database.address, holder)


def _in_use(slot: str, address: str, holder: SlotHolder | None) -> Refusal:
    process = f" (process {holder.pid} of the server)" if holder is not None else ""
    dead = f": SELECT pg_terminate_backend({holder.pid})" if holder is not None else ""
    return Refusal(
        "slot_in_use",
        found=f"{holder or 'somebody'} streams through the replication slot {slot} of {address}{process}; nothing was taken over",
        expected="that whoever is taken over from has ended, its WAL receiver too",
        hint="there, end understudy serve, then the receiver (its process: understudy status), and take over again. If its host "
        f"is gone, the server lets go of the slot after wal_sender_timeout, or at once with{dead or ' pg_terminate_backend'}",
    )
