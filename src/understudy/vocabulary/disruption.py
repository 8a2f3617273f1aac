"""Since when a service has been lost, and who says so: what the time and the loss of a recovery count from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class KnownBy(StrEnum):
    PERSON = "person"
    """Somebody said so: ``recover --since``."""
    WATCH = "watch"
    """``serve`` saw the server answer then, and not any more."""
    COMMAND = "command"
    """Nobody knows better: the command was begun then."""
    COPIES = "copies"
    """Of a drilled application: what it depends on, which a real failure would have left alone, had been brought up then."""


@dataclass(frozen=True, slots=True)
class Disruption:
    """Times bear an offset."""

    at: datetime
    """From here on counts what the recovery took."""
    known_by: KnownBy
    latest: datetime
    """Work may have been committed until here: equal to ``at``, but where a watch looks only every now and then."""

    @classmethod
    def exactly(cls, at: datetime, known_by: KnownBy) -> Disruption:
        return cls(at, known_by, at)


def disruption_to_json(disruption: Disruption) -> dict[str, str]:
    return {
        "at": disruption.at.isoformat(),
        "known_by": disruption.known_by.value,
        "latest": disruption.latest.isoformat(),
    }


def disruption_from_json(value: Mapping[str, object]) -> Disruption:
    """Raises ValueError or KeyError: a newer version wrote it."""
    return Disruption(
        at=datetime.fromisoformat(str(value["at"])),
        known_by=KnownBy(str(value["known_by"])),
        latest=datetime.fromisoformat(str(value["latest"])),
    )
