"""What a drill or a recovery came to: the headline, each objective and its verdict, the phases, and the work that was lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from understudy.documents.drawing import Gauge, UprightLine, gauges
from understudy.documents.layout import facts, paragraph, section, table, verdict_mark, when
from understudy.documents.markup import Child, Markup, element
from understudy.documents.reported import ReportedRun
from understudy.documents.words import SINCE, SOURCES, duration, phase_name, words
from understudy.judge.measured import MeasuredRecovery, MeasuredStack
from understudy.judge.run_measurement import ObjectiveVerdict
from understudy.records.run import RunState

_NOT_JUDGED = element("span", "not judged", class_="soft")
_WHAT_COUNTS = "What the scenario sets counts; a tier's and what is aimed at are told beside it, and to miss them fails nothing."
_COUNTED_ONCE = "Every moment counts once: where steps of several phases ran at once, for the earliest of them."
Row = Sequence[Child]


def headline(reported: ReportedRun) -> Markup:
    """In one sentence how it ended, and whether that is good."""
    said, kind = headline_words(reported)
    return paragraph(said, class_=f"verdict {kind}")


def headline_words(reported: ReportedRun) -> tuple[str, str]:
    """The sentence, and whether it is ``good`` or ``bad`` news, or ``open``."""
    state, measured = reported.recorded.run.state, reported.measured
    if not state.is_final:
        return f"Not ended: {words(state.value)}. This page says how it stands, and is no evidence of an end.", "open"
    if reported.touched_nothing:
        return f"{'Refused' if state is RunState.FAILED else 'Called off'} before anything was touched.", "open"
    if state is RunState.CANCELLED:
        return "Cancelled before it was complete.", "bad"
    if state is RunState.FAILED:
        return f"Failed{_what_came_back(measured)}.", "bad"
    if measured is None:
        return ("Succeeded.", "good") if not reported.not_measured else ("Succeeded; not measured.", "open")
    if measured.met:
        return "Succeeded, and every objective was met.", "good"
    verdicts = [measured.measurement.verdict, *(point.verdict for part in _parts(measured) if (point := part.recovery_point))]
    if ObjectiveVerdict.MISSED in verdicts:
        return "Succeeded, and an objective was missed.", "bad"
    return "Succeeded; whether every objective was met is not known.", "open"


def _what_came_back(measured: MeasuredRecovery | MeasuredStack | None) -> str:
    """Of several resources; of one the word is enough."""
    if not isinstance(measured, MeasuredStack):
        return ""
    back = [name for name, part in measured.parts.items() if part.measurement.recovery_time is not None]
    missing = [name for name in measured.parts if name not in back]
    said = [f"{', '.join(back)} came back"] if back else []
    said += (
        [f"{', '.join(missing)} did not"] if missing and back else [f"{', '.join(missing)} did not come back"] if missing else []
    )
    return f": {'; '.join(said)}"


def objectives_section(reported: ReportedRun) -> Markup | None:
    """None of a run that has no objectives."""
    measured = reported.measured
    if measured is None:
        if not reported.not_measured:
            return None
        return section("Objectives", paragraph("Not measured: ", reported.not_measured))
    return section(
        "Objectives",
        table(
            ("What", "Set by", "Objective", "Came to", "Verdict"),
            list(_rows(measured)),
            caption="Each objective and its verdict",
            numbers=("Objective", "Came to"),
        ),
        gauges(list(_gauges(measured)), list(_objective_lines(measured))),
        paragraph(_WHAT_COUNTS, class_="soft"),
    )


def phases_section(reported: ReportedRun) -> Markup | None:
    measured = reported.measured
    if measured is None:
        return None
    whole = measured.measurement
    total = sum(whole.phases.values(), timedelta())
    rows: list[Row] = [(phase_name(phase), duration(took), _share(took, total)) for phase, took in whole.phases.items()]
    if whole.recovery_time is not None:
        rows.append(("recovery time", element("b", duration(whole.recovery_time)), ""))
    else:
        rows.append(("up to the last evidence; not recovered", element("b", duration(total)), ""))
    rows += [(f"{phase_name(phase)} (afterwards)", duration(took), "") for phase, took in whole.afterwards.items()]
    return section(
        "Where the time went",
        table(("Phase", "Took", "Share"), rows, caption="Time by phase", numbers=("Took", "Share")),
        _budgets(measured),
        paragraph(
            "Every moment counts once: where steps of several phases ran at once, for the earliest of them.", class_="soft"
        ),
    )


def _budgets(measured: MeasuredRecovery | MeasuredStack) -> Markup | None:
    if not isinstance(measured, MeasuredStack) or not measured.budgets:
        return None
    rows: list[Row] = [
        (each.of, duration(each.budget), duration(each.took), verdict_mark(each.verdict)) for each in measured.budgets
    ]
    caption = "What each part of it was given; to miss a budget fails nothing"
    return table(("Part", "Budget", "Took", "Verdict"), rows, caption=caption, numbers=("Budget", "Took"))


def loss_section(reported: ReportedRun) -> Markup | None:
    measured = reported.measured
    if measured is None:
        return None
    counted = measured.disruption
    told = [element("div", element("h3", part.resource), _loss(part)) for part in _parts(measured)]
    begins = "The service counts as lost since" if reported.recorded.run.procedure == "recovery" else "Counted from"
    since = paragraph(f"{begins} ", when(counted.at), f" ({SINCE[counted.known_by]}).")
    later = None
    if counted.latest != counted.at:
        later = paragraph("Work may have been committed until ", when(counted.latest), ", and the loss is counted until then.")
    return section("Work lost, and how that is known", since, later, told)


def _loss(part: MeasuredRecovery) -> Markup:
    point = part.recovery_point
    if not part.is_kept:
        return paragraph("It keeps nothing of its own, so nothing of it can be lost.")
    if point is None:
        return paragraph("An earlier state was asked for: what came after it was left out on purpose, and nothing is judged.")
    notes = paragraph(_why_unknown(part)) if point.verdict is ObjectiveVerdict.UNKNOWN else None
    told = facts(
        [
            ("work lost, at most", duration(point.loss) if point.loss is not None else "not known"),
            ("it is as of", when(point.at)),
            ("known", SOURCES[point.source]),
            ("objective", [duration(part.objectives.rpo), " ", verdict_mark(point.verdict)]),
        ]
    )
    return element("div", told, notes)


def _why_unknown(part: MeasuredRecovery) -> str:
    if part.recovery_point is None or part.recovery_point.at is None:
        return "It did not come so far that anything told."
    said = "Whether work was lost is not known: perhaps nothing was written after that moment, perhaps it did not come back."
    return said if part.beats else f"{said} Nothing is written at an interval there (heartbeat), which would tell."


def _rows(measured: MeasuredRecovery | MeasuredStack) -> Iterator[Row]:
    if isinstance(measured, MeasuredRecovery):
        yield from _of_scenario("recovery time", measured)
        yield _tier_row(measured)
    else:
        yield from _of_scenario("recovery time of the whole", measured)
        for priority, took in measured.recovery_times.items():
            yield (f"recovery time of {priority}", "nobody", "", _taken(took), _NOT_JUDGED)
        for part in measured.parts.values():
            yield _tier_row(part, measured.priorities[part.resource])
    for part in _parts(measured):
        point = part.recovery_point
        if not part.is_kept:
            continue
        if point is None:
            yield (f"work of {part.resource} lost", "the scenario", duration(part.objectives.rpo), "as asked for", _NOT_JUDGED)
            continue
        lost = duration(point.loss) if point.loss is not None else "not known"
        what = f"work of {part.resource} lost, at most"
        yield (what, "the scenario", duration(part.objectives.rpo), lost, verdict_mark(point.verdict))
        yield (what, f"tier {part.tier}", duration(part.tier_objectives.rpo), lost, _NOT_JUDGED)


def _of_scenario(what: str, measured: MeasuredRecovery | MeasuredStack) -> Iterator[Row]:
    took, verdict = _taken(measured.measurement.recovery_time), verdict_mark(measured.measurement.verdict)
    yield (what, "the scenario", duration(measured.objectives.rto), took, verdict)
    if measured.target is not None:
        yield (what, "the scenario, as what is aimed at", duration(measured.target), took, verdict_mark(measured.target_verdict))


def _tier_row(part: MeasuredRecovery, priority: str = "") -> Row:
    beside = f" ({priority})" if priority else ""
    took = _taken(part.measurement.recovery_time)
    return (f"recovery time of {part.resource}{beside}", f"tier {part.tier}", duration(part.tier_objectives.rto), took,
            verdict_mark(part.tier_verdict))  # fmt: skip


def _gauges(measured: MeasuredRecovery | MeasuredStack) -> Iterator[Gauge]:
    yield Gauge("recovery time", measured.measurement.recovery_time)
    if isinstance(measured, MeasuredStack):
        yield from (Gauge(f"priority {priority}", took) for priority, took in measured.recovery_times.items())
        yield from (Gauge(name, part.measurement.recovery_time) for name, part in measured.parts.items())


def _objective_lines(measured: MeasuredRecovery | MeasuredStack) -> Iterator[UprightLine]:
    yield UprightLine(measured.objectives.rto, "objective", "objective")
    if measured.target is not None:
        yield UprightLine(measured.target, "aimed at", "target")
    tiers = {part.tier: part.tier_objectives.rto for part in _parts(measured)}
    yield from (UprightLine(rto, f"tier {tier}", "target") for tier, rto in tiers.items())


def _parts(measured: MeasuredRecovery | MeasuredStack) -> tuple[MeasuredRecovery, ...]:
    return (measured,) if isinstance(measured, MeasuredRecovery) else tuple(measured.parts.values())


def _taken(took: timedelta | None) -> str:
    return duration(took) if took is not None else "not recovered"


def _share(took: timedelta, total: timedelta) -> str:
    return f"{100 * took / total:.0f} %" if total else ""
