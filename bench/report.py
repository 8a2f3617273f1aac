"""The results as text: a table for the terminal, and RESULTS.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bench.results import Compared, Measurement
from bench.statistics import Spread, is_met, ratios

_COMPARED = ("what", "median", "min–max", "target", "met")
_MEASURED = ("subject", "quantity", "median", "min–max", "rounds")


def terminal(measurement: Measurement) -> str:
    row = measurement.row
    lines = [f"\n{row.title}"]
    lines += _aligned([_MEASURED, *_measured(measurement)])
    if row.compared:
        lines += ["", *_aligned([_COMPARED, *_compared(row.compared)])]
    lines += [f"note: {note}" for note in row.notes]
    return "\n".join(lines)


def markdown(measurements: Mapping[str, Measurement], not_measured: Mapping[str, str], remarks: str = "") -> str:
    """The whole page.

    Args:
        not_measured: Rows that are not there, with the reason.
        remarks: Written by a person: what limits a row whose target was missed.
    """
    lines = ["# Benchmark results", "", _PREAMBLE, "", "## Against the targets", ""]
    summary = [cells for each in measurements.values() for cells in _compared(each.row.compared)]
    lines += _table(_COMPARED, summary)
    lines += ["", remarks.strip()] if remarks else []
    lines += ["", "## Not measured", "", *[f"- **{name}**: {reason}" for name, reason in not_measured.items()]]
    for measurement in measurements.values():
        lines += ["", f"## {measurement.row.title}", "", measurement.row.how, ""]
        lines += _table(_MEASURED, list(_measured(measurement)))
        if measurement.row.compared:
            lines += ["", *_table(_COMPARED, list(_compared(measurement.row.compared)))]
        lines += ["", *[f"- {note}" for note in measurement.row.notes]]
        lines += [f"- {name}: {value}" for name, value in measurement.circumstances.items()]
    return "\n".join(lines) + "\n"


_PREAMBLE = (
    "Written by `make bench`. Ratios are Understudy's figure over the other's, computed round by round within one "
    "run; the table shows their median and spread. Seconds belong to the machine they were measured on and mean "
    "nothing elsewhere. Subjects take turns within each round, in an order that rotates."
)


def _measured(measurement: Measurement) -> Iterator[tuple[str, ...]]:
    for each in measurement.row.measured:
        spread = Spread.of(each.values)
        yield each.subject, each.quantity, number(spread.median), _range(spread), str(len(each.values))


def _compared(compared: Sequence[Compared]) -> Iterator[tuple[str, ...]]:
    for each in compared:
        spread = Spread.of(ratios(each.ours, each.theirs) if each.theirs is not None else each.ours)
        target = "" if each.target is None else f"{'≥' if each.higher_is_better else '≤'} {number(each.target)}"
        met = "" if each.target is None else _verdict(is_met(spread.median, each.target, higher_is_better=each.higher_is_better))
        yield each.what, number(spread.median), _range(spread), target, met


def _verdict(met: bool) -> str:
    return "yes" if met else "no"


def number(value: float) -> str:
    """Three digits that mean something; whole numbers as such."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def _range(spread: Spread) -> str:
    return f"{number(spread.least)}–{number(spread.most)}"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return [f"| {' | '.join(cells)} |" for cells in (headings, ["---"] * len(headings), *escaped)]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
