"""A drill as JUnit XML, the form in which CI servers show results: one suite, a case for each step and each objective.

The parts and their order are those that the schemas of Ant, Surefire and Jenkins have in common.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as Xml

from understudy import __version__
from understudy.app.installation import Installation
from understudy.app.measuring import measure
from understudy.app.proving import require_writable, unwritable
from understudy.app.run_report import server_version
from understudy.app.run_view import RunView, is_of_the_whole, views_by_resource
from understudy.judge.measured import MeasuredRecovery, MeasuredStack
from understudy.judge.phase_budgets import MeasuredBudget
from understudy.judge.recovery_point import RecoveryPoint, RecoveryPointSource
from understudy.judge.run_measurement import ObjectiveVerdict
from understudy.records.receipts import write_durably
from understudy.records.run import RecordedError, StepRecord, StepState
from understudy.runner.ordering import PREDECESSOR_FAILED
from understudy.stack.models import Scenario
from understudy.stack.units import format_duration

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML 1.0 document may hold, escaped or not."""

_HOW_TO_KNOW = "a heartbeat tells: resources.{resource}.heartbeat in the stack file, and understudy serve"
_NOT_RECOVERED = "not recovered"


@dataclass(frozen=True, slots=True)
class Case:
    """Passed, unless it has a fault or was skipped."""

    name: str
    took: timedelta | None = None
    fault: RecordedError | None = None
    skipped: str = ""
    """Why it counts neither way."""


@dataclass(frozen=True, slots=True)
class Suite:
    scenario: Scenario
    began: datetime
    cases: Sequence[Case]
    took: timedelta = timedelta()
    properties: Mapping[str, str] = field(default_factory=dict)
    said: Sequence[str] = ()
    """Line by line."""


def unfinished(scenario: Scenario, began: datetime) -> Suite:
    """What is there from the beginning on: an end that nobody wrote down is never taken for a success."""
    fault = RecordedError(
        "not_ended",
        found=f"the drill was begun at {began.isoformat(timespec='seconds')}, and how it ended was not written here",
        expected="the end of the drill",
        hint="understudy runs; the last one may be gone on with by understudy resume",
    )
    return Suite(scenario, began, [Case("end", fault=fault)])


def refused(scenario: Scenario, began: datetime, now: datetime, error: RecordedError) -> Suite:
    """Of a drill that nothing tells more of: what it needs was not there, or it could not be gone on with."""
    return Suite(scenario, began, [Case("prerequisites" if error.refused else "end", now - began, error)], now - began)


def suite_of(installation: Installation, scenario: Scenario, view: RunView) -> Suite:
    """Of a drill that has ended: of each resource the steps of the run that it ended with.

    Raises:
        GiveUp: ``plan_unreadable``.
    """
    measured = measure(installation, view)
    by_resource = views_by_resource(view)
    whole = [step for step in view.steps if is_of_the_whole(step.key)]
    cases = [*map(_step, [*whole, *(step for own in by_resource.values() for step in own.steps)]), *_objectives(measured)]
    if not view.succeeded and not any(case.fault for case in cases):
        cases.append(
            Case("run", fault=view.run.error or RecordedError(view.run.state.value, f"the run is {view.run.state.value}"))
        )
    phases = {**measured.measurement.phases, **measured.measurement.afterwards}
    properties = {
        "run": view.run.run,
        **({"follows": view.run.follows} if view.run.follows else {}),
        "stack": installation.stack.stack,
        "stack_digest": view.run.stack_digest,
        "understudy_version": __version__,
        **{f"resource.{name}": f"tier {part.tier}" for name, part in _parts(measured)},
        **{f"server_version.{name}": str(version) for name, own in by_resource.items() if (version := server_version(own))},
        **{f"seconds.{phase.value}": _seconds(took) for phase, took in phases.items()},
        **_by_priority(measured),
        **{f"seconds.budget.{each.of}": _seconds(each.took) for each in _budgets(measured)},
    }
    took = (view.run.ended or view.seen) - view.began
    return Suite(scenario, view.began, cases, took, properties, [*_before(view.follows), *_judged(measured)])


