"""``runs``, ``show``, ``approve``, ``cancel``, ``resume``."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from understudy.cli.exit_codes import ExitCode
from understudy.cli.options import json_option, opened, stack_options
from understudy.cli.printing import duration, explained, moment, print_json, table, waiting_since
from understudy.vocabulary.identifiers import Person, RunId

if TYPE_CHECKING:
    from understudy.app.carrying_out import RunView
    from understudy.app.installation import Installation
    from understudy.records.run import RequestRecord


def print_run(view: RunView, as_json: bool) -> None:
    """A finished run: as JSON whole, as text its last word (the steps were shown as they ended)."""
    if as_json:
        print_json({"run": view.run, "steps": view.steps})
        return
    took = duration(view.run.ended - view.run.submitted) if view.run.ended else "unfinished"
    click.echo(f"{view.run.procedure} {view.run.subject}: {view.run.state.value} in {took} (understudy show {view.run.run})")


@click.command(
    epilog="""\b
Examples:
  understudy runs
  understudy runs --newest 5 --json
"""
)
@stack_options
@json_option
@click.option("--newest", type=click.IntRange(min=1), default=20, show_default=True, help="How many.")
def runs(stack_file: Path, state: Path | None, as_json: bool, newest: int) -> None:
    """List runs, newest first."""
    found = opened(stack_file, state).past.runs(newest)
    if as_json:
        print_json({"runs": found})
        return
    if not found:
        click.echo("no runs yet")
        return
    rows = [
        (run.run, run.procedure, run.mode, run.subject, run.state.value, moment(run.submitted),
         duration(run.ended - run.submitted) if run.ended else "", run.follows or "")
        for run in found
    ]  # fmt: skip
    table(("RUN", "PROCEDURE", "MODE", "SUBJECT", "STATE", "SUBMITTED", "TOOK", "FOLLOWS"), rows)


@click.command(
    epilog="""\b
Examples:
  understudy show 20261123-030000-1a2b3c            every step with its proof
  understudy show 20261123-030000-1a2b3c --json
"""
)
@click.argument("run")
@stack_options
@json_option
def show(run: str, stack_file: Path, state: Path | None, as_json: bool) -> None:
    """Show RUN step by step: states, durations, proofs, errors."""
    from understudy.app.carrying_out import view_of

    installation = opened(stack_file, state)
    view = view_of(installation, RunId(run))
    request = installation.records.requests.of(view.run.run)
    if as_json:
        print_json({"run": view.run, "request": request, "steps": view.steps})
        return
    click.echo(f"{view.run.procedure} {view.run.subject} ({view.run.mode}): {view.run.state.value}")
    if request is not None:
        _print_request(request)
    for step in view.steps:
        took = duration(step.ended - step.started) if step.ended and step.started else ""
        click.echo(f"\n{step.key}  {step.state.value}  {took}")
        if step.approval_question:
            click.echo(f"  asked: {step.approval_question}")
        if step.approval is not None:
            click.echo(f"  agreed: {step.approval.by}, {moment(step.approval.at)}")
        if step.evidence is not None:
            click.echo(f"  claim: {step.evidence.claim}")
            for name, value in step.evidence.proof.items():
                click.echo(f"    {name}: {value}")
            if step.evidence.hint:
                click.echo(f"  note: {step.evidence.hint}")
        if step.held_up_by is not None:
            click.echo(f"  waiting {waiting_since(step.held_up_since, step.again_at)}")
        if step.error is not None:
            click.echo("\n".join(explained(step.error, "  ")))


def _print_request(request: RequestRecord) -> None:
    """Only where there is more to say than the run itself says."""
    if len(request.runs) > 1:
        click.echo(f"runs of one request: {', '.join(request.runs)}")
    _print_why_nothing_follows(request)


def print_nothing_follows(installation: Installation, run: RunId) -> None:
    """Where another run was called for, and could not be planned: why."""
    request = installation.records.requests.of(run)
    if request is not None:
        _print_why_nothing_follows(request)


def _print_why_nothing_follows(request: RequestRecord) -> None:
    if request.error is not None:
        last = request.runs[-1]
        click.echo(f"nothing follows {last}:" if request.ended else f"what is to follow {last} cannot begin yet:")
        click.echo("\n".join(explained(request.error, "  ")))


@click.command(
    epilog="""\b
Examples:
  understudy approve 20261123-030000-1a2b3c      what it asks stands in: understudy show
"""
)
@click.argument("run")
@stack_options
def approve(run: str, stack_file: Path, state: Path | None) -> None:
    """Agree, with your name, to what RUN asks."""
    from understudy.app.carrying_out import approve_waiting

    for step in approve_waiting(opened(stack_file, state), RunId(run), Person(getpass.getuser())):
        click.echo(f"agreed to {step}")


@click.command(
    epilog="""\b
Examples:
  understudy cancel 20261123-030000-1a2b3c
"""
)
@click.argument("run")
@stack_options
def cancel(run: str, stack_file: Path, state: Path | None) -> None:
    """Ask RUN to stop where it is safe. Its clean-up still runs."""
    from understudy.app.carrying_out import cancel as cancel_run
    from understudy.cli.foreground import watched

    installation = opened(stack_file, state)
    with watched(installation) as watcher:
        view = cancel_run(installation, RunId(run), Person(getpass.getuser()), watcher)
    click.echo(f"{view.run.run} is {view.run.state.value}")


@click.command(
    epilog="""\b
Examples:
  understudy resume 20261123-030000-1a2b3c         after a crash or Ctrl-C
"""
)
@click.argument("run")
@stack_options
@json_option
def resume(run: str, stack_file: Path, state: Path | None, as_json: bool) -> None:
    """Go on with RUN after the last step that ended, in this terminal; also with the run that has to follow it.

    While serve runs, it goes on with RUN by itself, and this command follows it. It ends as the command ends that began RUN.
    """
    from understudy.app.asking import planner
    from understudy.app.carrying_out import resume as resume_run
    from understudy.cli.backing_up import finish_backup
    from understudy.cli.foreground import watched
    from understudy.cli.recovering import finish_measured, finish_restored
    from understudy.cli.watching import said_when_long
    from understudy.plan.plan import Procedure

    installation = opened(stack_file, state)
    with watched(installation, quiet=as_json) as watcher:
        view = resume_run(
            installation, RunId(run), planner(installation), watcher, lambda what: said_when_long(what, quiet=as_json)
        )
    match view.run.procedure:
        case Procedure.BACKUP:
            finish_backup(installation, view.run.subject, view, as_json)
        case Procedure.RESTORE:
            finish_restored(installation, view.run.subject, view, as_json)
        case Procedure.DRILL | Procedure.RECOVERY:
            finish_measured(installation, view, as_json)
    print_run(view, as_json)
    sys.exit(ExitCode.of_run(view))
