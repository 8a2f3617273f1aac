"""Taking turns: every subject once a round, in an order that rotates, so that no one always comes first."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.ground import Ground

Figures = Mapping[str, float]
"""By quantity, unit last: ``wall s``, ``CPU s``, ``size MiB``."""

DISTURBED = "disturbed"
"""The quantity under which a subject states what share of the cores others used meanwhile."""


@dataclass(frozen=True, slots=True)
class Options:
    rounds: int
    scale: int


@dataclass(frozen=True, slots=True)
class Series:
    values: Mapping[tuple[str, str], tuple[float, ...]]
    """By (subject, quantity), a value for each round."""

    def of(self, subject: str, quantity: str = "wall s") -> tuple[float, ...]:
        return self.values[subject, quantity]

    def has(self, subject: str) -> bool:
        return any(name == subject for name, _ in self.values)


def take_turns(ground: Ground, rounds: int, subjects: Mapping[str, Callable[[int], Figures]]) -> Series:
    """Each subject is called with the round's number and does its own cleaning up; data leaves the page cache before each."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    names = list(subjects)
    for number in range(rounds):
        start = number % len(names)
        for name in names[start:] + names[:start]:
            ground.settle()
            figures = dict(subjects[name](number))
            ground.disturbed.append(figures.pop(DISTURBED, 0.0))
            shown = ", ".join(f"{quantity} {value:.2f}" for quantity, value in figures.items())
            print(f"  round {number + 1}/{rounds} {name}: {shown}", file=sys.stderr, flush=True)
            for quantity, value in figures.items():
                found[name, quantity].append(value)
    return Series({key: tuple(values) for key, values in found.items()})
