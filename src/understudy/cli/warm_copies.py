"""``warm-copy``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from understudy.cli.exit_codes import ExitCode
from understudy.cli.options import command_on, json_option, on_this_stack, opened, stack_options
from understudy.cli.printing import duration, moment, print_json, say
from understudy.vocabulary.sizes import readable_size

if TYPE_CHECKING:
    from understudy.app.warm_copies import WarmCopyStatus


@click.group("warm-copy")
def warm_copy() -> None:
    """A copy of a database that is kept beside it and replays all WAL: a recovery goes on from it instead of restoring."""


@warm_copy.command(
    epilog="""\b
Examples:
  understudy warm-copy seed orders
      now, from the newest backup; the copy before stays until it is verified

Exit codes: 0 it is the warm copy now, 1 it failed, 2 the stack file keeps none of this resource.
"""
)
@click.argument("resource")
@stack_options
@json_option
def seed(resource: str, stack_file: Path, state: Path | None, as_json: bool) -> None:
    """Seed a warm copy of RESOURCE now, as serve does by itself after each full backup.

    The newest backup is restored beside the copy that there is, replayed to the newest WAL, read whole, and each page checked.
    Only then it takes the other's place.
    """
    from understudy.app.warm_copies import seed as carry_out_seeding
    from understudy.cli.foreground import watched
    from understudy.cli.running import print_run

    installation = opened(stack_file, state)
    with watched(installation, quiet=as_json) as watcher:
        view = carry_out_seeding(installation, resource, watcher)
    print_run(view, as_json)
    if not as_json and view.succeeded:
        say(f"It is followed as long as this runs: {command_on('serve')}")
    sys.exit(ExitCode.of_run(view))


@warm_copy.command(
    epilog="""\b
Examples:
  understudy warm-copy show
  understudy warm-copy show orders --json

Exit codes: 0 each could be used by a recovery now, 1 one could not, 2 the stack file keeps none.
"""
)
@click.argument("resource", required=False)
@stack_options
@json_option
def show(resource: str | None, stack_file: Path, state: Path | None, as_json: bool) -> None:
    """Show each warm copy: from which backup it came, how far it is behind, and whether a recovery would use it."""
    from understudy.app.warm_copies import look_at_warm_copies

    found = look_at_warm_copies(opened(stack_file, state), resource)
    if as_json:
        print_json(found)
    else:
        for name, each in found.items():
            click.echo(click.style(str(name), bold=True))
            for label, value in warm_copy_rows(each):
                say(f"  {label.ljust(14)} {value}", hang=17)
            for label, value in _where(each):
                say(f"  {label.ljust(14)} {value}", hang=17)
    sys.exit(ExitCode.DONE if all(each.usable for each in found.values()) else ExitCode.FAILED)


def _where(copy: WarmCopyStatus) -> Iterator[tuple[str, str]]:
    if copy.directory:
        yield "directory", copy.directory
    if copy.replayed_lsn:
        last = copy.last_replayed_commit
        yield "replayed", f"{copy.replayed_lsn}, last commit {last}" if last else copy.replayed_lsn


def warm_copy_rows(copy: WarmCopyStatus) -> Iterator[tuple[str, str]]:
    """For ``status``, too."""
    if not copy.directory:
        yield "warm copy", f"none yet{f': {copy.fault}' if copy.fault else ''}"
    else:
        verified = f", verified {moment(copy.verified)}" if copy.verified is not None else ""
        yield "warm copy", f"{_lag(copy)}; from backup {copy.label}{verified}"
        if copy.fault:
            yield "", click.style("fault", fg="red") + f": {copy.fault}{f'. {on_this_stack(copy.hint)}' if copy.hint else ''}"
    if copy.seeding_refused:
        yield "", click.style("not seeded", fg="yellow") + f": {copy.seeding_refused}"


def _lag(copy: WarmCopyStatus) -> str:
    if copy.lag_seconds is None or copy.lag_bytes is None:
        return "its lag is not known" if copy.following else "not followed"
    if copy.lag_bytes == 0:
        return "has replayed all that is stored"
    return f"{duration(copy.lag_seconds)} behind, {readable_size(copy.lag_bytes)}"
