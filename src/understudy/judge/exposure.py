"""How much acknowledged work would be lost if the server and this host were gone now.

Exposure is the age of the oldest commit that is in no repository yet. Nobody sees commits as they happen; what is known are
samples of how far the WAL was safe on the server. From them follows an upper bound, never an estimate: the oldest unsafe commit
is younger than the newest sample that the repositories cover.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from understudy.vocabulary.wal import Lsn, Timeline


@dataclass(frozen=True, slots=True)
class WalPosition:
    timeline: Timeline
    lsn: Lsn


@dataclass(frozen=True, slots=True)
class WalSample:
    """How far the WAL was safe on the server at a moment that lies between asking and being answered: the moment of asking."""

    asked: datetime
    flushed: WalPosition


class ExposureGap(StrEnum):
    """Why exposure is unknown."""

    NEVER_SAMPLED = "never_sampled"
    """Nothing is known of the server's WAL."""
    NOTHING_SAFE = "nothing_safe"
    """No repository holds WAL of this server."""
    OLDER_THAN_SAMPLES = "older_than_samples"
    """What the repositories hold ends before the oldest sample that is kept."""
    WENT_BACKWARDS = "went_backwards"
    """One timeline was seen at an earlier position than before: the server was replaced or set back."""


@dataclass(frozen=True, slots=True)
class SetBack:
    """A server was seen at an earlier position than before. What is stored of this timeline is other work than what follows."""

    seen: datetime
    timeline: Timeline


@dataclass(frozen=True, slots=True)
class KnownExposure:
    seconds: float
    """At most so old is the oldest commit that would be lost."""
    size_bytes: int | None
    """WAL on the server that is in no repository, as of the newest sample; None across a change of timeline."""


@dataclass(frozen=True, slots=True)
class UnknownExposure:
    gap: ExposureGap
    at_least_seconds: float
    """The bound is at least this; 0 when nothing can be said."""


Exposure = KnownExposure | UnknownExposure


def exposure(samples: Sequence[WalSample], safe: WalPosition | None, now: datetime) -> Exposure:
    """
    Args:
        samples: In the order in which they were taken; older ones than the repositories' position may be dropped, all but one.
        safe: The position up to which every byte of WAL is in enough repositories.
        now: Not before any sample.
    """
    if not samples:
        return UnknownExposure(ExposureGap.NEVER_SAMPLED, 0.0)
    oldest_seconds = (now - samples[0].asked).total_seconds()
    if safe is None:
        return UnknownExposure(ExposureGap.NOTHING_SAFE, oldest_seconds)
    if _went_backwards(samples):
        return UnknownExposure(ExposureGap.WENT_BACKWARDS, oldest_seconds)
    covered = newest_covered(samples, safe)
    if covered is None:
        return UnknownExposure(ExposureGap.OLDER_THAN_SAMPLES, oldest_seconds)
    newest = samples[-1].flushed
    return KnownExposure(
        seconds=(now - covered.asked).total_seconds(),
        size_bytes=newest.lsn.bytes_since(safe.lsn) if newest.timeline == safe.timeline else None,
    )


def newest_covered(samples: Sequence[WalSample], safe: WalPosition) -> WalSample | None:
    """The newest sample of which all WAL is safe: every commit before it is."""
    return next((sample for sample in reversed(samples) if _covers(safe, sample.flushed)), None)


def _covers(safe: WalPosition, flushed: WalPosition) -> bool:
    """Positions of two timelines say nothing about one another: the same number can be other work."""
    return safe.timeline == flushed.timeline and safe.lsn >= flushed.lsn


def _went_backwards(samples: Sequence[WalSample]) -> bool:
    furthest: dict[Timeline, Lsn] = {}
    for sample in samples:
        position = sample.flushed
        if position.lsn < furthest.get(position.timeline, position.lsn):
            return True
        furthest[position.timeline] = position.lsn
    return False
