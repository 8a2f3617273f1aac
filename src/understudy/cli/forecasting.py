"""``forecast``, and what ``status`` says of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from understudy.cli.exit_codes import ExitCode
from understudy.cli.options import command_on, json_option, looked_at, stack_options
from understudy.cli.printing import duration, print_json, say
from understudy.judge.forecast import HORIZON, LEAST_DRILLS, LEAST_SIZES, LEAST_SPAN, Estimate, Forecast, Outlook
from understudy.vocabulary.sizes import readable_size

if TYPE_CHECKING:
    from understudy.app.forecasting import ResourceForecast

_WHY = {
    "too_few_drills": "{drills} of {least_drills} drills or recoveries that came to their end: hold more (understudy drills)",
    "too_few_sizes": "no date: {sizes} of {least_sizes} backups that tell how the data grow",
    "sizes_of_too_short_a_time": "no date: the backups that tell how the data grow are of less than {span} days",
}


@click.command(
    epilog="""\b
Examples:
  understudy forecast
  understudy forecast --json    for a monitor: outlook and missed_on of each

Exit codes: 0 no objective is missed with the data of now, nor will be within 90 days as far as is known; 1 one is, or will be.
"""
)
@stack_options
@json_option
def forecast(stack_file: Path, state: Path | None, as_json: bool) -> None:
    """Forecast when the recovery time of each resource passes its objective, as the data grow.

    From what drills and recoveries measured (time by phase, bytes restored, WAL replayed) and from the sizes of backups, as the
    records of this host have them. Every figure has the range in which it lies nine times out of ten; what too few measurements
    tell is not told. Waiting for persons, and for other resources, is left out.
    """
    from understudy.app.forecasting import forecasts
    from understudy.app.looking import records_to_look_at

    installation = looked_at(stack_file, state)
    with ExitStack() as undo:
        records, fault = records_to_look_at(installation, undo)
        found = forecasts(installation.reading(records))
    if as_json:
        print_json({"forecasts": found, "records_fault": fault})
    else:
        if fault is not None:
            say(f"records: {fault.code}: {fault.found}", err=True)
        for each in found:
            _print(each)
    now = installation.clock.now()
    sys.exit(ExitCode.FAILED if any(each.is_near(now) for each in found) else ExitCode.DONE)


def _print(found: ResourceForecast) -> None:
    known = found.forecast
    whose = found.scenario or "its tier, for it was not drilled yet"
    click.echo(click.style(str(found.resource), bold=True) + f"  (objective {duration(known.objective)}, of {whose})")
    rows = [("outlook", _outlook(known))]
    if known.recovery_seconds is not None and known.size_bytes is not None:
        rows.append(("with data now", f"{_range(known.recovery_seconds, duration)} for {readable_size(known.size_bytes)}"))
        rows.append(("grows by", _by_size(known)))
    if known.growth_bytes_per_day is not None:
        rows.append(("data grow by", f"{_range(known.growth_bytes_per_day, _signed_size)} a day"))
    rows.append(("known from", f"{known.drills} drills and recoveries, {known.sizes} sizes"))
    for name, value in rows:
        say(f"  {name.ljust(14)} {value}", hang=17)


def _by_size(known: Forecast) -> str:
    if known.seconds_per_gib is None:
        return "unknown"
    told = f"{_range(known.seconds_per_gib, duration)} for each GiB"
    return told if known.slope_known else f"{told}: all drills were of about one size, so all of it is taken to grow"


def _outlook(known: Forecast) -> str:
    match known.outlook:
        case Outlook.MISSED_NOW:
            return click.style("missed with the data of now", fg="red")
        case Outlook.WILL_BE_MISSED if known.missed_on is not None:
            latest = f"{known.latest:%Y-%m-%d}" if known.latest else f"not within {HORIZON.days // 365} years"
            earliest = f"{known.earliest:%Y-%m-%d}" if known.earliest else "unknown"
            return click.style(f"missed on {known.missed_on:%Y-%m-%d}", fg="yellow") + f" (between {earliest} and {latest})"
        case Outlook.NOT_IN_SIGHT:
            told = click.style("met", fg="green") + f", and not missed within {HORIZON.days // 365} years"
            return told + (f" (at the earliest on {known.earliest:%Y-%m-%d})" if known.earliest else "")
        case _:
            return "unknown: " + _WHY.get(known.why, known.why).format(
                drills=known.drills,
                sizes=known.sizes,
                least_drills=LEAST_DRILLS,
                least_sizes=LEAST_SIZES,
                span=LEAST_SPAN.days,
            )


def _range(estimate: Estimate, told: Callable[[float], str]) -> str:
    return f"{told(estimate.likely)} ({told(estimate.low)} to {told(estimate.high)})"


def _signed_size(size: float) -> str:
    return f"{'-' if size < 0 else ''}{readable_size(abs(int(size)))}"


def print_near_forecasts(near: Sequence[ResourceForecast]) -> None:
    """Only what is missed now, or soon."""
    if not near:
        return
    click.echo("\n" + click.style("forecast", bold=True) + f"  ({command_on('forecast')})")
    for each in near:
        of = f"recovery time, objective {duration(each.forecast.objective)}"
        say(f"  {each.resource.ljust(14)} {of}: {_outlook(each.forecast)}", hang=17)
