"""The draft of an incident record: what the records say in words, and what only people can say, left blank for them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from understudy.documents.course import bar_groups, counted_from
from understudy.documents.findings import faults, set_aside
from understudy.documents.layout import blanks, facts, paragraph, when
from understudy.documents.markup import Child, Markup, element
from understudy.documents.reported import ReportedRun
from understudy.documents.words import SINCE, duration, words
from understudy.judge.measured import MeasuredRecovery, MeasuredStack
from understudy.judge.run_measurement import ObjectiveVerdict
from understudy.records.run import StepRecord, StepState
from understudy.vocabulary.disruption import KnownBy

_TO_WRITE = (
    ("How it was noticed, and by whom", 2),
    ("Who was affected, and how", 2),
    ("Cause", 4),
    ("What went well", 3),
    ("What did not go well", 3),
)
_COLUMNS = ("What is to change", "Owner", "Due", "Tested again on")
_ROWS_TO_FILL = 4


def incident_record(reported: ReportedRun) -> Markup | None:
    """Only of a real recovery that touched something."""
    if reported.recorded.run.procedure != "recovery" or reported.touched_nothing:
        return None
    return element(
        "section",
        element("h2", "Incident record"),
        paragraph(element("span", "Draft, to be written by a person", class_="stamp")),
        paragraph(
            "What is printed here was taken from the records. What is blank nobody has said yet: the records do not know it."
        ),
        element("h3", "In figures"),
        _figures(reported),
        element("h3", "What happened, from the records"),
        element("ol", (element("li", each) for each in _story(reported))),
        element("h3", "Questions that the records leave open"),
        _open_questions(reported),
        [(element("h3", title), blanks(lines)) for title, lines in _TO_WRITE],
        element("h3", "What is to change"),
        _table_to_fill(),
        element("h3", "Written by, on"),
        blanks(1),
        class_="draft",
    )


def _figures(reported: ReportedRun) -> Markup:
    measured = reported.measured
    out_of_service: Child = "not known"
    if measured is not None:
        taken = measured.measurement.recovery_time
        out_of_service = duration(taken) if taken is not None else "not recovered when the run ended"
    return facts(
        [
            ("lost since", when(counted_from(reported))),
            ("out of service for", out_of_service),
            ("work lost, at most", _lost(measured)),
            ("recovered by", reported.recorded.run.run),
        ]
    )


def _lost(measured: MeasuredRecovery | MeasuredStack | None) -> Child:
    if measured is None:
        return "not known"
    parts = measured.parts.values() if isinstance(measured, MeasuredStack) else (measured,)
    return "; ".join(f"{part.resource}: {_lost_of(part)}" for part in parts)


def _lost_of(part: MeasuredRecovery) -> str:
    if not part.is_kept:
        return "keeps nothing"
    if part.recovery_point is None:
        return "an earlier state was asked for"
    return duration(part.recovery_point.loss) if part.recovery_point.loss is not None else "not known"


def _story(reported: ReportedRun) -> Iterator[Child]:
    """In order of time."""
    told: list[tuple[datetime, Child]] = []
    if reported.measured is not None:
        counted = reported.measured.disruption
        told.append((counted.at, f"The service counts as lost: {SINCE[counted.known_by]}."))
    for each in reported.all_runs:
        told.append((each.run.submitted, f"Run {each.run.run} of {each.run.procedure} {each.run.subject} was begun."))
        for step in each.steps:
            if step.approval is not None:
                told.append((step.approval.at, f"{step.approval.by} agreed to what {step.key} asked."))
        if each.run.ended is not None:
            told.append((each.run.ended, f"Run {each.run.run} ended: {words(each.run.state.value)}."))
    began = counted_from(reported)
    for group in bar_groups(reported):
        for bar in group.bars:
            if bar.step.state.is_final:
                told.append((began + bar.end, _ended(bar.step)))
    if reported.measured is not None and reported.measured.measurement.recovery_time is not None:
        validated = reported.measured.disruption.at + reported.measured.measurement.recovery_time
        told.append((validated, element("b", "The service was validated: the recovery time ends here.")))
    for at, what in sorted(told, key=lambda each: each[0]):
        yield [when(at), f" (+{duration(at - began)}): " if at >= began else ": ", what]


def _ended(step: StepRecord) -> str:
    if step.error is not None:
        return f"{step.key} {words(step.state.value)}: {step.error.code}: {step.error.found}"
    claim = step.evidence.claim if step.evidence is not None else "no evidence"
    return f"{step.key} {'had nothing to do' if step.state is StepState.SKIPPED else 'ended'}: {claim}."


def _open_questions(reported: ReportedRun) -> Markup:
    questions = list(_questions(reported))
    if not questions:
        return paragraph("None that follow from the records.")
    return element("ul", (element("li", each, blanks(1)) for each in questions))


def _questions(reported: ReportedRun) -> Iterator[str]:
    """What the records themselves show that they do not know, or that somebody has still to do."""
    measured = reported.measured
    if measured is None:
        yield "What did the recovery come to? It was not measured."
    else:
        if measured.disruption.known_by is KnownBy.COMMAND:
            yield "Since when was the service really lost? The records know only when the command was begun."
        parts = measured.parts.values() if isinstance(measured, MeasuredStack) else (measured,)
        for part in parts:
            if part.recovery_point is not None and part.recovery_point.verdict is ObjectiveVerdict.UNKNOWN:
                yield f"Was work of {part.resource} lost? Nothing that came back tells."
            for repository in part.unprotected:
                yield f"When is {part.resource} protected in {repository} again, which was away?"
        if measured.measurement.verdict is ObjectiveVerdict.MISSED:
            yield "Why was the objective for the recovery time missed?"
    for where, error in faults(reported):
        yield f"Why did {where} meet {error.code}?"
    for each in reported.all_runs:
        for step in each.steps:
            by = step.evidence.proof.get("overridden_by") if step.evidence is not None else None
            if by:
                yield f"Why did {by} go on although the old server still answered?"
    for resource, what in set_aside(reported):
        yield f"Until when is what was set aside of {resource} kept, and who removes it ({what})?"


def _table_to_fill() -> Markup:
    head = element("tr", (element("th", each, scope="col") for each in _COLUMNS))
    row = element("tr", (element("td", class_="blank-cell") for _ in _COLUMNS))
    made = element(
        "table", element("caption", "To be filled in"), element("thead", head), element("tbody", [row] * _ROWS_TO_FILL)
    )
    return element("div", made, class_="wide")
