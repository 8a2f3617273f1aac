"""Medians, spreads and ratios. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, ...]:
    """Round by round, so that what disturbed both sides of a round cancels out.

    Raises ValueError when the two were not measured in the same rounds.
    """
    return tuple(mine / other for mine, other in zip(ours, theirs, strict=True))


def is_met(ratio: float, target: float, *, higher_is_better: bool) -> bool:
    return ratio >= target if higher_is_better else ratio <= target
