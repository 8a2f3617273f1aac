"""Which stored units are read back next, so that all of them are in turn. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from understudy.plan.plan import Hold, HoldKind, Mode, Plan, PlannedStep, Procedure
from understudy.steps.read_back import ReadBack
from understudy.vocabulary.identifiers import PlanId, RepositoryName, ResourceName

EVERYTHING = "everything"
"""What such a run is about: all that is stored."""

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class UnitFacts:
    """One unit of one repository."""

    resource: ResourceName
    unit: str
    size_bytes: int
    read: datetime | None
    """When it was read last; None: never as it is now."""


@dataclass(frozen=True, slots=True)
class StoredFacts:
    """What one repository holds of one resource, as far as it could be asked."""

    repository: RepositoryName
    resource: ResourceName
    kind: str
    """Of the resource: ``postgres``, ``files``, ``bucket``."""
    units: tuple[UnitFacts, ...]
    goes_on: tuple[str, ...] = ()
    """Labels of backups behind which the rules ask for all WAL."""
    lost: tuple[str, ...] = ()
    """Labels of what the records say was completed there, and which is not there any more, though no rule let it go."""


@dataclass(frozen=True, slots=True)
class ReadingFacts:
    plan_id: PlanId
    stack_digest: str
    budget_bytes: int
    """For each repository."""
    stored: tuple[StoredFacts, ...]


def in_turn(units: Iterable[UnitFacts]) -> list[UnitFacts]:
    """Those that were never read first, then what was not read for longest; of several alike by name."""
    return sorted(units, key=lambda each: (each.read or _NEVER, each.resource, each.unit))


def choose(units: Iterable[UnitFacts], budget_bytes: int) -> list[UnitFacts]:
    """As many as the budget allows, in turn; the first also where it is larger than that.

    Nothing is passed over because something smaller behind it would still fit: else what is large would wait for ever.
    """
    chosen: list[UnitFacts] = []
    left = budget_bytes
    for each in in_turn(units):
        if chosen and each.size_bytes > left:
            break
        chosen.append(each)
        left -= each.size_bytes
    return chosen


def runs_needed(sizes_bytes: Iterable[int], budget_bytes: int) -> int:
    """How many runs read units of these sizes once, in this order, if nothing is added."""
    runs = left = 0
    for size_bytes in sizes_bytes:
        if runs == 0 or size_bytes > left:
            runs, left = runs + 1, budget_bytes
        left -= size_bytes
    return runs


def plan_reading_back(facts: ReadingFacts) -> Plan | None:
    """A step for each resource in each repository, also where nothing is to be read: each looks for what is missing altogether.

    The budget is each repository's own: what one store holds more of makes the turn of no other longer, and a store that is away
    takes nothing from the others. None: nothing is stored anywhere.
    """
    chosen = {
        repository: choose((unit for each in facts.stored if each.repository == repository for unit in each.units),
                           facts.budget_bytes)
        for repository in dict.fromkeys(each.repository for each in facts.stored)
    }  # fmt: skip
    steps = [
        ReadBack(
            resource=each.resource,
            kind=each.kind,
            repository=each.repository,
            units=as_ranges(
                [unit.unit for unit in each.units],
                frozenset(unit.unit for unit in chosen[each.repository] if unit.resource == each.resource),
            ),
            goes_on=each.goes_on,
            lost=each.lost,
        )
        for each in facts.stored
    ]
    if not steps:
        return None
    return Plan(
        id=facts.plan_id,
        procedure=Procedure.VERIFICATION,
        mode=Mode.ROUTINE,
        subject=EVERYTHING,
        steps=tuple(PlannedStep(step) for step in steps),
        holds=frozenset({Hold("reading-back", HoldKind.EXCLUSIVE)}),
        stack_digest=facts.stack_digest,
    )


def as_ranges(all_units: Iterable[str], chosen: frozenset[str]) -> tuple[str, ...]:
    """The chosen ones as ``first`` or ``first..last`` of what lies between by name: WAL is many units with names in a row."""
    ranges: list[str] = []
    first = last = None
    for unit in [*sorted(all_units), None]:
        if unit in chosen:
            first, last = first or unit, unit
        elif first is not None:
            ranges.append(first if first == last else f"{first}..{last}")
            first = last = None
    return tuple(ranges)
