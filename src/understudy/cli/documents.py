"""``document plan``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

from understudy.cli.options import command_on, json_option, opened, stack_options
from understudy.cli.printing import print_json

if TYPE_CHECKING:
    from understudy.documents.disaster_plan import DisasterPlan
    from understudy.documents.paper import Paper
    from understudy.vocabulary.json import JsonObject

P = ParamSpec("P")
R = TypeVar("R")


@click.group()
def document() -> None:
    """Write documents to hand on: made from the stack file and the evidence, so that they say what is so."""


def paper_option(what: str, otherwise: str = "Markdown, printed") -> Callable[[Callable[P, R]], Callable[P, R]]:
    """``--to FILE``; the form is what the name ends with."""
    return click.option(
        "--to",
        "file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help=f"The {what} to write: FILE.md, FILE.html or FILE.pdf. Default: {otherwise}.",
    )


def require_form(file: Path | None) -> None:
    """Before anything is gathered for it.

    Raises:
        click.UsageError: it is no name of a form that a paper has.
        Refusal: ``file_unwritable``.
    """
    from understudy.app.papers import FORMS
    from understudy.app.proving import require_free, require_writable

    if file is None:
        return
    if file.suffix.lower() in FORMS:
        require_free(file)
        require_writable(file)
    else:
        raise click.UsageError(f"--to {file}: expected a name that ends in {', '.join(FORMS[:-1])} or {FORMS[-1]}")


def put_out(paper: Paper, file: Path | None) -> None:
    """Into the file, or as Markdown on standard output."""
    from understudy.app.papers import rendered, write_paper

    if file is None:
        click.echo(rendered(paper, ".md").decode(), nl=False)
    else:
        click.echo(f"written to {write_paper(paper, file)}")


@document.command(
    epilog="""\b
Examples:
  understudy document plan
      as Markdown, on the terminal
  understudy document plan --to plan.html
      a page for any browser, laid out for A4
  understudy document plan --to plan.pdf
      needs the extra: pip install 'understudy[report]'

Exit codes: 0 written, 2 the stack file is wrong, or FILE is of another kind, is there already or cannot be written, 3 what
makes a PDF is not installed.
"""
)
@paper_option("plan")
@stack_options
@json_option
def plan(file: Path | None, stack_file: Path, state: Path | None, as_json: bool) -> None:
    """Write the disaster recovery plan: objectives, order, backups, each scenario step by step, roles, what to do afterwards.

    Its procedures are the plans that would be carried out now, so the repositories are read and the databases' addresses asked;
    nothing is changed. Its figures are those of the evidence, with the run that each was measured in. Contacts are those of the
    stack file. What nobody declared or measured says so.
    """
    from understudy.app.disaster_planning import disaster_plan
    from understudy.app.papers import write_paper
    from understudy.documents.plan_paper import plan_paper

    require_form(file)
    found = disaster_plan(opened(stack_file, state), stack_file, command_on)
    paper = plan_paper(found)
    if as_json:
        print_json({"file": None if file is None else write_paper(paper, file), **_told(found)})
    else:
        put_out(paper, file)


def _told(plan: DisasterPlan) -> JsonObject:
    return {
        "stack": plan.stack.stack,
        "stack_digest": plan.digest,
        "procedures": [
            {
                "scenario": each.scenario,
                "resources": list(each.resources),
                "command": each.command,
                "steps": [str(step.key) for step in each.steps],
                "stands_against": each.stands_against.code if each.stands_against is not None else None,
                "proven_by": last.run if (last := plan.last_of(each.scenario, each.resources)) is not None else None,
            }
            for each in plan.procedures
        ],
    }
