"""``runs``, ``show``, ``approve``, ``cancel``, ``resume``."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from understudy.cli.exit_codes import ExitCode
from understudy.cli.options import command_on, json_option, looked_at, on_this_stack, opened_with_runs, stack_options
from understudy.cli.printing import (
    duration,
    explained,
    moment,
    print_json,
    say,
    state_told,
    table,
    waiting_since,
    width_of,
    words,
)
from understudy.documents.proofs import proof_lines
from understudy.vocabulary.identifiers import Person, RunId

if TYPE_CHECKING:
    from understudy.app.installation import Installation
    from understudy.app.run_view import RunView
    from understudy.records.run import RequestRecord, StepRecord


def print_run(view: RunView, as_json: bool) -> None:
    """A finished run: as JSON whole, as text its last word (the steps were shown as they ended)."""
    if as_json:
        print_json({"run": view.run, "steps": view.steps})
        return
    took = duration(view.run.ended - view.run.submitted) if view.run.ended else "unfinished"
    ended = f"{view.run.procedure} {view.run.subject}: {state_told(view.run.state)} in {took}"
    say(f"{ended} ({command_on('show', view.run.run)})")


@click.command(
    epilog="""\b
Examples:
  understudy runs
  understudy runs --newest 5 --json
"""
)
@stack_options
@json_option
@click.option("--newest", type=click.IntRange(min=1), metavar="N", default=20, show_default=True, help="How many.")
def runs(stack_file: Path, state: Path | None, as_json: bool, newest: int) -> None:
    """List the runs of backups, restores, drills, recoveries and retention, newest first. Their times are in UTC."""
    installation = looked_at(stack_file, state)
    found = installation.past.runs(newest) if (installation.state / "state.db").exists() else ()
    if as_json:
        print_json({"runs": found})
        return
    if not found:
        click.echo(f"no runs yet in {installation.state}")
        return
    rows = [
        (run.run, run.procedure, run.subject, words(run.state.value), duration(run.ended - run.submitted) if run.ended else "",
         moment(run.submitted), run.follows or "")
        for run in found
    ]  # fmt: skip
    headings = ("RUN", "PROCEDURE", "SUBJECT", "STATE", "TOOK", "SUBMITTED", "FOLLOWS")
    if width_of(sys.stdout) is None:
        table(headings, rows)
        return
    table(headings[:-1], [row[:-1] for row in rows], shed=("SUBMITTED", "TOOK"))  # the name of a run tells when it began
    for run in found:
        if run.follows:
            say(f"{run.run} follows {run.follows}, which did not succeed")


@click.command(
    epilog="""\b
Examples:
  understudy show 20261123-030000-1a2b3c      every step with its proof
  understudy show 20261123-030000-1a2b3c --json
"""
)
@click.argument("run")
@stack_options
@json_option
def show(run: str, stack_file: Path, state: Path | None, as_json: bool) -> None:
    """Show RUN, as runs names it, step by step: states, durations, proofs, errors."""
    from understudy.app.run_view import view_of

    installation = opened_with_runs(stack_file, state)
    installation = installation.reading(installation.past)
    view = view_of(installation, RunId(run))
    request = installation.records.requests.of(view.run.run)
    if as_json:
        print_json({"run": view.run, "request": request, "steps": view.steps})
        return
    took = f" in {duration(view.run.ended - view.run.submitted)}" if view.run.ended else ""
    say(f"{view.run.procedure} {view.run.subject}: {words(view.run.state.value)}{took}, begun {moment(view.run.submitted)}")
    if view.run.error is not None:
        say("\n".join(explained(view.run.error, "  ")))
    if request is not None:
        _print_request(request)
    for step in view.steps:
        took = duration(step.ended - step.started) if step.ended and step.started else ""
        say(f"\n{step.key}  {words(step.state.value)}  {took}".rstrip(" "))
        if step.approval_question:
            say(f"  asked: {step.approval_question}")
        if step.approval is not None:
            say(f"  agreed: {step.approval.by}, {moment(step.approval.at)}")
        if step.held_up_by is not None:
            say(f"  waiting {waiting_since(step.held_up_since, step.again_at)}")
        if step.error is not None and step.state.value == "skipped":
            say(f"  left out: {step.error.found}")
        elif step.error is not None:
            say("\n".join(explained(step.error, "  ")))
        if step.evidence is not None:
            _print_evidence(step)


def _print_evidence(step: StepRecord) -> None:
    """What an error says already is not said again."""
    evidence = step.evidence
    if evidence is None:
        return
    if step.error is None:
        say(f"  {evidence.claim}")
    proof = {name: value for name, value in evidence.proof.items() if step.error is None or name not in _OF_AN_ERROR}
    for line in proof_lines(proof, 4):
        say(line)
    if evidence.hint and step.error is None:
        say(f"  note: {on_this_stack(evidence.hint)}")


_OF_AN_ERROR = ("code", "found", "expected")


def _print_request(request: RequestRecord) -> None:
    """Only where there is more to say than the run itself says."""
    if len(request.runs) > 1:
        say(f"runs of one request: {', '.join(request.runs)}")
    _print_why_nothing_follows(request)


def print_nothing_follows(installation: Installation, run: RunId) -> None:
    """Where another run was called for, and could not be planned: why."""
    request = installation.records.requests.of(run)
    if request is not None:
        _print_why_nothing_follows(request)


def _print_why_nothing_follows(request: RequestRecord) -> None:
    if request.error is not None:
        last = request.runs[-1]
        say(f"nothing follows {last}:" if request.ended else f"what is to follow {last} cannot begin yet:")
        say("\n".join(explained(request.error, "  ")))


@click.command(
    epilog="""\b
Examples:
  understudy show 20261123-030000-1a2b3c         what it asks
  understudy approve 20261123-030000-1a2b3c
"""
)
@click.argument("run")
@stack_options
@json_option
def approve(run: str, stack_file: Path, state: Path | None, as_json: bool) -> None:
    """Agree, with your name, to what RUN asks."""
    from understudy.app.carrying_out import approve_waiting
    from understudy.records.run import RunState

    person = Person(getpass.getuser())
    installation = opened_with_runs(stack_file, state)
    agreed_to = approve_waiting(installation, RunId(run), person)
    if as_json:
        print_json({"run": run, "by": person, "agreed_to": agreed_to})
        return
    for step, question in agreed_to.items():
        say(f"agreed to {step}: {question}")
    if installation.past.run(RunId(run)).state is RunState.INTERRUPTED:
        say(f"Nobody carries the run out now. To go on with it: {command_on('resume', run)}")


@click.command(
    epilog="""\b
Examples:
  understudy cancel 20261123-030000-1a2b3c
"""
)
@click.argument("run")
@stack_options
@json_option
def cancel(run: str, stack_file: Path, state: Path | None, as_json: bool) -> None:
    """Ask RUN to stop where it is safe. Its clean-up still runs."""
    from understudy.app.carrying_out import cancel as cancel_run
    from understudy.cli.foreground import watched

    installation = opened_with_runs(stack_file, state)
    with watched(installation, quiet=as_json) as watcher:
        view = cancel_run(installation, RunId(run), Person(getpass.getuser()), watcher)
    if as_json:
        print_run(view, as_json)
        return
    click.echo(f"{view.run.run} is {words(view.run.state.value)}")


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
    from understudy.cli.finishing import finish_measured, finish_restored
    from understudy.cli.foreground import watched
    from understudy.cli.watching import said_when_long
    from understudy.plan.plan import Procedure

    installation = opened_with_runs(stack_file, state)
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
