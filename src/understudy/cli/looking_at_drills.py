"""``drills``, and what ``status`` says of the calendar."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from understudy.cli.exit_codes import ExitCode
from understudy.cli.options import command_on, json_option, looked_at, on_this_stack, stack_options
from understudy.cli.printing import duration, explained, in_days, moment, print_json, say, words

if TYPE_CHECKING:
    from understudy.app.drill_calendar import DrillStatus
    from understudy.app.drill_history import DrillHeld


@click.command(
    epilog="""\b
Examples:
  understudy drills
  understudy drills --json    for a monitor: overdue_since and overdue of each

Exit codes: 0 none is overdue, 1 one is.
"""
)
@stack_options
@json_option
def drills(stack_file: Path, state: Path | None, as_json: bool) -> None:
    """Show the calendar of drills that the stack file declares: what is due when, what passed last, and what is overdue.

    One drill that passed (it succeeded, was cleaned up, and met every objective) meets the period in which it began: a day, a
    week, a month, a quarter. A drill by hand counts where it does the same: the scenario, the resources at least, the newest
    state. A period that ended without one leaves the drill overdue until one passes. serve holds them by itself, within their
    window.
    """
    from understudy.app.carrying_out import serving_pid
    from understudy.app.drill_calendar import calendar_status
    from understudy.app.looking import records_to_look_at

    installation = looked_at(stack_file, state)
    with ExitStack() as undo:
        records, fault = records_to_look_at(installation, undo)
        found = calendar_status(installation.reading(records))
    known = fault is None or fault.readable
    if as_json:
        print_json({"drills": found, "records_fault": fault})
    elif not found:
        click.echo("the stack file declares no drills (drills, or calendar.standard: true for the usual ones)")
    else:
        if fault is not None:
            say(f"records: {fault.code}: {fault.found}", err=True)
        for each in found:
            _print(each, known=known, served=serving_pid(installation.state) is not None)
    sys.exit(ExitCode.FAILED if known and any(each.overdue_since is not None for each in found) else ExitCode.DONE)


def _print(drill: DrillStatus, *, known: bool, served: bool) -> None:
    click.echo(
        click.style(drill.name, bold=True) + f"  ({drill.scenario} of {', '.join(drill.resources) or 'what is not named'})"
    )
    window = f", begun {drill.window}" if drill.window else ""
    last = drill.last
    rows = [
        ("due", f"{drill.every} ({drill.timezone}){window}, in at most {duration(drill.max_duration)}"),
        ("standing", _standing(drill) if known else "unknown: the records cannot be read"),
        *([("last", _held(last))] if last is not None else []),
        *([("last passed", _held(drill.last_passed))] if drill.last_passed not in (None, last) else []),
        ("next", _next(drill, served=served)),
    ]
    for name, value in rows:
        say(f"  {name.ljust(14)} {value}", hang=17)
    if drill.cannot_begin is not None:
        say(f"  {click.style('could not begin', fg='red')}\n" + "\n".join(explained(drill.cannot_begin, "    ")))


def _standing(drill: DrillStatus) -> str:
    until = f"by {moment(drill.period_until)}"
    if drill.overdue is not None:
        return click.style(f"overdue by {in_days(drill.overdue)}", fg="red") + f", since {moment(drill.overdue_since)}"
    if drill.met:
        return click.style("met", fg="green") + f"; due again after {moment(drill.period_until)}"
    return f"due {until}" + ("" if drill.last_passed else "; never passed")


def _held(held: DrillHeld | None) -> str:
    if held is None:
        return "never"
    result = words(held.result.value)
    colour = "green" if held.passed else "yellow" if held.ended is None else "red"
    ended = f", ended {moment(held.ended)}" if held.ended else ""
    return f"{click.style(result, fg=colour)}: begun {moment(held.began)}{ended} ({command_on('show', held.run)})"


def _next(drill: DrillStatus, *, served: bool) -> str:
    if drill.next is None:
        return "not by itself any more in this period: hold it by hand"
    return moment(drill.next) + ("" if served else f", if it is served by then ({command_on('serve')})")


def print_calendar(calendar: Sequence[DrillStatus], *, known: bool) -> None:
    """One line for all of them, and one for each that is overdue."""
    if not calendar:
        return
    overdue = [each for each in calendar if each.overdue is not None] if known else []
    due = [each.next for each in calendar if each.next is not None]
    told = f"{len(calendar)} in the calendar" + (f", the next {moment(min(due))}" if due else "")
    if overdue:
        told += ", " + click.style(f"{len(overdue)} overdue", fg="red")
    elif not known:
        told += ", and what was held is unknown: the records cannot be read"
    click.echo("\n" + click.style("drills", bold=True) + f"  ({command_on('drills')})")
    say(f"  {'calendar'.ljust(14)} {told}", hang=17)
    for each in overdue:
        last = f"passed last {moment(each.last_passed.began)}" if each.last_passed else "never passed"
        say(f"  {'overdue'.ljust(14)} {each.name}: {last}, by {in_days(each.overdue)}" if each.overdue else "", hang=17)
        if each.cannot_begin is not None:
            say(f"    {on_this_stack(each.cannot_begin.code)}: {each.cannot_begin.found}")
