"""What a server in recovery asked for: from it follows whether replay has come to the end of what there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from understudy.repository.fetch_wal_script import DELIVERED, NOT_THERE
from understudy.vocabulary.wal import is_segment_name

_STUCK_AFTER = 3
_FIELDS = 3


@dataclass(frozen=True, slots=True)
class WalRequest:
    """One call of ``restore_command``."""

    name: str
    answer: int
    """0 delivered, 44 not in the repositories, 255 a fault."""
    server: int = 0
    """Process id of the server's startup process: another one, another replay from the beginning."""

    @property
    def delivered(self) -> bool:
        return self.answer == DELIVERED

    @property
    def position(self) -> str | None:
        """The segment's number without its timeline, which sorts as text; None for a history file."""
        return self.name[8:] if is_segment_name(self.name) else None


def parse_requests(log: bytes) -> tuple[WalRequest, ...]:
    """The complete lines of the log; a line that was cut short (a full disk) counts for nothing."""
    text = log.decode(errors="replace")
    lines = (line.split(" ") for line in text.rpartition("\n")[0].splitlines())
    fields = (line for line in lines if len(line) == _FIELDS)
    return tuple(
        WalRequest(name, int(answer), int(server)) for name, answer, server in fields if answer.isdigit() and server.isdigit()
    )


def of_the_running_server(requests: Sequence[WalRequest]) -> Sequence[WalRequest]:
    """Those of the server that asked last. What an earlier one asked for proves nothing about its successor's replay."""
    newest = requests[-1].server if requests else 0
    return [request for request in requests if request.server == newest]


def end_reached(requests: Sequence[WalRequest], last_expected: str) -> bool:
    """Whether the server that asked last has read all that ``last_expected`` holds. Ask only once it accepts connections:
    before, the one that asked last may be its predecessor.

    Replay is one process that asks only when it has used up what it has. So it is at the end once it asks for a segment behind
    the last one; or, where the last one is a tail that ends in the middle, once it asks for that one again and again. It may have
    read ahead of what it replayed, and what it cannot read is the end only if its bytes say so: ``wal_records``.
    """
    own = of_the_running_server(requests)
    newest = next((request for request in reversed(own) if request.position is not None), None)
    if newest is None or newest.position is None:
        return False
    if newest.position > last_expected[8:]:
        return newest.answer == NOT_THERE
    return last_expected in asked_again(requests)


def stuck_at(requests: Sequence[WalRequest], last_expected: str) -> str | None:
    """A segment before the last that the server was given again and again: a record in it is invalid. None when it moves on."""
    again = asked_again(requests)
    return None if last_expected in again else min(again, default=None, key=lambda name: name[8:])


def asked_again(requests: Sequence[WalRequest]) -> frozenset[str]:
    """The segments that the server that asked last was given so often, with no new one between, that it is no restart.

    Several, where a record that it cannot read begins in one and goes on in the next.
    """
    seen: set[str] = set()
    since_new: Counter[str] = Counter()
    for request in of_the_running_server(requests):
        if request.position is None or not request.delivered:
            continue
        if request.name not in seen:
            seen.add(request.name)
            since_new.clear()
        since_new[request.name] += 1
    return frozenset(name for name, count in since_new.items() if count >= _STUCK_AFTER)
