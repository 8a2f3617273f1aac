"""Which resources come back before which, where several are recovered together. Pure.

Invariant: nothing is begun before everything that it depends on serves, nor before everything more urgent serves or has failed;
and what the two of them do not order, runs at the same time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from understudy.vocabulary.identifiers import ResourceName


@dataclass(frozen=True, slots=True)
class Urgency:
    """What is declared of a resource."""

    priority: str
    """``P1`` before ``P2`` before ``P3``."""
    depends_on: tuple[ResourceName, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """When a resource's turn comes."""

    resource: ResourceName
    priority: str
    """Its own, or that of what depends on it, whichever is more urgent."""
    after: frozenset[ResourceName]
    """These must serve."""
    once_ended: frozenset[ResourceName]
    """These must serve or have failed."""


def recovery_order(declared: Mapping[ResourceName, Urgency], wanted: Sequence[ResourceName]) -> tuple[Turn, ...]:
    """The turns of what is wanted, none before one that it waits for; what is not wanted is taken to serve already.

    Raises:
        ValueError: the dependencies form a circle. A stack file has none.
    """
    turns: list[Turn] = []
    urgencies = {name: _urgency(declared, name, wanted) for name in wanted}
    left = sorted(wanted, key=lambda name: (urgencies[name], wanted.index(name)))
    while left:
        placed = {turn.resource for turn in turns}
        fitting = (name for name in left if _wanted_before(declared, name, wanted) <= placed)
        following = next(fitting, None)
        if following is None:
            raise ValueError(f"{', '.join(left)} depend on one another")
        left.remove(following)
        urgent = frozenset(other for other in wanted if urgencies[other] < urgencies[following])
        turns.append(Turn(following, urgencies[following], _wanted_before(declared, following, wanted), urgent))
    return tuple(turns)


def _wanted_before(
    declared: Mapping[ResourceName, Urgency], name: ResourceName, wanted: Sequence[ResourceName]
) -> frozenset[ResourceName]:
    return frozenset(declared[name].depends_on) & frozenset(wanted)


def _urgency(declared: Mapping[ResourceName, Urgency], name: ResourceName, wanted: Sequence[ResourceName]) -> str:
    """The most urgent of its own and of everything wanted that depends on it, however far away."""
    above, seen = [name], {name}
    for each in above:
        for other in wanted:
            if each in declared[other].depends_on and other not in seen:
                seen.add(other)
                above.append(other)
    return min(declared[each].priority for each in above)