def write_junit(file: Path, suite: Suite) -> None:
    """Whole or not at all, in place of what has that name.

    Raises:
        Refusal: ``file_unwritable``.
    """
    require_writable(file)
    try:
        write_durably(file, _xml(suite))
    except OSError as error:
        raise unwritable(f"{file}: {error.strerror}") from error


def _step(step: StepRecord) -> Case:
    took = step.ended - step.started if step.ended and step.started else None
    name, error = str(step.key), step.error
    if error is not None and error.code == PREDECESSOR_FAILED:
        return Case(name, took, skipped=f"{error.code}: {error.found}")
    if error is not None:
        return Case(name, took, error)
    if step.state is StepState.SKIPPED:
        return Case(name, took, skipped=step.evidence.hint or "nothing was to be done" if step.evidence else "left out")
    if step.state is StepState.SUCCEEDED:
        return Case(name, took)
    return Case(name, took, RecordedError(step.state.value, f"the step is {step.state.value}", "done, with its proof"))


def _objectives(measured: MeasuredRecovery | MeasuredStack) -> Iterator[Case]:
    if isinstance(measured, MeasuredStack):
        took, verdict = measured.measurement.recovery_time, measured.measurement.verdict
        yield _objective("recovery time", _in_words(took), measured.objectives.rto, verdict, took)
    for name, part in _parts(measured):
        yield from _objectives_of(part, f"{name}: " if isinstance(measured, MeasuredStack) else "")


def _objectives_of(measured: MeasuredRecovery, of: str) -> Iterator[Case]:
    took, point, objective = measured.measurement.recovery_time, measured.recovery_point, measured.objectives
    found = _in_words(took)
    yield _objective(f"{of}recovery time", found, objective.rto, measured.measurement.verdict, took)
    if point is None and measured.is_kept:
        yield Case(f"objective: {of}recovery point", skipped="what came after the target was left out on purpose")
    elif point is not None:
        knows_how = measured.beats or point.source is RecoveryPointSource.SNAPSHOT
        hint = "" if knows_how else _HOW_TO_KNOW.format(resource=measured.resource)
        yield _objective(f"{of}recovery point", _lost(point), objective.rpo, point.verdict, point.loss, hint)
    tier = f"{of}recovery time of tier {measured.tier}"
    yield _objective(tier, found, measured.tier_objectives.rto, measured.tier_verdict, took)


def _parts(measured: MeasuredRecovery | MeasuredStack) -> Iterable[tuple[str, MeasuredRecovery]]:
    return measured.parts.items() if isinstance(measured, MeasuredStack) else [(measured.resource, measured)]


def _budgets(measured: MeasuredRecovery | MeasuredStack) -> tuple[MeasuredBudget, ...]:
    """To miss one fails nothing, so none is a test case."""
    return measured.budgets if isinstance(measured, MeasuredStack) else ()


def _by_priority(measured: MeasuredRecovery | MeasuredStack) -> Mapping[str, str]:
    times = measured.recovery_times if isinstance(measured, MeasuredStack) else {}
    return {f"seconds.recovery_time.{priority}": _seconds(took) for priority, took in times.items() if took is not None}


def _objective(
    name: str, found: str, at_most: timedelta, verdict: ObjectiveVerdict, took: timedelta | None, hint: str = ""
) -> Case:
    """What is not known to be met has failed."""
    name, expected = f"objective: {name}", f"at most {format_duration(at_most)}"
    match verdict:
        case ObjectiveVerdict.MET:
            return Case(name, took)
        case ObjectiveVerdict.NONE_SET:
            return Case(name, took, skipped="no objective is set")
        case ObjectiveVerdict.MISSED:
            return Case(name, took, RecordedError("objective_missed", found, expected))
    return Case(name, took, RecordedError("objective_not_known_to_be_met", found, expected, hint))


