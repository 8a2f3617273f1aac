"""``quarantine list`` and ``quarantine lift``."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

import click

from understudy.cli.exit_codes import ExitCode
from understudy.cli.options import command_on, json_option, looked_at, on_this_stack, opened, stack_options, yes_option
from understudy.cli.printing import moment, print_json, say, table


@click.group()
def quarantine() -> None:
    """Show or lift quarantines: from when on nothing of a resource is to be believed."""


@quarantine.command(
    name="list",
    epilog="""\b
Examples:
  understudy quarantine list
  understudy quarantine list orders --json

Exit codes: 0 every repository was asked, 1 one could not be, 2 no such resource.
""",
)
@click.argument("resource", required=False)
@stack_options
@json_option
def list_(resource: str | None, stack_file: Path, state: Path | None, as_json: bool) -> None:
    """List what is quarantined, in which repositories, up to which timeline of a database, and what was lifted.

    Backups, WAL and snapshots of a resource that ended at that moment or later, and were begun before it was quarantined, are
    chosen by no restore, drill or recovery; no backup stands on them, and expire keeps them.
    """
    from understudy.app.quarantines import list_quarantines

    listing = list_quarantines(looked_at(stack_file, state), resource)
    if as_json:
        print_json(listing)
    else:
        rows = [
            (
                each.resource,
                each.name,
                moment(each.since),
                moment(each.until),
                "lifted" if each.lifted else "stands",
                " ".join(map(str, each.timelines)),
                ", ".join(each.there),
            )
            for each in listing.quarantines
        ]
        if rows:
            table(("RESOURCE", "NAME", "FROM", "SET", "STATE", "TIMELINE", "REPOSITORIES"), rows, shed=("SET",))
        elif not listing.away:
            say("nothing is quarantined")
        for each in listing.quarantines:
            if each.lacking and not each.lifted:
                lacking = ", ".join(each.lacking)
                say(
                    f"{each.name} of {each.resource} is not marked in {lacking} yet; the next backup from here marks it", err=True
                )
        for away in listing.away:
            say(f"what {away.repository} marks of {away.resource} is not known: {away.code}: {away.found}", err=True)
            if away.hint:
                say(f"  hint: {on_this_stack(away.hint)}", err=True)
    sys.exit(ExitCode.FAILED if listing.away else ExitCode.DONE)


@quarantine.command(
    epilog="""\b
Examples:
  understudy quarantine lift orders      all that stand
  understudy quarantine lift orders \\
      --name 20261123T030000Z-20261124-081500-1f3c2a

Exit codes: 0 lifted, also where it was before; 2 no such resource or quarantine; 5 nobody was there to ask; 130 not agreed.
"""
)
@click.argument("resource")
@click.option("--name", metavar="NAME", help="Only this one, as quarantine list calls it.")
@stack_options
@json_option
@yes_option
def lift(resource: str, name: str | None, stack_file: Path, state: Path | None, as_json: bool, yes: bool) -> None:
    """Say that what is quarantined of RESOURCE is to be believed after all, or that nobody needs it any more.

    From then on restores may choose it again, and expire goes by the rules alone. Nothing is removed by this, and what was marked
    stays to be read.
    """
    from understudy.app.quarantines import lift_quarantines
    from understudy.vocabulary.identifiers import Person

    installation = opened(stack_file, state)
    installation.resource(resource)
    _require_agreement(resource, yes)
    lifted = lift_quarantines(installation, resource, name, Person(getpass.getuser()))
    if as_json:
        print_json(lifted)
        return
    for each in lifted.names:
        say(f"lifted: {each} of {resource}, in {', '.join(lifted.repositories)}")
    if not lifted.names:
        say(f"nothing is quarantined of {resource}")
    for away in lifted.away:
        say(f"{away.repository} could not be told: {away.code}: {away.found}; the next backup from here tells it", err=True)
    say(f"what restores choose from now: {command_on('backups', resource)}")


def _require_agreement(resource: str, yes: bool) -> None:
    from understudy.vocabulary.errors import Refusal

    if yes:
        return
    if not sys.stdin.isatty():
        raise Refusal(
            "not_agreed",
            found="nobody is at a terminal to agree to this",
            expected="a person who knows that what is quarantined may be restored again",
            hint="look with: understudy quarantine list; then agree beforehand with --yes",
        )
    if not click.confirm(f"May restores choose again what is quarantined of {resource}, and expire remove it?", err=True):
        raise click.Abort
