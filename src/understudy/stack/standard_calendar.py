"""The drills that a stack file declares, with the usual ones where it takes them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from understudy.stack.models import CalendarDrill, CalendarSettings, Scenario, Stack
from understudy.stack.values import PERIODS


@dataclass(frozen=True, slots=True)
class DeclaredDrill:
    """As ``CalendarDrill``, with what it leaves to the calendar."""

    name: str
    scenario: Scenario
    resources: tuple[str, ...]
    """Empty: what the scenario takes where there is no choice."""
    every: str
    timezone: str
    window: str | None
    """None: at any time."""
    max_duration: timedelta
    priority: str
    repository: str | None
    opened_with: str | None
    """A reference."""


def drills_of(stack: Stack) -> Mapping[str, DeclaredDrill]:
    """By name; what is declared under the name of a usual one stands in its place."""
    usual = _usual(stack) if stack.calendar.standard else {}
    return {name: _whole(name, drill, stack.calendar) for name, drill in {**usual, **stack.drills}.items()}


def _whole(name: str, drill: CalendarDrill, calendar: CalendarSettings) -> DeclaredDrill:
    return DeclaredDrill(
        name=name,
        scenario=drill.scenario,
        resources=drill.resources,
        every=drill.every,
        timezone=drill.timezone or calendar.timezone,
        window=drill.window or (calendar.window if drill.every in PERIODS else None),
        max_duration=drill.max_duration or calendar.max_duration,
        priority=drill.priority,
        repository=drill.repository,
        opened_with=None if drill.identity is None else str(drill.identity),
    )


def _usual(stack: Stack) -> dict[str, CalendarDrill]:
    drilled = {name: each for name, each in stack.resources.items() if each.kind != "bucket" or each.drill.url is not None}
    databases = [name for name, each in drilled.items() if each.kind == "postgres"]
    found: dict[str, CalendarDrill] = {}
    for name in drilled:
        scenario = Scenario.DATABASE_CORRUPTION if name in databases else Scenario.STORAGE_LOSS
        found[f"daily-{name}"] = CalendarDrill(scenario=scenario, resources=(name,), every="daily", priority="P3")
    for name in databases:
        found[f"monthly-{name}"] = CalendarDrill(scenario=Scenario.DATA_LOSS, resources=(name,), every="monthly")
    if drilled:
        everything = CalendarDrill(scenario=Scenario.COMPLETE_FAILURE, resources=tuple(drilled), every="quarterly", priority="P1")
        found["quarterly-everything"] = everything
    return found
