"""``restore``."""

from __future__ import annotations

from pathlib import Path

import click

from understudy.cli.options import json_option, opened, stack_options, yes_option
from understudy.cli.recovering import choice_of, quarantined_option, tablespace_option, target_options
from understudy.vocabulary.identifiers import Person


@click.command(
    epilog="""\b
Examples:
  understudy restore orders --to /srv/orders-copy
  understudy restore orders --to /srv/orders-copy \\
      --time 2026-11-23T03:00:00+00:00
  understudy restore orders --to /srv/found --database postgres
  understudy restore documents --to /srv/found --only contracts/2026
  understudy restore accounts --to /srv/found --database shop
  understudy restore accounts --to /srv/found --table shop.public.orders
  understudy restore accounts --load --yes --into env:NEW_SERVER_URL \\
      --database shop --as shop_yesterday
  understudy restore sources --load --yes       through its load command
"""
)
@click.argument("resource")
@click.option(
    "--to",
    "place",
    metavar="PLACE",
    help="An empty directory, or one to be made; of a bucket another one or a prefix in it, s3://BUCKET/PREFIX.",
)
@click.option(
    "--load",
    "loads",
    is_flag=True,
    help="Instead of --to: of a command, hand what its dump wrote to its load command; of a dump, load it into a running server.",
)
@click.option(
    "--into",
    metavar="REFERENCE",
    default="",
    help="With --load, of a dump: the server, as a reference to its connection string. Default: recover.url of the stack file.",
)
@click.option("--as", "renamed", metavar="NAME", default="", help="With --load of one database or table: the database to make.")
@click.option(
    "--only",
    metavar="NAME",
    help="Of a directory: this file, or this directory with all below it. Of a bucket: this object, or those whose keys begin "
    "with NAME, where it ends in a slash.",
)
@click.option("--database", metavar="NAME", help="Of databases: this one alone, as pg_dump writes it.")
@click.option("--table", metavar="DB.SCHEMA.TABLE", help="Of databases: this table alone, likewise.")
@target_options
@tablespace_option
@quarantined_option
@yes_option
@stack_options
@json_option
def restore(
    resource: str,
    place: str | None,
    loads: bool,
    into: str,
    renamed: str,
    yes: bool,
    stack_file: Path,
    state: Path | None,
    as_json: bool,
    **target: object,
) -> None:
    """Restore RESOURCE, its name under resources in the stack file, into an empty place beside the original.

    A database is replayed to the target, promoted and verified, and its server left stopped there. The target is the newest
    commit, unless an option names another. WAL that this host received and has not shipped goes into the repository first, if it
    is this control plane's to write to. With --database or --table the server is brought up aside, that part is taken out of it
    by pg_dump and counted, and all else removed.

    All else comes back from a snapshot: the newest, the newest before --time, or --backup. Every content is compared with its
    SHA-256, on the way and once it lies there. A bucket is reached with the resource's endpoint and keys. What a command wrote
    comes back as a file, or goes into its load command: with --load, which asks first, or takes --yes for an answer. A dump comes
    back as pg_dump's files, or is loaded: under temporary names, counted, and only then renamed. Nothing there is overwritten.
    --lsn, --xid, --name, --immediate, --timeline and --tablespace are for databases.

    What is quarantined since a security_incident is chosen with --quarantined alone. Of a database name the timeline, too, which
    quarantine list tells: without it the newest one is followed, which began with the recovery.
    """
    import getpass

    from understudy.app.loading import load as carry_out_load
    from understudy.app.recoveries import restore as carry_out_restore
    from understudy.cli.finishing import finish_restored
    from understudy.cli.foreground import watched

    if (place is None) is not loads:
        raise click.UsageError("give one of --to PLACE and --load")
    if (into or renamed) and not loads:
        raise click.UsageError("--into and --as go with --load")
    choice = choice_of(**target)  # type: ignore[arg-type]
    if loads and choice.quarantined:
        raise click.UsageError("--quarantined is to look at what came back: restore it --to DIRECTORY")
    installation = opened(stack_file, state)
    with watched(installation, yes=yes, quiet=as_json) as watcher:
        if place is None:
            approved_by = Person(getpass.getuser()) if yes else None
            view = carry_out_load(installation, resource, choice, watcher, approved_by, into, renamed)
        else:
            view = carry_out_restore(installation, resource, place, choice, watcher)
    finish_restored(installation, resource, view, as_json)
