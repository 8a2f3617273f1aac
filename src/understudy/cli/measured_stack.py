"""The table at the end of a drill or a recovery of several resources: each of them, each priority, and the whole."""

from __future__ import annotations

import click

from understudy.cli.measured import NAME_COLUMNS, VERDICT_COLUMN, print_unprotected, since, verdict
from understudy.cli.printing import duration, moment, say, table
from understudy.documents.words import PHASE_NAMES, SOURCES, unjudged_loss
from understudy.judge.measured import MeasuredRecovery, MeasuredStack
from understudy.judge.run_measurement import ObjectiveVerdict
from understudy.vocabulary.phases import Phase

_NAMES = {**PHASE_NAMES, Phase.RESTORE: "restore"}
_HEADINGS = ("RESOURCE", "PRIORITY", "CAME BACK IN", "TIER", "LOST AT MOST", "LOSS")


def print_measured_stack(measured: MeasuredStack, *, real: bool) -> None:
    """``real``: as in ``print_measured``."""
    click.echo("")
    if real:
        say(f"  {since(measured.disruption)}")
    table(_HEADINGS, [_row(name, measured.priorities[name], part) for name, part in measured.parts.items()], shed=("TIER",))
    click.echo("")
    for phase, took in measured.measurement.phases.items():
        click.echo(f"  {_NAMES[phase].ljust(NAME_COLUMNS)} {duration(took).rjust(12)}")
    for priority, time in measured.recovery_times.items():
        text = duration(time) if time is not None else "not recovered"
        click.echo(f"  {f'recovery time of {priority}'.ljust(NAME_COLUMNS)} {text.rjust(12)}")
    whole = measured.measurement
    total = duration(whole.recovery_time) if whole.recovery_time is not None else "not recovered"
    aimed_at = f" · target {duration(measured.target)}: {verdict(measured.target_verdict)}" if measured.target else ""
    say(
        f"  {'recovery time'.ljust(NAME_COLUMNS)} {total.rjust(12)}   "
        f"objective {duration(measured.objectives.rto)}: {verdict(whole.verdict)}{aimed_at}",
        hang=VERDICT_COLUMN,
    )
    for each in measured.budgets:
        label = f"budget of {each.of}".ljust(NAME_COLUMNS)
        say(
            f"  {label} {duration(each.took).rjust(12)}   of {duration(each.budget)}: {verdict(each.verdict)}",
            hang=VERDICT_COLUMN,
        )
    for name, part in measured.parts.items():
        point = part.recovery_point
        if point is not None and point.at is not None:
            say(f"  {name} is as of {moment(point.at)}, {SOURCES[point.source]}", hang=4)
        if point is not None and point.verdict is ObjectiveVerdict.UNKNOWN:
            say(f"  Whether work of {name} was lost is not known: {_why_unknown(part)}", hang=4)
        print_unprotected(part)
    for phase, took in whole.afterwards.items():
        click.echo(f"  {(_NAMES[phase] + ' (afterwards)').ljust(NAME_COLUMNS)} {duration(took).rjust(12)}")


def _row(name: str, priority: str, part: MeasuredRecovery) -> tuple[str, ...]:
    time, point = part.measurement.recovery_time, part.recovery_point
    lost, judged = unjudged_loss(part), ""
    if point is not None:
        lost = duration(point.loss) if point.loss is not None else "unknown"
        judged = f"{duration(part.objectives.rpo)}: {_word(point.verdict)}"
    tier = f"{part.tier} {duration(part.tier_objectives.rto)}: {_word(part.tier_verdict)}"
    return (name, priority, duration(time) if time is not None else "not recovered", tier, lost, judged)


def _word(judged: ObjectiveVerdict) -> str:
    """Without colour, which has a width of its own in a column."""
    return click.unstyle(verdict(judged))


def _why_unknown(part: MeasuredRecovery) -> str:
    if part.recovery_point is None or part.recovery_point.at is None:
        return "it did not come so far that anything told."
    return "perhaps nothing was written after that, perhaps it did not come back."
