"""What a command leaves running: the WAL receiver outlives it, and the slot keeps WAL on the server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from understudy.app.carrying_out import serving_pid
from understudy.app.installation import Installation
from understudy.vocabulary.identifiers import ResourceName


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
    synchronous = installation.resource(name).wal.synchronous
    return LeftStreaming(receiver, installation.spool_directory(name), installation.stack.slot_of(name), synchronous)
