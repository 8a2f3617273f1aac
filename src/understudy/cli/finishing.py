"""How a restore, a drill and a recovery end: the verdict, what came back, and the exit code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from understudy.cli.exit_codes import ExitCode
from understudy.cli.options import command_on

if TYPE_CHECKING:
    from understudy.app.installation import Installation
    from understudy.app.run_view import RunView


def finish_restored(installation: Installation, resource: str, view: RunView, as_json: bool) -> NoReturn:
    """What came back, and how to start it; ends the process."""
    from understudy.cli.brought_back import is_taken_out, print_brought_back, print_how_to_load, print_how_to_start
    from understudy.cli.running import print_nothing_follows, print_run

    print_run(view, as_json)
    if not as_json:
        print_brought_back(view)
        print_nothing_follows(installation, view.run.run)
        if view.succeeded and is_taken_out(view):
            print_how_to_load(view)
        elif view.succeeded and installation.is_database(resource):
            recover = installation.postgres(resource).recover
            print_how_to_start(view, recover.programs if recover else None)
    sys.exit(ExitCode.of_run(view))


def finish_measured(
    installation: Installation, view: RunView, as_json: bool, report: Path | None = None, *, reported: bool = True
) -> NoReturn:
    """The verdict: done only when the run succeeded and every objective was met; ends the process.

    ``reported``: whether what else was to be written has been.
    """
    from understudy.app.evidence_files import keep_evidence
    from understudy.app.measuring import measure
    from understudy.app.proving import export_evidence
    from understudy.cli.brought_back import print_brought_back
    from understudy.cli.measured import measured_json, print_measured
    from understudy.cli.measured_stack import print_measured_stack
    from understudy.cli.printing import print_error, print_json, say
    from understudy.cli.running import print_nothing_follows, print_run
    from understudy.judge.measured import MeasuredStack
    from understudy.plan.plan import Procedure
    from understudy.vocabulary.errors import GiveUp

    measured = measure(installation, view)
    evidence = keep_evidence(installation, view.run.run)
    if report is not None:
        try:
            export_evidence(installation, view.run.run, report)
            evidence = report
        except GiveUp as error:  # its disk filled up meanwhile: what the run came to is told all the same
            print_error(error)
            reported = False
    if as_json:
        print_json(measured_json(view, measured, str(evidence)))
    elif view.touched_nothing:
        told = f"{view.run.procedure} {view.run.subject}: {click.style(_why_untouched(view), fg='yellow')}"
        click.echo(f"{told}; nothing was touched ({command_on('show', view.run.run)})")
    else:
        real = view.run.procedure == Procedure.RECOVERY
        if isinstance(measured, MeasuredStack):
            print_measured_stack(measured, real=real)
        else:
            print_measured(measured, real=real)
        print_run(view, as_json=False)
        print_brought_back(view)
        _print_start_again(view)
        print_nothing_follows(installation, view.run.run)
        say(f"evidence: {evidence}")
    code = ExitCode.of_run(view)
    sys.exit(ExitCode.FAILED if code is ExitCode.DONE and not (measured.met and reported) else code)


def _why_untouched(view: RunView) -> str:
    first = view.steps[0]
    if first.error is not None and first.error.refused:
        return "refused"
    return "not approved" if first.approval_question is not None and first.approval is None else "cancelled"


def _print_start_again(view: RunView) -> None:
    """Of a server that goes on to serve: nobody starts it after a reboot, unless a person or a service manager does."""
    from understudy.cli.printing import say

    proofs = [step.evidence.proof for step in view.steps if step.evidence is not None]
    for command in (proof["start_again"] for proof in proofs if "start_again" in proof):
        say("The recovered server is not supervised. After a reboot of this host, start it with:")
        click.echo(f"  {command}")  # in one piece, to be copied
