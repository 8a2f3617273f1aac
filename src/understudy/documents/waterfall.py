"""Where the bars of a timeline lie: pure geometry, in seconds from its beginning and in units of the drawing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from understudy.documents.reported import RecordedRun
from understudy.records.run import StepRecord
from understudy.vocabulary.identifiers import StepKey
from understudy.vocabulary.phases import Phase

NARROWEST = 1.5
"""No bar is narrower, so that a step of a millisecond is seen."""
_MARKS_AT_MOST = 8
_NICE_SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
_ROOM_FOR_THE_OBJECTIVE = 1.5
"""How much longer than what happened the axis may become for the line of the objective; else the line is beyond the frame."""


@dataclass(frozen=True, slots=True)
class Bar:
    """What a step took, from its first attempt on."""

    step: StepRecord
    number: int
    """Of its run within the request, from 1."""
    phase: Phase | None
    """None where this version cannot read the plan."""
    tried_at: timedelta
    """When it was begun first; earlier than ``start`` where a passing fault held it up."""
    start: timedelta
    """When the attempt began that ended it."""
    end: timedelta
    open_end: bool
    """Whether it was still under way when the page was made."""


@dataclass(frozen=True, slots=True)
class BarGroup:
    """The steps of one resource, in the order in which they began."""

    resource: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """Seconds from the beginning, drawn from ``left`` on over ``width``."""

    seconds: float
    left: float
    width: float

    def x(self, at: timedelta) -> float:
        return self.left + self.width * at.total_seconds() / self.seconds

    def span(self, start: timedelta, end: timedelta) -> tuple[float, float]:
        """Left edge and width of a bar: within the frame, and never so narrow that it is not seen."""
        edge = self.left + self.width
        begin = min(max(self.left, self.x(start)), edge)
        width = max(min(edge, self.x(end)) - begin, NARROWEST)
        return min(begin, edge - width), width

    def holds(self, at: timedelta) -> bool:
        return 0 <= at.total_seconds() <= self.seconds

    def marks(self) -> list[timedelta]:
        """Round times, at most a handful."""
        nice = next((each for each in _NICE_SECONDS if self.seconds / each <= _MARKS_AT_MOST), None)
        step = nice if nice is not None else 86400.0 * -(-self.seconds // (86400 * _MARKS_AT_MOST))
        return [timedelta(seconds=number * step) for number in range(int(self.seconds / step + 1e-9) + 1)]


def grouped(runs: Sequence[RecordedRun], began: datetime, now: datetime) -> list[BarGroup]:
    """The steps of all runs of a request that were begun, by what they are about; those of the whole first.

    ``began``: what times count from. ``now``: where a step ends that has not ended.
    """
    groups: dict[str, list[Bar]] = {}
    for number, each in enumerate(runs, start=1):
        for step in each.steps:
            bar = _bar(step, number, each.phases, began, now)
            if bar is not None:
                groups.setdefault(step.key.partition("/")[0], []).append(bar)
    return [BarGroup(name, tuple(sorted(bars, key=_first))) for name, bars in groups.items()]


def axis_of(groups: Iterable[BarGroup], objective: timedelta | None, left: float, width: float) -> Axis:
    """Long enough for every bar; and for the line of the objective, where that does not leave the bars too little room."""
    ends = [bar.end for group in groups for bar in group.bars]
    seconds = max([each.total_seconds() for each in ends] + [0.001])
    if objective is not None and objective.total_seconds() <= seconds * _ROOM_FOR_THE_OBJECTIVE:
        seconds = max(seconds, objective.total_seconds())
    return Axis(seconds * 1.02, left, width)


def _bar(step: StepRecord, number: int, phases: Mapping[StepKey, Phase], began: datetime, now: datetime) -> Bar | None:
    """None of a step that was never begun: that it was left out took no time."""
    if step.attempts == 0 or step.started is None:
        return None
    evidence = step.evidence
    start = evidence.started if evidence is not None else step.started
    end = evidence.ended if evidence is not None else (step.ended or now)
    return Bar(
        step=step,
        number=number,
        phase=phases.get(step.key),
        tried_at=(min(step.started, start) if step.attempts > 1 else start) - began,
        start=start - began,
        end=max(end, start) - began,
        open_end=not step.state.is_final,
    )


def _first(bar: Bar) -> tuple[int, timedelta]:
    return bar.number, bar.tried_at
