"""How far a warm copy is behind what the repository holds. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from understudy.vocabulary.wal import Lsn


@dataclass(frozen=True, slots=True)
class Stored:
    """How far the WAL in the repository was seen to reach, at a moment of the clock that nobody sets."""

    at_seconds: float
    reaches: Lsn


@dataclass(frozen=True, slots=True)
class WarmLag:
    size_bytes: int
    duration: timedelta
    """Since the oldest of it was first seen in the repository; zero where nothing is left to replay."""


def warm_lag(stored: Sequence[Stored], replayed: Lsn, now_seconds: float) -> WarmLag:
    """``stored``: ascending in time and in position; the last is the newest."""
    ahead = [each for each in stored if each.reaches > replayed]
    if not ahead:
        return WarmLag(0, timedelta())
    since_seconds = max(0.0, now_seconds - ahead[0].at_seconds)
    return WarmLag(ahead[-1].reaches.bytes_since(replayed), timedelta(seconds=since_seconds))


def still_needed(stored: Sequence[Stored], replayed: Lsn | None) -> tuple[Stored, ...]:
    """What ``warm_lag`` will ask for again: nothing that was replayed, but always the newest."""
    if replayed is None:
        return tuple(stored)
    ahead = tuple(each for each in stored if each.reaches > replayed)
    return ahead or tuple(stored[-1:])
