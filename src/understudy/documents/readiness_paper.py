"""The readiness checklist as a document: a table for each area, whose ticks are measurements."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from understudy.documents.paper import Chapter, Grid, Lines, Paper, Said, Text, Tone, Verbatim, Verdict
from understudy.judge.readiness import Area, Readiness, ReadinessLine, is_ready

KIND = "Readiness checklist"
_MARKS = {
    Readiness.MET: ("✓ met", Tone.GOOD),
    Readiness.NOT_MET: ("✗ not met", Tone.BAD),
    Readiness.UNKNOWN: ("? unknown", Tone.OPEN),
    Readiness.NOT_BUILT: ("not built", Tone.SOFT),
}


def readiness_paper(stack: str, lines: Sequence[ReadinessLine], made: datetime, version: str) -> Paper:
    counts = {state: sum(line.state is state for line in lines) for state in Readiness}
    told = ", ".join(f"{count} {_MARKS[state][0].lstrip('✓✗? ')}" for state, count in counts.items() if count)
    tone = Tone.GOOD if is_ready(lines) else Tone.BAD if counts[Readiness.NOT_MET] else Tone.OPEN
    return Paper(
        kind=KIND,
        title=f"{KIND}: {stack}",
        about=(
            Verdict(f"{told}.", tone),
            Lines(
                "Each tick is a measurement, with the run whose evidence says so. What was not measured is unknown, and not met."
            ),
        ),
        chapters=tuple(_chapter(area, [line for line in lines if line.area is area]) for area in Area),
        made=made,
        made_by_version=version,
        subject=stack,
    )


def _chapter(area: Area, lines: Sequence[ReadinessLine]) -> Chapter:
    headings = ("About", "What is asked", "State", "Measured", "Evidence")
    return Chapter(area.value.capitalize(), (Grid(headings, tuple(map(_row, lines)), f"Readiness: {area.value}"),))


def _row(line: ReadinessLine) -> tuple[Text, ...]:
    evidence: Text = [Verbatim(line.run) if line.run else None, " of " if line.run and line.at else None, line.at]
    return line.subject or "the whole", line.asks, Said(*_MARKS[line.state]), line.found, evidence
