"""``backup``, ``backups``, ``verify``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from understudy.cli.exit_codes import ExitCode
from understudy.cli.options import json_option, opened, stack_options
from understudy.cli.printing import moment, print_json, size, table
from understudy.vocabulary.identifiers import BackupKind


@click.command(
    epilog="""\b
Examples:
  understudy backup orders                 incremental where possible, else full, and says why
  understudy backup orders --full
"""
)
@click.argument("resource")
@click.option("--full", "kind", flag_value=BackupKind.FULL.value, help="A full backup.")
@click.option("--incremental", "kind", flag_value=BackupKind.INCREMENTAL.value, help="An incremental one (PostgreSQL 17+).")
@stack_options
@json_option
def backup(resource: str, kind: str | None, stack_file: Path, state: Path | None, as_json: bool) -> None:
    """Take a base backup of RESOURCE now, with all the WAL that it needs, into every repository of the resource."""
    from understudy.app.backups import back_up
    from understudy.cli.running import print_run
    from understudy.cli.watching import TerminalWatcher

    view = back_up(opened(stack_file, state), resource, BackupKind(kind) if kind else None, TerminalWatcher(quiet=as_json))
    print_run(view, as_json)
    sys.exit(ExitCode.DONE if view.succeeded else ExitCode.FAILED)


@click.command()
@click.argument("resource", required=False)
@stack_options
@json_option
def backups(resource: str | None, stack_file: Path, state: Path | None, as_json: bool) -> None:
    """List the backups in the repositories, and what is there but can't be used."""
    from understudy.app.backups import list_backups

    listing = list_backups(opened(stack_file, state), resource)
    if as_json:
        print_json(listing)
        return
    rows = [
        (
            each.backup.resource,
            each.backup.label.text,
            each.backup.kind.value,
            moment(each.backup.stop_time),
            size(each.backup.plain_bytes),
            size(each.backup.sealed_bytes),
            str(each.backup.timeline),
            each.repository,
        )
        for each in listing.usable
    ]
    table(("RESOURCE", "LABEL", "KIND", "CONSISTENT SINCE", "SIZE", "STORED", "TIMELINE", "REPOSITORY"), rows)
    for bad in listing.unusable:
        click.echo(f"unusable in {bad.repository}: {bad.key}: {bad.code}: {bad.found}", err=True)
