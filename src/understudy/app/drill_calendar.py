"""The calendar of drills: how each that the stack file declares stands, and what the calendar remembers of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

from understudy.app.drill_history import DrillHeld, DrillHistory, DrillResult, about
from understudy.app.installation import Installation
from understudy.plan.drill_calendar import CalendarEntry, next_turn, standing
from understudy.records.run import RecordedError
from understudy.records.state_database import as_state_faults
from understudy.stack.standard_calendar import DeclaredDrill, drills_of
from understudy.vocabulary.identifiers import RunId
from understudy.vocabulary.json import Json, JsonObject

_SUBJECT = "drills"
_REMEMBERED = 20
"""Attempts. A period has no more than a few."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A drill that the calendar has begun."""

    run: RunId
    """The first of its request."""
    began: datetime


@dataclass(frozen=True, slots=True)
class CalendarMemory:
    """What the calendar keeps of a drill from one look to the next."""

    since: datetime
    """When it saw the drill declared first."""
    attempts: tuple[Attempt, ...] = ()
    """Oldest first."""
    fault: RecordedError | None = None
    """Why the last could not begin, as long as none has since."""


@dataclass(frozen=True, slots=True)
class DrillStatus:
    name: str
    scenario: str
    resources: tuple[str, ...]
    """Empty: the stack file leaves a choice, and the drill can't be held."""
    every: str
    timezone: str
    window: str | None
    max_duration: timedelta
    last: DrillHeld | None
    """The newest that fits, whoever held it and whatever came of it."""
    last_passed: DrillHeld | None
    period_from: datetime
    period_until: datetime
    met: bool
    """Whether one that passed began in this period."""
    overdue_since: datetime | None
    overdue: timedelta | None
    """By how long."""
    next: datetime | None
    """When ``serve`` begins the next one; None: not before the stack file has changed, or a person has held one."""
    cannot_begin: RecordedError | None
    """Why the last one could not begin."""


def calendar_status(installation: Installation) -> tuple[DrillStatus, ...]:
    """In the order of the stack file. From the records alone: no server and no store is asked."""
    history = DrillHistory(installation)
    return tuple(drill_status(installation, history, declared) for declared in drills_of(installation.stack).values())


def drill_status(installation: Installation, history: DrillHistory, declared: DeclaredDrill) -> DrillStatus:
    now, entry, resources = installation.clock.now(), entry_of(declared), about(installation, declared)
    noted = remembered(installation, declared.name)
    fitting = history.fitting(declared, resources)
    stands = standing(entry, now, [each.began for each in fitting if each.passed], noted.since if noted else None)
    return DrillStatus(
        name=declared.name,
        scenario=declared.scenario.value,
        resources=tuple(resources),
        every=declared.every,
        timezone=declared.timezone,
        window=declared.window,
        max_duration=declared.max_duration,
        last=next(iter(fitting), None),
        last_passed=next((each for each in fitting if each.passed), None),
        period_from=stands.period.start,
        period_until=stands.period.end,
        met=stands.met,
        overdue_since=stands.overdue_since,
        overdue=None if stands.overdue_since is None else now - stands.overdue_since,
        next=turn_of(declared, now, fitting, noted),
        cannot_begin=noted.fault if noted else None,
    )


def turn_of(
    declared: DeclaredDrill, now: datetime, fitting: Sequence[DrillHeld], noted: CalendarMemory | None
) -> datetime | None:
    """When the calendar begins it next. One that is under way is no reason to begin another."""
    attempts = [each.began for each in noted.attempts] if noted else []
    attempts += [each.began for each in fitting if each.result is DrillResult.UNDER_WAY]
    passed = [each.began for each in fitting if each.passed]
    return next_turn(entry_of(declared), now, passed, attempts, noted.since if noted else None)


def entry_of(declared: DeclaredDrill) -> CalendarEntry:
    return CalendarEntry(declared.name, declared.every, declared.timezone, declared.window)


def remembered(installation: Installation, name: str) -> CalendarMemory | None:
    """None: the calendar has not seen it yet; or what it noted cannot be read, and it sees the drill anew from now on."""
    seen = installation.records.observed(_SUBJECT, name)
    try:
        return None if seen is None else _memory_of(seen.value)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _memory_of(noted: JsonObject) -> CalendarMemory:
    fault = cast("JsonObject | None", noted["fault"])
    attempts = cast("Sequence[JsonObject]", noted["attempts"])
    return CalendarMemory(
        datetime.fromisoformat(str(noted["since"])),
        tuple(Attempt(RunId(str(each["run"])), datetime.fromisoformat(str(each["began"]))) for each in attempts),
        None if fault is None else _fault_of(fault),
    )


def _fault_of(told: JsonObject) -> RecordedError:
    return RecordedError(str(told["code"]), str(told["found"]), str(told["expected"]), str(told["hint"]))


def remember(installation: Installation, name: str, what: CalendarMemory) -> None:
    """Raises GiveUp ``state_unwritable``."""
    attempts: list[Json] = [{"run": each.run, "began": each.began.isoformat()} for each in what.attempts[-_REMEMBERED:]]
    fault = what.fault
    told: JsonObject | None = None
    if fault is not None:
        told = {"code": fault.code, "found": fault.found, "expected": fault.expected, "hint": fault.hint}
    with as_state_faults():
        installation.records.observe(
            _SUBJECT, name, {"since": what.since.isoformat(), "attempts": attempts, "fault": cast(Json, told)}
        )


def remember_attempt(installation: Installation, name: str, attempt: Attempt) -> None:
    """Raises GiveUp ``state_unwritable``."""
    before = remembered(installation, name) or CalendarMemory(attempt.began)
    remember(installation, name, replace(before, attempts=(*before.attempts, attempt), fault=None))
