"""``diff``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from understudy.cli.exit_codes import ExitCode
from understudy.cli.options import json_option, opened, stack_options
from understudy.cli.printing import print_json, say, table

if TYPE_CHECKING:
    from understudy.app.differences import Differences


@click.command(
    epilog="""\b
Examples:
  understudy diff documents 2026-11-23T03:00:00+00:00
      the newest snapshot from before, and the newest of all
  understudy diff documents 20261123-030000S 20261124-030000S
  understudy diff orders /srv/orders-before /srv/orders-after
      two copies of a database that restore made

Exit codes: 0 compared, whether anything differs or not; 1 it, or a table, could not be; 2 no such resource or snapshot.
"""
)
@click.argument("resource")
@click.argument("earlier")
@click.argument("later", required=False, default="")
@click.option("--repository", metavar="NAME", help="Of snapshots: those in this one. Default: the resource's first.")
@click.option(
    "--to", "file", type=click.Path(path_type=Path), metavar="FILE", help="Where they are listed, one JSON object a line."
)
@click.option(
    "--keys", type=click.IntRange(min=0), default=1000, show_default=True, help="So many of each part; the rest is counted."
)
@stack_options
@json_option
def diff(
    resource: str,
    earlier: str,
    later: str,
    repository: str | None,
    file: Path | None,
    keys: int,
    stack_file: Path,
    state: Path | None,
    as_json: bool,
) -> None:
    """List what differs of RESOURCE between EARLIER and LATER: rows, definitions and roles of a database; entries of a snapshot.

    Of a database these are two directories that restore --to made. Each copy is started for it, closed, and stopped again. Rows
    are compared by their primary key, or counted by their digests where there is none.

    Of all else they are labels of snapshots, or times: the newest that was complete then. LATER is by default the newest of all.
    What is quarantined is compared, too.
    """
    from understudy.app.differences import compare_databases, compare_snapshots, differences_file

    installation = opened(stack_file, state)
    target = file or differences_file(installation, resource)
    if installation.is_database(resource):
        if not later or repository is not None:
            raise click.UsageError("of a database give the directories of two restored copies, and no --repository")
        found = compare_databases(installation, resource, earlier, later, target, keys)
    else:
        found = compare_snapshots(installation, resource, earlier, later, repository, target, keys)
    if as_json:
        print_json(found)
    else:
        _print(found)
    sys.exit(ExitCode.DONE if all(each.compared for each in found.parts) else ExitCode.FAILED)


def _print(found: Differences) -> None:
    rows = [(each.part, f"{each.added}", f"{each.removed}", f"{each.changed}") for each in found.parts]
    if rows:
        table(("PART", "ADDED", "REMOVED", "CHANGED"), rows, fold="PART")
    for each in found.parts:
        if each.note:
            say(f"{each.part}: {each.note}", err=True)
    same = found.compared - len(found.parts)
    say(f"{len(found.parts)} differ, {same} are the same: {found.later} against {found.earlier}")
    say(f"each by its key: {found.file}")