def _judged(measured: MeasuredRecovery | MeasuredStack) -> Iterator[str]:
    """What was measured, beside the objective, also where that is met."""
    objectives = measured.objectives
    took = _in_words(measured.measurement.recovery_time)
    yield f"recovery time: {took}, at most {format_duration(objectives.rto)}: {measured.measurement.verdict.value}"
    if measured.target is not None:
        yield f"target: {took}, aimed at {format_duration(measured.target)}: {measured.target_verdict.value}"
    for each in _budgets(measured):
        yield f"budget of {each.of}: {_seconds(each.took)} s of {format_duration(each.budget)}: {each.verdict.value}"
    for name, part in _parts(measured):
        own, point = _in_words(part.measurement.recovery_time), part.recovery_point
        tier = f"tier {part.tier}, at most {format_duration(part.tier_objectives.rto)}: {part.tier_verdict.value}"
        yield f"{name}: recovery time: {own}, {part.measurement.verdict.value}; {tier}"
        if point is not None:
            at_most = format_duration(part.objectives.rpo)
            yield f"{name}: recovery point: {_lost(point)}, at most {at_most}: {point.verdict.value}"


def _lost(point: RecoveryPoint) -> str:
    return "nothing tells how much work was lost" if point.loss is None else f"{_in_words(point.loss)}, by {point.source.value}"


def _in_words(took: timedelta | None) -> str:
    return _NOT_RECOVERED if took is None else f"{_seconds(took)} s"


def _before(view: RunView | None) -> Iterator[str]:
    """The runs that this one followed, and why."""
    if view is not None:
        yield from _before(view.follows)
        for step in view.steps:
            if step.error is not None and step.error.code != PREDECESSOR_FAILED:
                yield f"{view.run.run} was followed by another run: {step.key}: {step.error.code}: {step.error.found}"


def _xml(suite: Suite) -> bytes:
    scenario = suite.scenario.value
    counts = {
        "tests": str(len(suite.cases)),
        "failures": str(sum(case.fault is not None for case in suite.cases)),
        "errors": "0",
    }
    every = Xml.Element("testsuites")
    one = Xml.SubElement(
        every,
        "testsuite",
        {
            "name": f"drill {scenario}",
            "package": "understudy",
            "id": "0",
            "timestamp": suite.began.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"),  # the schemas know no offset
            "hostname": _sayable(socket.gethostname()) or "localhost",
            "time": _seconds(suite.took),
            "skipped": str(sum(bool(case.skipped) for case in suite.cases)),
            **counts,
        },
    )
    properties = Xml.SubElement(one, "properties")
    for name, value in {"scenario": scenario, **suite.properties}.items():
        Xml.SubElement(properties, "property", {"name": name, "value": _sayable(value)})
    for case in suite.cases:
        _add(one, case, f"understudy.drill.{scenario}")
    Xml.SubElement(one, "system-out").text = _sayable("\n".join(suite.said))
    Xml.SubElement(one, "system-err")
    Xml.indent(every)
    document: bytes = Xml.tostring(every, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _add(suite: Xml.Element, case: Case, of: str) -> None:
    time = _seconds(case.took or timedelta())
    made = Xml.SubElement(suite, "testcase", {"name": _sayable(case.name), "classname": of, "time": time})
    if case.skipped:
        Xml.SubElement(made, "skipped", {"message": _sayable(case.skipped)})
    if case.fault is not None:
        fault = case.fault
        about = {"type": _sayable(fault.code), "message": _sayable(fault.found)}
        lines = [f"{name}: {text}" for name, text in _said_of(fault) if text]
        Xml.SubElement(made, "failure", about).text = _sayable("\n".join(lines))


def _said_of(fault: RecordedError) -> tuple[tuple[str, str], ...]:
    return ("code", fault.code), ("found", fault.found), ("expected", fault.expected), ("hint", fault.hint)


def _seconds(took: timedelta) -> str:
    return f"{max(0.0, took.total_seconds()):.3f}"


def _sayable(text: str) -> str:
    """What XML forbids is written as it would be in Python source, so that nothing vanishes."""
    return _FORBIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
