"""How a run went: the timeline as a drawing, the steps as a table, and what each of them proved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from understudy.documents.drawing import FRAME, LEFT, UprightLine, swatch, timeline
from understudy.documents.layout import facts, paragraph, proof_list, section, table, when
from understudy.documents.markup import Child, Markup, element
from understudy.documents.reported import ReportedRun
from understudy.documents.waterfall import Bar, BarGroup, axis_of, grouped
from understudy.documents.words import duration, phase_name, words
from understudy.records.run import StepRecord
from understudy.vocabulary.phases import Phase

ROWS_AT_MOST = 40
"""Of one drawing, so that it fits on a page of paper."""
_ON_TRIES = " A thin line before a bar is the time of earlier tries, which ended with a passing fault or with their process."
_OF_AN_ERROR = ("code", "found", "expected")


def counted_from(reported: ReportedRun) -> datetime:
    """Of a measured run the disruption; else the submission of the request's first run."""
    return reported.began if reported.measured is None else reported.measured.disruption.at


def bar_groups(reported: ReportedRun) -> list[BarGroup]:
    return grouped(reported.all_runs, counted_from(reported), reported.made)


def timeline_section(reported: ReportedRun) -> Markup:
    groups = bar_groups(reported)
    began = "the submission of the first run" if reported.measured is None else _origin(reported)
    if not groups:
        return section("Timeline", paragraph("No step was begun."))
    measured = reported.measured
    objective = measured.objectives.rto if measured is not None else None
    axis = axis_of(groups, objective, LEFT, FRAME)
    seen = objective is not None and axis.holds(objective)
    lines = [UprightLine(objective, "objective", "objective")] if objective is not None and seen else []
    validated = measured.measurement.recovery_time if measured is not None else None
    if validated is not None:
        lines.append(UprightLine(validated, "validated", "validated"))
    bars = [bar for group in groups for bar in group.bars]
    runs = len(reported.all_runs)
    drawn = [
        element("figure", element("figcaption", _caption(part, number)), timeline(part, axis, lines, runs))
        for group in groups
        for number, part in enumerate(_in_parts(group))
    ]
    return section(
        "Timeline",
        paragraph(f"Times count from {began}.{_ON_TRIES if any(bar.tried_at < bar.start for bar in bars) else ''}"),
        None
        if objective is None or seen
        else paragraph(f"The objective, {duration(objective)}, lies beyond what is drawn here; above, it is drawn to scale."),
        _legend(bars),
        drawn,
        _steps_table(bars, runs),
        _never_begun(reported),
    )


def proofs_section(reported: ReportedRun) -> Markup:
    """Every step with all that it proved, so that nothing need be believed."""
    return section(
        "Appendix: every step and its proof",
        paragraph("As the steps recorded it; the same stands in the evidence file, where it is signed."),
        [_proved(step) for step in reported.recorded.steps],
        class_="appendix",
    )


def _proved(step: StepRecord) -> Markup:
    evidence = step.evidence
    proof = {} if evidence is None else {
        name: value for name, value in evidence.proof.items() if step.error is None or name not in _OF_AN_ERROR
    }  # fmt: skip
    tries = f", {step.attempts} tries" if step.attempts > 1 else ""
    told: Child = None
    if step.error is not None:
        told = f"{step.error.code}: {step.error.found}" if step.error.code else step.error.found
    elif evidence is not None:
        told = evidence.claim
    note = evidence.hint if evidence is not None and step.error is None else ""
    return element(
        "div",
        element("h3", step.key, element("span", f" — {words(step.state.value)}{tries}", class_="soft")),
        paragraph(told) if told else None,
        proof_list(proof) if proof else None,
        paragraph(f"Note: {note}") if note else None,
        class_="step",
    )


def _origin(reported: ReportedRun) -> str:
    if reported.recorded.run.procedure != "recovery":
        return "the beginning of the drill"
    return "the moment since when the service counts as lost"


def _caption(group: BarGroup, part: int) -> str:
    name = "the whole" if group.resource == "stack" else group.resource
    return name if part == 0 else f"{name}, continued"


def _in_parts(group: BarGroup) -> Iterator[BarGroup]:
    for start in range(0, len(group.bars), ROWS_AT_MOST):
        yield BarGroup(group.resource, group.bars[start : start + ROWS_AT_MOST])


def _legend(bars: Sequence[Bar]) -> Markup:
    there = {bar.phase for bar in bars}
    rows = [element("li", swatch(phase), phase_name(phase)) for phase in Phase if phase in there]
    if None in there:
        rows.append(element("li", "grey: the phase is not known to this version"))
    return element("ul", rows, class_="legend", aria_label="Legend: colours of phases")


def _steps_table(bars: Sequence[Bar], runs: int) -> Markup:
    of_runs = ("Run",) if runs > 1 else ()
    rows = [
        (
            bar.step.key,
            *((str(bar.number),) if runs > 1 else ()),
            phase_name(bar.phase) if bar.phase is not None else "not known",
            duration(bar.start),
            duration(bar.end - bar.start),
            _ended(bar),
        )
        for bar in bars
    ]
    headings = ("Step", *of_runs, "Phase", "Began after", "Took", "Ended")
    return table(headings, rows, caption="The steps that were begun", numbers=("Run", "Began after", "Took"))


def _ended(bar: Bar) -> Child:
    said = words(bar.step.state.value)
    tries = f" ({bar.step.attempts} tries)" if bar.step.attempts > 1 else ""
    return element("b", f"{said}{tries}", class_="bad") if said in ("failed", "cancelled") else f"{said}{tries}"


def _never_begun(reported: ReportedRun) -> Child:
    left = [step for step in reported.recorded.steps if step.attempts == 0]
    if not left:
        return None
    rows = [(step.key, words(step.state.value), step.error.found if step.error is not None else "not known") for step in left]
    return table(("Step", "State", "Why"), rows, caption="Steps that were never begun")


def approvals_section(reported: ReportedRun) -> Markup:
    """Who agreed to what, and when."""
    asked = [
        (each.run.run, step)
        for each in reported.all_runs
        for step in each.steps
        if step.approval_question is not None
    ]  # fmt: skip
    if not asked:
        return section("Approval", paragraph("Nobody was asked: the plan asks nothing."))
    return section("Approval", [_agreed(run, step) for run, step in asked])


def _agreed(run: str, step: StepRecord) -> Markup:
    approval = step.approval
    return facts(
        [
            ("asked by", [step.key, f" of {run}"]),
            ("question", element("span", step.approval_question, class_="lines")),
            ("agreed by", element("b", approval.by) if approval is not None else "nobody"),
            ("agreed at", when(approval.at) if approval is not None else None),
        ]
    )
