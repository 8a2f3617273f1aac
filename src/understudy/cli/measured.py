"""The table at the end of a drill or a recovery."""

from __future__ import annotations

import click

from understudy.app.run_view import RunView
from understudy.cli.options import command_on
from understudy.cli.printing import duration, moment, say
from understudy.documents.words import PHASE_NAMES, SINCE, SOURCES
from understudy.judge.measured import MeasuredRecovery, MeasuredStack
from understudy.judge.recovery_point import RecoveryPoint
from understudy.judge.run_measurement import ObjectiveVerdict
from understudy.vocabulary.disruption import Disruption
from understudy.vocabulary.json import JsonObject
from understudy.vocabulary.json_form import to_json
from understudy.vocabulary.phases import Phase

NAME_COLUMNS = max(len(name) for name in (*PHASE_NAMES.values(), f"{PHASE_NAMES[Phase.PROTECT]} (afterwards)"))
VERDICT_COLUMN = 2 + NAME_COLUMNS + 1 + 12 + 3
_VERDICTS = {
    ObjectiveVerdict.MET: ("met", "green"),
    ObjectiveVerdict.MISSED: ("MISSED", "red"),
    ObjectiveVerdict.UNKNOWN: ("unknown", "yellow"),
    ObjectiveVerdict.NONE_SET: ("no objective", None),
}
_NOT_KNOWN = "Whether work was lost is not known: nothing was written shortly before, or it did not come back."
_NOTHING_TOLD = "Whether work was lost is not known: it did not come so far that anything told."
_HOW_TO_KNOW = "A heartbeat tells: resources.{resource}.heartbeat in the stack file, and understudy serve."


def measured_json(view: RunView, measured: MeasuredRecovery | MeasuredStack, evidence: str) -> JsonObject:
    return {"run": to_json(view.run), "steps": to_json(view.steps), "measured": to_json(measured), "met": measured.met,
            "evidence": evidence}  # fmt: skip


def print_measured(measured: MeasuredRecovery, *, real: bool) -> None:
    """``real``: of a recovery, which says since when it counts; a drill counts from its own beginning."""
    measurement = measured.measurement
    click.echo("")
    if real:
        say(f"  {since(measured.disruption)}")
    for phase, took in measurement.phases.items():
        click.echo(f"  {PHASE_NAMES[phase].ljust(NAME_COLUMNS)} {duration(took).rjust(12)}")
    total = duration(measurement.recovery_time) if measurement.recovery_time else "not recovered"
    aimed_at = f" · target {duration(measured.target)}: {verdict(measured.target_verdict)}" if measured.target else ""
    say(
        f"  {'recovery time'.ljust(NAME_COLUMNS)} {total.rjust(12)}   "
        f"objective {duration(measured.objectives.rto)}: {verdict(measurement.verdict)}{aimed_at}"
        f" · tier {measured.tier} {duration(measured.tier_objectives.rto)}: {verdict(measured.tier_verdict)}",
        hang=VERDICT_COLUMN,
    )
    if measured.recovery_point is not None:
        say(_recovery_point(measured.recovery_point, measured), hang=VERDICT_COLUMN)
        if measured.recovery_point.verdict is ObjectiveVerdict.UNKNOWN:
            how = "" if measured.beats else f" {_HOW_TO_KNOW.format(resource=measured.resource)}"
            say(f"  {_NOT_KNOWN if measured.recovery_point.at else _NOTHING_TOLD}{how}", hang=2)
    print_unprotected(measured)
    for phase, took in measurement.afterwards.items():
        click.echo(f"  {(PHASE_NAMES[phase] + ' (afterwards)').ljust(NAME_COLUMNS)} {duration(took).rjust(12)}")


def print_unprotected(measured: MeasuredRecovery) -> None:
    for repository in measured.unprotected:
        say(f"  {click.style('not protected', fg='red')} in {repository}, which was away:")
        say(f"    once it is there again, {command_on('backup', measured.resource, '--full')}")


def since(disruption: Disruption) -> str:
    text = f"since {moment(disruption.at)}, {SINCE[disruption.known_by]}"
    if disruption.latest == disruption.at:
        return text
    return f"{text}; work may have been committed until {moment(disruption.latest)}"


def _recovery_point(point: RecoveryPoint, measured: MeasuredRecovery) -> str:
    loss = duration(point.loss) if point.loss is not None else "unknown"
    text = (
        f"  {'work lost, at most'.ljust(NAME_COLUMNS)} {loss.rjust(12)}   "
        f"objective {duration(measured.objectives.rpo)}: {verdict(point.verdict)} ({SOURCES[point.source]}"
    )
    return f"{text}, {moment(point.at)})" if point.at else f"{text})"


def verdict(verdict: ObjectiveVerdict) -> str:
    word, colour = _VERDICTS[verdict]
    return click.style(word, fg=colour) if colour else word
