"""``evidence verify``, ``evidence export`` and ``evidence report``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from understudy.cli.documents import paper_option, put_out, require_form
from understudy.cli.exit_codes import ExitCode
from understudy.cli.options import command_on, json_option, looked_at, on_this_stack, opened, opened_with_runs, stack_options
from understudy.cli.printing import print_json, say, words
from understudy.vocabulary.identifiers import RunId

if TYPE_CHECKING:
    from understudy.app.proving import EvidenceVerdict
    from understudy.vocabulary.json import Json

_NAMED = 3


@click.group()
def evidence() -> None:
    """Verify, export or print the chain of evidence: what every step of every run saw, signed."""


@evidence.command(
    epilog="""\b
Examples:
  understudy evidence verify
      the whole chain of this control plane, and all copies of it
  understudy evidence verify drill.json
      a file that was exported, with the keys that the stack file trusts
  understudy evidence verify drill.json --signer "$KEY"
      elsewhere: no stack file is needed (the recovery kit names the signers)

Exit codes: 0 all is as it was signed, 1 something is not, 2 an option or the stack file is wrong, 3 there is no record yet.
"""
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--signer", "signers", multiple=True, metavar="KEY", help="With FILE: trust this public key, not those of the stack file."
)
@stack_options
@json_option
def verify(file: Path | None, signers: tuple[str, ...], stack_file: Path, state: Path | None, as_json: bool) -> None:
    """Find records that were edited, removed, reordered or cut off, or put back from an older copy.

    Whatever is shown of a run and its steps must be what the signed chain says. Without FILE the chain is also held against its
    copies in the state directory and in each repository that can be reached.
    """
    from understudy.app.proving import verify_evidence, verify_exported

    if signers:
        if file is None:
            raise click.UsageError("--signer goes with the FILE of an export")
        verdict = verify_exported(file, [_signer(each) for each in signers])
    else:
        verdict = verify_evidence(looked_at(stack_file, state), file)
    if as_json:
        print_json(verdict)
    else:
        _print(verdict)
    sys.exit(ExitCode.FAILED if verdict.findings else ExitCode.DONE)


def _signer(text: str) -> str:
    from understudy.stack.expectation import Unfit
    from understudy.stack.values import parse_signer

    try:
        return parse_signer(text)
    except Unfit as unfit:
        raise click.UsageError(f"--signer {text}: expected {unfit.expected}") from None


def _print(verdict: EvidenceVerdict) -> None:
    for finding in verdict.findings:
        place = f" at link {finding.sequence}" if finding.sequence is not None else ""
        say(f"{words(finding.fault.value)}{place}: {finding.found}")
    if not verdict.findings:
        copies = f", {verdict.copies} copies agree" if verdict.copies else ""
        say(f"{verdict.subject}: {verdict.links} links, all as they were signed{copies}")
    for controller, links in verdict.of_others.items():
        say(f"not here: {links} links of controller {controller}, which wrote to these repositories, too")
    for reason, runs in verdict.unproven.items():
        named = ", ".join(runs[-_NAMED:]) if len(runs) <= _NAMED else f"{len(runs)} runs, the newest of them {runs[-1]}"
        say(f"not proven, but for the steps: {named}: {reason}")
    for place, why in verdict.not_compared.items():
        say(f"not compared: {place}: {why}")


@evidence.command(
    epilog="""\b
Examples:
  understudy evidence export 20261124-031059-56e991 --to drill.json
  understudy evidence export --to everything.json
"""
)
@click.argument("run", required=False)
@click.option("--to", "file", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The file to write.")
@stack_options
@json_option
def export(run: str | None, file: Path, stack_file: Path, state: Path | None, as_json: bool) -> None:
    """Write the evidence of RUN, or of everything, as one JSON file that can be verified elsewhere."""
    from understudy.app.proving import export_evidence, require_free

    require_free(file)
    exported = export_evidence(opened(stack_file, state), RunId(run) if run else None, file)
    if as_json:
        print_json({"file": file, "run": run, "links": len(cast("Sequence[Json]", exported["links"]))})
        return
    click.echo(f"written to {file}")


@evidence.command(
    epilog="""\b
Examples:
  understudy evidence report 20261124-031059-56e991
      beside the evidence of the run in the state directory
  understudy evidence report 20261124-031059-56e991 --to recovery.html
  understudy evidence report 20261124-031059-56e991 --to recovery.pdf
      needs the extra: pip install 'understudy[report]'

Exit codes: 0 written, 2 the run is not known, or FILE is of another kind, is there already or
cannot be written, 3 what makes a PDF is not installed.
"""
)
@click.argument("run")
@click.option("--to", "file", type=click.Path(path_type=Path), metavar="FILE", help="The page to write: FILE.html or FILE.pdf.")
@stack_options
@json_option
def report(run: str, file: Path | None, stack_file: Path, state: Path | None, as_json: bool) -> None:
    """Write a page about RUN to read, to print and to hand on: how it went, and what proves it.

    One HTML file without anything from elsewhere, laid out for screens and for A4; or the same as PDF. Of a real recovery it ends
    with the draft of an incident record.
    """
    from understudy.app.reporting import write_report

    if file is not None and file.suffix.lower() not in (".html", ".pdf"):
        raise click.UsageError(f"--to {file}: expected a name that ends in .html or .pdf")
    installation = opened_with_runs(stack_file, state)
    installation = installation.reading(installation.past)
    written = write_report(installation, RunId(run), file, command_on("evidence", "verify"), on_this_stack)
    if as_json:
        print_json({"file": written, "run": run})
        return
    click.echo(f"written to {written}")


@evidence.command(
    epilog="""\b
Examples:
  understudy evidence incident 20261124-031059-56e991
      as Markdown, on the terminal
  understudy evidence incident 20261124-031059-56e991 --to incident.pdf

Exit codes: 0 written, 2 the run is not known, or FILE is of another kind, is there already or cannot be written, 3 what makes
a PDF is not installed, 5 the run is no real recovery, or touched nothing.
"""
)
@click.argument("run")
@paper_option("record")
@stack_options
@json_option
def incident(run: str, file: Path | None, stack_file: Path, state: Path | None, as_json: bool) -> None:
    """Write the incident record of the real recovery RUN: what the records know, and blanks for what only people know.

    One is written beside the evidence when a recovery ends. This makes it anew: the same as long as no finding about the run is
    added or closed.
    """
    from understudy.app.incidents import incident_of
    from understudy.app.papers import write_paper

    require_form(file)
    installation = opened_with_runs(stack_file, state)
    installation = installation.reading(installation.past)
    paper = incident_of(installation, RunId(run), command_on("evidence", "verify"), on_this_stack)
    if as_json:
        print_json({"run": run, "file": None if file is None else write_paper(paper, file), "title": paper.title})
    else:
        put_out(paper, file)
