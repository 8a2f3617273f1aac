"""``understudy demo``."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import click

from understudy.adapters.clock.system import SystemClock
from understudy.cli.exit_codes import ExitCode
from understudy.cli.measured import PHASE_NAMES
from understudy.cli.printing import duration
from understudy.demo.kept import end_kept_demo
from understudy.demo.story import Demo, Played
from understudy.vocabulary.json import JsonObject
from understudy.vocabulary.phases import Phase


@click.command(
    epilog="""\b
Examples:
  understudy demo                  synchronous: no acknowledged commit is lost
  understudy demo --asynchronous   faster commits, and what they really cost
  understudy demo --keep           leaves everything running to try commands
"""
)
@click.option("--asynchronous", is_flag=True, help="Commits do not wait for the WAL receiver.")
@click.option("--keep", is_flag=True, help="Leave it running, and say how to use and how to end it.")
@click.option("--end", "to_end", type=click.Path(path_type=Path), metavar="DIR", help="End a demo that was kept running.")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object.")
def demo(asynchronous: bool, keep: bool, to_end: Path | None, as_json: bool) -> None:
    """Start a real little stack, destroy its database under load, recover it, and show what that took and what was lost."""
    if to_end is not None:
        end_kept_demo(to_end)
        return
    clock = SystemClock()
    began = clock.monotonic_seconds()

    def tell(text: str) -> None:
        click.echo(f"{clock.monotonic_seconds() - began:6.1f} s  {text}", err=True)

    with Demo(synchronous=not asynchronous, tell=tell) as played:
        outcome = played.play()
        if keep:
            played.keep()
        else:
            tell("stopping and cleaning up")
    if as_json:
        click.echo(json.dumps(_as_json(outcome)))
    else:
        _print(outcome)
        _print_next(played, outcome, keep)
    sys.exit(ExitCode.DONE if outcome.objectives_met else ExitCode.FAILED)


def _print(outcome: Played) -> None:
    measurement = _measurement(outcome.recovery)
    objectives = cast(JsonObject, cast(JsonObject, outcome.recovery["measured"])["objectives"])
    click.echo("\nRecovery time by phase")
    for phase, seconds in cast(Mapping[str, float], measurement["phases"]).items():
        click.echo(f"  {PHASE_NAMES[Phase(phase)].ljust(42)} {duration(seconds).rjust(10)}")
    total = cast(float, measurement["recovery_time"])
    objective = duration(cast(float, objectives["rto"]))
    verdict = _met(measurement["verdict"] == "met")
    click.echo(f"  {'recovery time'.ljust(42)} {duration(total).rjust(10)}   objective {objective}: {verdict}")
    for phase, seconds in cast(Mapping[str, float], measurement["afterwards"]).items():
        click.echo(f"  {(PHASE_NAMES[Phase(phase)] + ' (afterwards)').ljust(42)} {duration(seconds).rjust(10)}")
    click.echo("\nCommits")
    click.echo(f"  acknowledged  {outcome.acknowledged:>10,}")
    click.echo(f"  recovered     {outcome.recovered:>10,}")
    promise = "none may be" if outcome.synchronous else f"at most {duration(cast(float, objectives['rpo']))} of work may be"
    click.echo(f"  lost          {outcome.lost:>10,}   {promise}: {_met(outcome.lost == 0 or not outcome.synchronous)}")
    second = _measurement(outcome.point_in_time)
    back = duration(cast("float | None", second["recovery_time"]))
    click.echo("\nThe dropped table")
    click.echo(f"  {outcome.prices_back:,} rows were back in the sandbox in {back}: {_met(bool(outcome.point_in_time['met']))}")
    click.echo(f"\nevidence: {outcome.recovery['evidence']}")


def _print_next(played: Demo, outcome: Played, keep: bool) -> None:
    stack = shlex.quote(str(played.stack_file))
    if keep:
        click.echo(f"next:     . {played.home}/environment; {_program()} status --stack {stack}")
        click.echo(f"end it:   {_program()} demo --end {played.home}")
    else:
        click.echo(f"next:     {_program()} evidence verify {shlex.quote(str(outcome.recovery['evidence']))} --stack {stack}")


def _program() -> str:
    """As this process was called, so that the line can be pasted whether or not the program is on the PATH."""
    called = Path(sys.argv[0])
    return "understudy" if shutil.which("understudy") else f"{sys.executable} -m understudy" if called.suffix else str(called)


def _as_json(outcome: Played) -> JsonObject:
    measurement = _measurement(outcome.recovery)
    return {
        "synchronous": outcome.synchronous,
        "acknowledged": outcome.acknowledged,
        "recovered": outcome.recovered,
        "lost": outcome.lost,
        "server_processes_killed": outcome.processes_killed,
        "exposure_seconds_seen": max(outcome.exposure_seconds, default=None),
        "recovery_time_seconds": measurement["recovery_time"],
        "phases_seconds": measurement["phases"],
        "objective_met": outcome.objectives_met,
        "prices_back": outcome.prices_back,
        "point_in_time_recovery_seconds": _measurement(outcome.point_in_time)["recovery_time"],
        "evidence": outcome.recovery["evidence"],
    }


def _measurement(answer: JsonObject) -> JsonObject:
    return cast(JsonObject, cast(JsonObject, answer["measured"])["measurement"])


def _met(met: bool) -> str:
    return click.style("met", fg="green") if met else click.style("MISSED", fg="red")
