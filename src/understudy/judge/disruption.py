"""Since when the service was lost, by what a person says, what a watch saw, and when the command was begun.

A recovery's time counts from the earliest moment at which the service can have been lost, its loss from the latest: so both are
upper bounds. The two lie as far apart as two looks of the watch, which are half a second and one answer apart while it runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from understudy.vocabulary.disruption import Disruption, KnownBy

TOLD_JUST_NOW = timedelta(seconds=5)
"""A watch tells about once a second what it sees."""
LONGEST_LOOK = timedelta(minutes=2)
"""At a host that does not answer at all, a look takes as long as its time-outs, and until then nothing more is told."""
LONGEST_BLINDNESS = timedelta(minutes=10)
"""A restart of the watch's host. What happened while nobody looked for longer than that, nobody knows."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What a watch saw of one server, also of one that is gone by now."""

    answered: datetime | None = None
    """When it answered last."""
    silent: datetime | None = None
    """The end of the first look behind that at which nobody was reached; None where there was no such look."""

    def saw_answer(self, at: datetime) -> Watched:
        return Watched(answered=at)

    def saw_silence(self, at: datetime) -> Watched:
        return self if self.silent is not None else Watched(self.answered, at)


def disruption_of(began: datetime, told: datetime | None, watched: Watched, reported: datetime | None) -> Disruption:
    """
    Args:
        began: When the command was begun.
        told: What a person said.
        watched: What the watch saw, as of ``reported``; None where nobody ever watched.
    """
    if told is not None:
        return Disruption.exactly(told, KnownBy.PERSON)
    at_the_start = Disruption.exactly(began, KnownBy.COMMAND)
    answered, silent = watched.answered, watched.silent
    if answered is None or reported is None or answered >= began:
        return at_the_start
    if silent is None and began - reported <= TOLD_JUST_NOW:
        return at_the_start  # it answers yet: the loss is one that a server survives
    if max((silent or reported) - answered, began - reported) > LONGEST_BLINDNESS:
        return at_the_start
    looks_still = began - reported <= LONGEST_LOOK
    latest = silent if silent is not None and looks_still else began
    return Disruption(answered, KnownBy.WATCH, max(answered, latest))


def beside_a_server_that_lives(known: Disruption, watched: Watched) -> Disruption:
    """Of a recovery whose old server was found alive: a watch that ended without having seen silence tells of no loss.

    Args:
        known: By ``disruption_of``.
        watched: As there.
    """
    if known.known_by is not KnownBy.WATCH or watched.silent is not None:
        return known
    return Disruption.exactly(known.latest, KnownBy.COMMAND)
