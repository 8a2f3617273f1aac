"""Drawings as SVG within the page: the timeline of each resource, and recovery times held against their objectives.

Sizes are in units of the drawing, which is ``WIDTH`` wide; on paper and on a screen it is as wide as the page. Colours stand in
the elements, so that they are there where the style sheet is not applied; the style sheet changes them in the dark.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from understudy.documents.markup import Child, Markup, element, raw_element
from understudy.documents.palette import class_of, colour_of
from understudy.documents.waterfall import Axis, Bar, BarGroup
from understudy.documents.words import duration, phase_name, words
from understudy.records.run import StepState
from understudy.vocabulary.phases import Phase

WIDTH = 760.0
LEFT = 196.0
FRAME = 470.0
"""How wide bars may be; what is left is for what stands behind them."""
ROW = 18.0
_BAR = 11.0
_HEAD = 20.0
_LINE = 13.0
_LONGEST_NAME = 30
_LEAST = timedelta(milliseconds=1)
_ROOM_BESIDE = 2.0
"""How many times longer than the times and the objective the scale of gauges may become for what is told beside them."""


@dataclass(frozen=True, slots=True)
class UprightLine:
    """A moment that goes through all rows."""

    at: timedelta
    name: str
    kind: str
    """``objective``, ``target`` or ``validated``: how it looks."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """A recovery time and what it is held against."""

    name: str
    took: timedelta | None
    """None where it is not recovered."""


def timeline(group: BarGroup, axis: Axis, lines: Sequence[UprightLine], runs: int) -> Markup:
    """A row for each step. ``runs``: how many runs the request has, so that rows say which one is meant."""
    head = _HEAD + _LINE * len(lines)
    height = head + ROW * len(group.bars) + 4
    rows = [_row(bar, axis, head + ROW * number, runs) for number, bar in enumerate(group.bars)]
    title = f"Timeline of {'the whole' if group.resource == 'stack' else group.resource}"
    return _svg(height, title, _told(group), _scale(axis, head, height), rows, _lines(axis, lines, height))


def gauges(rows: Sequence[Gauge], lines: Sequence[UprightLine]) -> Markup:
    """Bars of recovery times on one scale, on which the objectives are lines.

    The scale holds every time and the objective; another line lies beyond the drawing where it would leave them too little room.
    """
    ends = [row.took for row in rows if row.took is not None] + [line.at for line in lines if line.kind == "objective"]
    needed = max(each.total_seconds() for each in [*ends, _LEAST])
    beside = [line.at.total_seconds() for line in lines if line.at.total_seconds() <= needed * _ROOM_BESIDE]
    axis = Axis(max([needed, *beside]) * 1.05, LEFT, FRAME)
    head = _HEAD + _LINE * len(lines)
    height = head + ROW * len(rows) + 4
    told = "; ".join(f"{row.name}: {_taken(row)}" for row in rows)
    told += "; " + "; ".join(f"{line.name} at {duration(line.at)}" for line in lines)
    bars = [_gauge(row, axis, head + ROW * number) for number, row in enumerate(rows)]
    return _svg(height, "Recovery times against their objectives", told, _scale(axis, head, height), bars,
                _lines(axis, lines, height))  # fmt: skip


def swatch(phase: Phase) -> Markup:
    """A colour of the legend; what it means stands beside it."""
    box = element("rect", width=12, height=12, rx=2, class_=class_of(phase), fill=colour_of(phase))
    attributes: dict[str, str | float | None] = {"viewBox": "0 0 12 12", "width": 12, "height": 12, "aria-hidden": "true"}
    return raw_element("svg", attributes, box)


def _svg(height: float, title: str, told: str, *drawn: Child) -> Markup:
    attributes: dict[str, str | float | None] = {
        "viewBox": f"0 0 {WIDTH:g} {height:g}",
        "role": "img",
        "aria-label": f"{title}. {told}",
        "class": "drawing",
        "font-family": "sans-serif",
        "font-size": 11,
    }
    return raw_element("svg", attributes, element("title", title), element("desc", told), *drawn)


def _scale(axis: Axis, head: float, height: float) -> Iterator[Markup]:
    marks = axis.marks()
    for mark in marks:
        x = _n(axis.x(mark))
        yield element("line", class_="grid", x1=x, x2=x, y1=_n(head - 4), y2=_n(height), stroke="#d5d9e0")
        yield _text(x, 11, _mark(mark, marks), "axis", anchor="middle")


def _lines(axis: Axis, lines: Sequence[UprightLine], height: float) -> Iterator[Markup]:
    for number, line in enumerate(lines):
        y = _HEAD + _LINE * number + 6
        said = f"{line.name} {duration(line.at)}"
        if not axis.holds(line.at):
            yield _text(_n(axis.left + axis.width), _n(y), f"{said}: beyond this drawing →", f"label {line.kind}", anchor="end")
            continue
        x = axis.x(line.at)
        is_right = x > axis.left + axis.width / 2
        colour = "#b3261e" if line.kind == "objective" else "#14806a" if line.kind == "validated" else "#8a6d00"
        dashes = None if line.kind == "validated" else "5 3"
        yield element("line", class_=f"upright {line.kind}", x1=_n(x), x2=_n(x), y1=_n(y - 8), y2=_n(height), stroke=colour,
                      stroke_width=1.5, stroke_dasharray=dashes)  # fmt: skip
        beside = x - 4 if is_right else x + 4
        yield _text(_n(beside), _n(y), said, f"label {line.kind}", anchor="end" if is_right else "start")


def _row(bar: Bar, axis: Axis, top: float, runs: int) -> Iterator[Markup]:
    name = bar.step.key.partition("/")[2]
    named = f"{name} · run {bar.number}" if runs > 1 else name
    yield _text(_n(axis.left - 8), _n(top + 13), _shortened(named), "name", anchor="end")
    x, width = axis.span(bar.start, bar.end)
    if bar.tried_at < bar.start:
        tried, _ = axis.span(bar.tried_at, bar.start)
        yield element("rect", class_="tried", x=_n(tried), y=_n(top + 8), width=_n(max(x - tried, 0)), height=3, fill="#b4b9c2")
    phase = "" if bar.phase is None else f", {phase_name(bar.phase)}"
    failed = " failed" if bar.step.state in (StepState.FAILED, StepState.CANCELLED) else ""
    yield element(
        "rect",
        element("title", f"{named}{phase}: from {duration(bar.start)} to {duration(bar.end)}"),
        class_=f"bar {class_of(bar.phase)}{failed}",
        x=_n(x),
        y=_n(top + 3.5),
        width=_n(width),
        height=_n(_BAR),
        fill=colour_of(bar.phase),
        stroke="#b3261e" if failed else None,
        stroke_width=1.5 if failed else None,
    )
    yield _text(_n(x + width + 5), _n(top + 13), _ending(bar), f"took{failed}")


def _gauge(row: Gauge, axis: Axis, top: float) -> Iterator[Markup]:
    yield _text(_n(axis.left - 8), _n(top + 13), _shortened(row.name), "name", anchor="end")
    x, width = axis.span(timedelta(), row.took) if row.took is not None else (axis.left, 0.0)
    if row.took is not None:
        yield element("rect", class_="gauge", x=_n(x), y=_n(top + 3.5), width=_n(width), height=_n(_BAR), fill="#1f6fb2")
    yield _text(_n(x + width + 5), _n(top + 13), _taken(row), "took" if row.took is not None else "took failed")


def _taken(row: Gauge) -> str:
    return duration(row.took) if row.took is not None else "not recovered"


def _ending(bar: Bar) -> str:
    took = duration(bar.end - bar.start)
    return took if bar.step.state is StepState.SUCCEEDED else f"{took} · {words(bar.step.state.value)}"


def _told(group: BarGroup) -> str:
    first, last = min(bar.tried_at for bar in group.bars), max(bar.end for bar in group.bars)
    longest = max(group.bars, key=lambda bar: bar.end - bar.start)
    return (
        f"{len(group.bars)} steps from {duration(first)} to {duration(last)}; the longest is "
        f"{longest.step.key.partition('/')[2]} with {duration(longest.end - longest.start)}. The table of steps has all."
    )


def _text(x: float | str, y: float | str, said: str, kind: str, *, anchor: str = "start") -> Markup:
    return element("text", said, class_=kind, x=x, y=y, text_anchor=anchor, fill="#1b1e24")


def _mark(at: timedelta, marks: Sequence[timedelta]) -> str:
    """Short: the unit is that of the scale."""
    seconds, last = at.total_seconds(), marks[-1].total_seconds()
    if last < 120:
        return f"{seconds:g} s"
    if last < 7200:
        return f"{seconds / 60:g} min"
    return f"{seconds / 3600:g} h"


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _n(value: float) -> str:
    """To a hundredth of a unit, which nobody sees."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
