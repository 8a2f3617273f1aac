"""The incident record of a real recovery: what the records say in words, and what only people can say, left blank for them.

One content stands at the end of the run's page, as a draft, and by itself as a document. It is made of signed evidence and of
findings alone, so that it comes out the same whenever it is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from understudy.documents.course import bar_groups, counted_from
from understudy.documents.findings import faults, set_aside
from understudy.documents.markup import Markup, element
from understudy.documents.paper import (
    Block,
    Chapter,
    FillIn,
    Grid,
    Lines,
    Pairs,
    Paper,
    Points,
    Room,
    Said,
    Text,
    Tone,
    Verbatim,
    Verdict,
)
from understudy.documents.paper_html import block
from understudy.documents.reported import ReportedRun
from understudy.documents.verdicts import headline_words
from understudy.documents.words import SINCE, duration, words
from understudy.judge.measured import MeasuredRecovery, MeasuredStack
from understudy.judge.run_measurement import ObjectiveVerdict
from understudy.records.findings import FindingRecord
from understudy.records.run import StepRecord, StepState
from understudy.vocabulary.disruption import KnownBy

KIND = "Incident record"
_STAMP = "Draft, to be written by a person"
_BLANK = "What is printed here was taken from the records. What is blank nobody has said yet: the records do not know it."
_TO_WRITE = (
    ("How it was noticed, and by whom", 2),
    ("Who was affected, and how", 2),
    ("Cause", 4),
    ("What went well", 3),
    ("What did not go well", 3),
)
_COLUMNS = ("What is to change", "Owner", "Due", "Tested again on")
_ROWS_TO_FILL = 4


def has_incident(reported: ReportedRun) -> bool:
    """Only a real recovery that touched something has one."""
    return reported.recorded.run.procedure == "recovery" and not reported.touched_nothing


def incident_record(reported: ReportedRun) -> Markup | None:
    """The draft at the end of the run's page."""
    if not has_incident(reported):
        return None
    stamp = element("p", element("span", _STAMP, class_="stamp"))
    inside = [block(each) for each in _chapters(reported)]
    return element("section", element("h2", KIND), stamp, block(Lines(_BLANK)), inside, class_="draft")


def incident_paper(reported: ReportedRun) -> Paper:
    """By itself; of a run that has an incident. It is dated by the end of the run, not by when it was printed."""
    run = reported.recorded.run
    said, tone = headline_words(reported)
    return Paper(
        kind=KIND,
        title=f"{KIND}: {reported.stack}, {words(run.subject)}",
        about=(
            Verdict(said, Tone(tone)),
            Lines(Said(_STAMP, Tone.OPEN)),
            Lines(_BLANK),
            Pairs(
                (
                    ("recovered by", Verbatim(run.run)),
                    ("scenario", words(run.subject)),
                    ("state", words(run.state.value)),
                    ("last link in the chain of evidence", Verbatim(reported.chain.last_digest or "none")),
                    ("to verify it", Verbatim(reported.verify)),
                )
            ),
        ),
        chapters=tuple(_chapters(reported)),
        made=run.ended or reported.made,
        made_by_version=reported.understudy_version or reported.made_by_version,
        subject=run.run,
    )


def _chapters(reported: ReportedRun) -> Iterator[Chapter]:
    yield Chapter("In figures", (_figures(reported),))
    yield Chapter("Detection and decision", (Pairs(tuple(_decisions(reported))),))
    yield Chapter("What happened, from the records", (Points(tuple(_story(reported)), numbered=True),))
    yield Chapter("Questions that the records leave open", tuple(_open_questions(reported)))
    for title, lines in _TO_WRITE:
        yield Chapter(title, (Room(lines),))
    yield Chapter("What is to change", (*_follow_ups(reported.findings), FillIn(_COLUMNS, _ROWS_TO_FILL, "To be filled in")))
    yield Chapter("Written by, on", (Room(1),))


def _figures(reported: ReportedRun) -> Pairs:
    measured = reported.measured
    out_of_service = "not known"
    if measured is not None:
        taken = measured.measurement.recovery_time
        out_of_service = duration(taken) if taken is not None else "not recovered when the run ended"
    objective = "not known" if measured is None else duration(measured.objectives.rto)
    return Pairs(
        (
            ("lost since", counted_from(reported)),
            ("out of service for", out_of_service),
            ("work lost, at most", _lost(measured)),
            ("objective for the recovery time", objective),
            ("recovered by", reported.recorded.run.run),
        )
    )


def _decisions(reported: ReportedRun) -> Iterator[tuple[str, Text]]:
    measured = reported.measured
    first = reported.all_runs[0].run
    yield ("the service counts as lost", SINCE[measured.disruption.known_by] if measured is not None else "not known")
    yield "recovery begun", [first.submitted, f" (run {first.run})"]
    agreed = [(step.approval, step) for each in reported.all_runs for step in each.steps if step.approval is not None]
    if not agreed:
        yield "agreed to by", "nobody was asked"
    for approval, step in agreed:
        if approval is not None:
            yield "agreed to by", [approval.by, " at ", approval.at, ": ", Said(step.approval_question or step.key, Tone.SOFT)]
    for each in reported.all_runs:
        for step in each.steps:
            by = step.evidence.proof.get("overridden_by") if step.evidence is not None else None
            if by:
                yield "gone on although the old server answered", str(by)
    yield "asked to stop by", reported.recorded.run.cancel_requested_by or "nobody"


def _lost(measured: MeasuredRecovery | MeasuredStack | None) -> str:
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


def _story(reported: ReportedRun) -> Iterator[Text]:
    """In order of time."""
    told: list[tuple[datetime, str | Said]] = []
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
        told.append((validated, Said("The service was validated: the recovery time ends here.", Tone.GOOD)))
    for at, what in sorted(told, key=lambda each: each[0]):
        yield [at, f" (+{duration(at - began)}): " if at >= began else ": ", what]


def _ended(step: StepRecord) -> str:
    if step.error is not None:
        return f"{step.key} {words(step.state.value)}: {step.error.code}: {step.error.found}"
    claim = step.evidence.claim if step.evidence is not None else "no evidence"
    return f"{step.key} {'had nothing to do' if step.state is StepState.SKIPPED else 'ended'}: {claim}."


def _open_questions(reported: ReportedRun) -> Iterator[Block]:
    questions = list(_questions(reported))
    if not questions:
        yield Lines("None that follow from the records.")
    for each in questions:
        yield Room(1, each)


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


def _follow_ups(findings: tuple[FindingRecord, ...]) -> Iterator[Block]:
    if findings:
        rows = tuple(finding_row(each) for each in findings)
        yield Grid(("Finding", "What is to change", "Owner", "Due", "Tested again"), rows, "Findings of this recovery")


def finding_row(finding: FindingRecord) -> tuple[Text, ...]:
    return Verbatim(finding.finding), finding.text, finding.owner, finding.due.isoformat(), tested_again(finding)


def tested_again(finding: FindingRecord) -> Text:
    closing = finding.closing
    if closing is None:
        return Said("not yet", Tone.OPEN)
    if closing.retest is None:
        return f"closed without a retest by {closing.by}: {closing.reason}"
    return [Said("yes", Tone.GOOD), ", in ", Verbatim(closing.retest)]
