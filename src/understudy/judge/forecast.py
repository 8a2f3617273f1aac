"""When the recovery time will pass its objective, by what drills measured and how the data grew. Pure.

Each phase of a recovery is a fixed time and a time for each byte: of the data (restore, verify), or of the WAL (replay); the
others are fixed. Slopes are medians of the slopes between all pairs (Theil and Sen), which few drills on a busy host do not move;
their range is Sen's confidence interval of 90 %. What too few measurements can tell is not told.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from understudy.vocabulary.phases import Phase

LEAST_DRILLS = 5
LEAST_SIZES = 5
LEAST_SPAN = timedelta(days=14)
"""Of the sizes: what grew within a few days may shrink on Sunday."""
HORIZON = timedelta(days=5 * 365)
"""Further ahead nothing is said but that it is further ahead."""

_BY_SIZE = (Phase.RESTORE, Phase.VERIFY)
_LEFT_OUT = (Phase.DETECT, Phase.WAITING)
"""They wait for persons, and for other resources."""
_LEAST_SPREAD = 0.1
"""As a part of the largest. Sizes nearer to one another do not tell what is fixed from what grows with them."""
_90_PERCENT = 1.645


class Outlook(StrEnum):
    UNKNOWN = "unknown"
    MISSED_NOW = "missed_now"
    WILL_BE_MISSED = "will_be_missed"
    NOT_IN_SIGHT = "not_in_sight"
    """Not within ``HORIZON``."""


@dataclass(frozen=True, slots=True)
class MeasuredRestore:
    """A drill or a recovery that came to its end."""

    at: datetime
    phases: Mapping[Phase, timedelta]
    size_bytes: int
    wal_bytes: int = 0


@dataclass(frozen=True, slots=True)
class SizeSeen:
    at: datetime
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """The likeliest value, and the range in which it lies."""

    low: float
    likely: float
    high: float


@dataclass(frozen=True, slots=True)
class Forecast:
    outlook: Outlook
    why: str
    """Why no more is known: ``too_few_drills``, ``too_few_sizes``, ``sizes_of_too_short_a_time``; empty where all is."""
    drills: int
    sizes: int
    objective: timedelta
    size_bytes: int | None
    """Now: the newest that was seen."""
    recovery_seconds: Estimate | None
    """With the data of now."""
    seconds_per_gib: Estimate | None
    slope_known: bool
    """Whether the sizes differed enough to tell what grows with them. If not, all is taken to, and the range begins at none."""
    growth_bytes_per_day: Estimate | None
    missed_on: datetime | None
    """The likeliest moment at which the objective is passed; None: not within ``HORIZON``, or unknown."""
    earliest: datetime | None
    latest: datetime | None
    """None: perhaps never within ``HORIZON``."""


@dataclass(frozen=True, slots=True)
class _Line:
    fixed: float
    slope: float

    def at(self, x: float) -> float:
        return self.fixed + self.slope * x


@dataclass(frozen=True, slots=True)
class _Fit:
    low: _Line
    likely: _Line
    high: _Line
    known: bool


def forecast(restores: Sequence[MeasuredRestore], sizes: Sequence[SizeSeen], objective: timedelta, now: datetime) -> Forecast:
    """Whatever their order. One of a later moment than ``now`` is of a clock that ran ahead, and counts as of now."""
    seen = sorted(sizes, key=lambda each: each.at)
    if len(restores) < LEAST_DRILLS:
        return _unknown("too_few_drills", restores, sizes, objective)
    data = [float(each.size_bytes) for each in restores]
    wal = [float(each.wal_bytes) for each in restores]
    by_size = _fit(data, [_seconds(each, _BY_SIZE) for each in restores])
    replay = _fit(wal, [_seconds(each, (Phase.REPLAY,)) for each in restores])
    others = [phase for phase in Phase if phase not in (*_BY_SIZE, Phase.REPLAY, *_LEFT_OUT)]
    fixed = statistics.median(_seconds(each, others) for each in restores) + replay.likely.at(statistics.median(wal))
    totals = [_seconds(each, [phase for phase in Phase if phase not in _LEFT_OUT]) for each in restores]
    apart = sorted(total - fixed - by_size.likely.at(size) for total, size in zip(totals, data, strict=True))
    below, above = min(0.0, _quantile(apart, 0.1)), max(0.0, _quantile(apart, 0.9))
    newest = float(seen[-1].size_bytes) if seen else float(max(restores, key=lambda each: each.at).size_bytes)

    def total_at(size: float) -> Estimate:
        likely = fixed + by_size.likely.at(size)
        ends = [fixed + line.at(size) for line in (by_size.low, by_size.high)]
        return Estimate(max(0.0, min(*ends, likely) + below), likely, max(*ends, likely) + above)

    growth, why = _growth(seen)
    gib = float(2**30)
    slopes = Estimate(by_size.low.slope * gib, by_size.likely.slope * gib, by_size.high.slope * gib)
    today, limit = total_at(newest), objective.total_seconds()
    expected = earliest = latest = None
    if growth is not None:
        expected = _passes(lambda size: total_at(size).likely, newest, growth.likely, limit, now)
        earliest = _passes(lambda size: total_at(size).high, newest, growth.high, limit, now)
        latest = _passes(lambda size: total_at(size).low, newest, growth.low, limit, now)
    if today.likely > limit:
        outlook, expected = Outlook.MISSED_NOW, now
    elif growth is None:
        outlook = Outlook.UNKNOWN
    else:
        outlook = Outlook.NOT_IN_SIGHT if expected is None else Outlook.WILL_BE_MISSED
    return Forecast(
        outlook=outlook,
        why=why,
        drills=len(restores),
        sizes=len(sizes),
        objective=objective,
        size_bytes=int(newest),
        recovery_seconds=today,
        seconds_per_gib=slopes,
        slope_known=by_size.known,
        growth_bytes_per_day=growth,
        missed_on=expected,
        earliest=earliest,
        latest=latest,
    )


def _growth(seen: Sequence[SizeSeen]) -> tuple[Estimate | None, str]:
    """In bytes per day."""
    if len(seen) < LEAST_SIZES:
        return None, "too_few_sizes"
    if seen[-1].at - seen[0].at < LEAST_SPAN:
        return None, "sizes_of_too_short_a_time"
    days = [(each.at - seen[0].at) / timedelta(days=1) for each in seen]
    slopes = _slopes(days, [float(each.size_bytes) for each in seen])
    low, high = _interval(slopes, len(seen))
    return Estimate(low, statistics.median(slopes), high), ""


def _fit(xs: Sequence[float], ys: Sequence[float]) -> _Fit:
    largest = max(xs)
    if largest <= 0 or largest - min(xs) < _LEAST_SPREAD * largest:
        flat = _Line(statistics.median(ys), 0.0)
        if largest <= 0:
            return _Fit(flat, flat, flat, known=False)
        proportional = _Line(0.0, statistics.median(ys) / statistics.median(xs))
        return _Fit(flat, proportional, proportional, known=False)
    slopes = _slopes(xs, ys)
    low, high = _interval(slopes, len(xs))
    return _Fit(_line(low, xs, ys), _line(statistics.median(slopes), xs, ys), _line(high, xs, ys), known=True)


def _line(slope: float, xs: Sequence[float], ys: Sequence[float]) -> _Line:
    """Nothing is restored in less than no time, and more of it never sooner."""
    slope = max(0.0, slope)
    fixed = statistics.median(y - slope * x for x, y in zip(xs, ys, strict=True))
    if fixed >= 0:
        return _Line(fixed, slope)
    return _Line(0.0, statistics.median(y / x for x, y in zip(xs, ys, strict=True) if x > 0))


def _slopes(xs: Sequence[float], ys: Sequence[float]) -> list[float]:
    pairs = itertools.combinations(zip(xs, ys, strict=True), 2)
    return sorted((two[1] - one[1]) / (two[0] - one[0]) for one, two in pairs if one[0] != two[0])


def _interval(slopes: Sequence[float], points: int) -> tuple[float, float]:
    """Sen 1968: the slopes between these ranks hold the true one in nine of ten cases."""
    reach = _90_PERCENT * math.sqrt(points * (points - 1) * (2 * points + 5) / 18)
    last = len(slopes) - 1
    low = math.floor((len(slopes) - reach) / 2)
    high = math.ceil((len(slopes) + reach) / 2)
    return slopes[min(max(low, 0), last)], slopes[min(max(high, 0), last)]


def _passes(total: Callable[[float], float], size: float, growth: float, limit: float, now: datetime) -> datetime | None:
    """When the total passes the limit, if the size grows so; what passes it already does so now."""
    if total(size) > limit:
        return now
    horizon_days = HORIZON / timedelta(days=1)
    if growth <= 0 or total(size + growth * horizon_days) <= limit:
        return None
    sooner, later = 0.0, horizon_days
    for _ in range(60):
        between = (sooner + later) / 2
        sooner, later = (between, later) if total(size + growth * between) <= limit else (sooner, between)
    return now + timedelta(days=later)


def _seconds(restore: MeasuredRestore, phases: Sequence[Phase]) -> float:
    return sum(restore.phases[phase].total_seconds() for phase in phases if phase in restore.phases)


def _quantile(ordered: Sequence[float], part: float) -> float:
    return ordered[round(part * (len(ordered) - 1))]


def _unknown(why: str, restores: Sequence[MeasuredRestore], sizes: Sequence[SizeSeen], objective: timedelta) -> Forecast:
    newest = max(sizes, key=lambda each: each.at).size_bytes if sizes else None
    return Forecast(
        Outlook.UNKNOWN, why, len(restores), len(sizes), objective, newest, None, None, False, None, None, None, None
    )  # fmt: skip
