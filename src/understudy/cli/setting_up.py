"""``init`` and ``check``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from understudy.cli.exit_codes import ExitCode
from understudy.cli.options import json_option, on_this_stack, stack_options
from understudy.cli.printing import print_json, say, words
from understudy.vocabulary.sizes import readable_size

if TYPE_CHECKING:
    from understudy.app.preflight import Preflight
    from understudy.judge.preflight import Finding

_FILE = click.Path(dir_okay=False, path_type=Path)
_DIRECTORY = click.Path(file_okay=False, path_type=Path)
_SERVER_SETTINGS = frozenset(
    {"data_checksums", "max_replication_slots", "max_slot_wal_keep_size", "max_wal_senders", "summarize_wal", "wal_level"}
)
"""PostgreSQL's own names stay as they are; any other aspect is told in words."""
_COLOURS = {"ok": "green", "warning": "yellow", "failure": "red"}


@click.command(
    epilog="""\b
Examples:
  understudy check                validate understudy.yaml, try all it needs
  understudy check -f /etc/understudy/shop.yaml --json
  understudy check --schema       print the JSON Schema, for editors

Exit codes: 0 nothing is in the way (warnings are possible), 2 the stack file is wrong, 3 something is in the way.
"""
)
@stack_options
@json_option
@click.option("--schema", is_flag=True, help="Only print the JSON Schema of stack files, for an editor.")
def check(stack_file: Path, state: Path | None, as_json: bool, schema: bool) -> None:
    """Validate the stack file, then try everything that protection and recovery need. Nothing is made or changed.

    With the line # yaml-language-server: $schema=FILE in the stack file, editors complete and explain its keys, and underline
    mistakes, by what --schema printed into FILE.
    """
    if schema:
        from understudy.stack.editor_schema import schema as schema_text

        click.echo(schema_text(), nl=False)
        return
    from understudy.app.preflight import check as carry_out_check
    from understudy.stack.mistakes import StackFileInvalid

    try:
        preflight = carry_out_check(stack_file, state)
    except StackFileInvalid as invalid:
        if not as_json:
            raise
        print_json({"stack_file": str(stack_file), "passed": False, "mistakes": invalid.mistakes, "findings": []})
        sys.exit(ExitCode.USAGE)
    if as_json:
        print_json(
            {"stack_file": preflight.stack_file, "passed": preflight.passed, "mistakes": [], "findings": preflight.findings}
        )
    else:
        _print(preflight)
    sys.exit(ExitCode.DONE if preflight.passed else ExitCode.PREREQUISITE)


@click.command(
    epilog="""\b
Examples:
  understudy init --url env:ORDERS_URL
  understudy init --url env:ORDERS_URL --stack shop \\
      --repository file:///mnt/backup/shop --kit /media/usb/shop-kit.txt
  understudy init --url 'host=/var/run/postgresql user=postgres' \\
      --repository s3://shop-recovery/prod \\
      --endpoint https://s3.example.com \\
      --access-key env:S3_KEY --secret-key env:S3_SECRET

Exit codes: 0 written, 1 the database or a directory cannot be used, 2 an option is wrong, 3 a secret is missing,
5 a file is there already, places are in use by another stack, or the server is too old.
"""
)
@click.option("--url", required=True, metavar="REFERENCE", help="Connection string: env:NAME, file:/path, or without password.")
@click.option("--resource", metavar="NAME", help="What to call the database. Default: made of the variable's or database's name.")
@click.option("--stack", metavar="NAME", help="What to call the stack. Default: main.")
@click.option("--repository", metavar="URL", help="file:///directory or s3://bucket/prefix. Default: a directory on this host.")
@click.option("--endpoint", metavar="URL", help="Of the S3 service, if it is not Amazon's.")
@click.option("--access-key", "access_key_reference", metavar="REFERENCE", help="S3 access key: env:NAME or file:/path.")
@click.option("--secret-key", "secret_key_reference", metavar="REFERENCE", help="S3 secret key: env:NAME or file:/path.")
@click.option("--output", type=_FILE, default="understudy.yaml", show_default=True, help="The stack file to write.")
@click.option("--keys", type=_DIRECTORY, help="Directory of the two key files. Default: beside the stack file.")
@click.option("--kit", type=_FILE, help="The recovery kit to write. Default: STACK-recovery-kit.txt beside the stack file.")
@click.option("--state", type=_DIRECTORY, envvar="UNDERSTUDY_STATE", help="State directory to name in the stack file.")
@json_option
def init(as_json: bool, **wish: Path | str | None) -> None:
    """Look at a database, then write a commented stack file, keys and the recovery kit. Nothing is overwritten.

    Directories and buckets go into that file by hand; its last lines show how.
    """
    from understudy.adapters.clock.system import SystemClock
    from understudy.app.initialising import FirstWish, initialise

    made = initialise(FirstWish(**wish), SystemClock())  # type: ignore[arg-type]
    if as_json:
        print_json(made)
        return
    found = made.found
    size = readable_size(found.size_bytes)
    say(f"found  PostgreSQL {found.version} at {found.address}, {size}, {len(found.tablespaces)} tablespaces")
    for what, path in (("stack file", made.stack_file), ("age identity", made.identity), ("signing key", made.signing_key)):
        say(f"wrote  {path} ({what})", hang=7)
    say(f"wrote  {made.kit} (recovery kit)", hang=7)
    named = "" if made.stack_file == Path("understudy.yaml").absolute() else f" -f {made.stack_file}"
    say(f"\nMove {made.kit.name} into a safe, away from this host: with it and understudy adopt, another takes its place. Then:")
    if not found.replicates:
        say(f"first, as a superuser: ALTER ROLE {found.role} REPLICATION;  (without it nothing can be protected)")
    for command in ("check", "serve", f"backup {made.resource}", "drill database_corruption"):
        click.echo(
            f"  understudy {command}{named}" + ("    # goes on; the others from another terminal" if command == "serve" else "")
        )


def _print(preflight: Preflight) -> None:
    """A block for each subject; what is wrong says beneath it what was expected and what to change."""
    width = max(len(_aspect(finding)) for finding in preflight.findings)
    subject = ""
    for finding in preflight.findings:
        if finding.subject != subject:
            click.echo(("\n" if subject else "") + click.style(finding.subject, bold=sys.stdout.isatty()))
            subject = finding.subject
        _print_finding(finding, width)
    say(f"\n{_summary(preflight.findings)}")


def _print_finding(finding: Finding, width: int) -> None:
    grade = finding.grade.value
    mark = click.style(grade.ljust(8), fg=_COLOURS[grade]) if sys.stdout.isatty() else grade.ljust(8)
    hang = width + 13
    say(f"  {mark} {_aspect(finding).ljust(width)}  {finding.found}", hang=hang)
    for name, text in (("expected:", finding.expected), ("change:", on_this_stack(finding.change))):
        if text:
            say(f"{' ' * hang}{name.ljust(9)} {text}", hang=hang + 10)


def _aspect(finding: Finding) -> str:
    return finding.aspect if finding.aspect in _SERVER_SETTINGS else words(finding.aspect)


def _summary(findings: Sequence[Finding]) -> str:
    counts = {grade: sum(finding.grade.value == grade for finding in findings) for grade in _COLOURS}
    text = f"ok: {counts['ok']}, warnings: {counts['warning']}, failures: {counts['failure']}"
    return text if counts["failure"] else f"{text}. Nothing is in the way."
