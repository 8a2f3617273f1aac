"""``drill``, ``recover``, and what is decided about a restore, too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

from understudy.cli.options import command_on, json_option, opened, stack_options, yes_option
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import Person, RepositoryName
from understudy.vocabulary.recovery_target import LATEST, RecoveryTarget, TargetKind, strictly_before, time_with_offset
from understudy.vocabulary.wal import Timeline

if TYPE_CHECKING:
    from understudy.app.installation import Installation
    from understudy.plan.request import Choice

P = ParamSpec("P")
R = TypeVar("R")

SCENARIOS = (
    "database_corruption", "data_loss", "storage_loss", "complete_failure", "security_incident", "application_failure",
)  # fmt: skip
_INTRUSION = "security_incident"
_EXPECTED = {
    "--before": "an ISO 8601 time with its offset, such as 2026-11-23T03:00:00+00:00",
    "--time": "an ISO 8601 time with its offset, such as 2026-11-23T03:00:00+00:00",
    "--lsn": "a position in the WAL, such as 0/3000060",
    "--xid": "a transaction's id in digits, as txid_current() prints it",
    "--name": "the name of a restore point, 1 to 63 bytes",
}
_HINT_OF_A_TIME = "append +00:00 for UTC, or your own offset: without one a time means something else on every machine"
_TARGET_OPTIONS = {
    TargetKind.TIME: "--time",
    TargetKind.LSN: "--lsn",
    TargetKind.TRANSACTION: "--xid",
    TargetKind.NAME: "--name",
}


def target_options(command: Callable[P, R]) -> Callable[P, R]:
    """What may be decided about any restore: the target, the timeline, the backup, the repository."""
    for option in reversed(
        (
            click.option("--time", "to_time", metavar="T", help="To a moment, such as 2026-11-23T03:00:00+00:00."),
            click.option("--lsn", metavar="L", help="To a position in the WAL, such as 0/3000060."),
            click.option("--xid", metavar="X", help="To a transaction by its id, itself included."),
            click.option("--name", metavar="N", help="To a restore point that pg_create_restore_point made."),
            click.option("--immediate", is_flag=True, help="Only as far as the backup needs to be consistent."),
            click.option(
                "--timeline",
                type=click.IntRange(min=1),
                metavar="TL",
                help="Follow this timeline. Default: the newest that fits.",
            ),
            click.option(
                "--backup",
                "label",
                metavar="LABEL",
                help="From this backup (understudy backups). Default: the newest before the target.",
            ),
            click.option("--repository", metavar="NAME", help="From this repository. Default: the resource's first."),
        )
    ):
        command = option(command)
    return command


def resource_option(command: Callable[P, R]) -> Callable[P, R]:
    option = click.option(
        "--resource",
        "--service",
        "resources",
        multiple=True,
        metavar="NAME",
        help="What is lost, a resource or a service; once for each. Needed where it could be one of several resources; of "
        "complete_failure, only these.",
    )
    return option(command)


def before_option(command: Callable[P, R]) -> Callable[P, R]:
    option = click.option(
        "--before",
        metavar="TIME",
        help="Of security_incident: the first moment of which nothing is to be believed, ISO 8601 with an offset. Everything "
        "comes back as it was before that.",
    )
    return option(command)


def quarantined_option(command: Callable[P, R]) -> Callable[P, R]:
    option = click.option("--quarantined", is_flag=True, help="Also from what is quarantined, to look at it.")
    return option(command)


def in_scenario(scenario: str, before: str | None, choice: Choice) -> Choice:
    """What was decided, with what the scenario decides.

    Raises:
        click.UsageError: ``--before`` is missing, or goes with nothing that was given.
        Refusal: ``option_malformed``.
    """
    if scenario != _INTRUSION:
        if before is not None:
            raise click.UsageError(f"--before is of {_INTRUSION}; a moment to go back to is --time")
        return choice
    if before is None:
        raise click.UsageError(f"{_INTRUSION} needs --before TIME: since when is the system not to be believed?")
    if choice.target != LATEST:
        raise click.UsageError("--before says what comes back: give no --time, --lsn, --xid, --name or --immediate with it")
    try:
        return replace(choice, target=strictly_before(time_with_offset(before)))
    except ValueError as error:
        raise _malformed("--before", before) from error


def tablespace_option(command: Callable[P, R]) -> Callable[P, R]:
    """Not for drills, whose sandbox holds everything."""
    option = click.option(
        "--tablespace", "tablespaces", multiple=True, metavar="NAME=DIR", help="Where a tablespace goes; once for each."
    )
    return option(command)


def choice_of(
    to_time: str | None,
    lsn: str | None,
    xid: str | None,
    name: str | None,
    immediate: bool,
    timeline: int | None,
    label: str | None,
    repository: str | None,
    tablespaces: tuple[str, ...] = (),
    only: str | None = None,
    database: str | None = None,
    table: str | None = None,
    quarantined: bool = False,
) -> Choice:
    """
    Raises:
        click.UsageError: more than one target, or part.
        Refusal: ``option_malformed``: one that is none.
    """
    from understudy.plan.request import Choice

    given = {TargetKind.TIME: to_time, TargetKind.LSN: lsn, TargetKind.TRANSACTION: xid, TargetKind.NAME: name}
    wanted = [(kind, value) for kind, value in given.items() if value is not None]
    wanted += [(TargetKind.IMMEDIATE, "")] if immediate else []
    parts = {"--only": only, "--database": database, "--table": table}
    if sum(1 for value in parts.values() if value) > 1:
        raise click.UsageError("give one part only: --only, --database or --table")
    if len(wanted) > 1:
        raise click.UsageError("give one target only: --time, --lsn, --xid, --name or --immediate")
    try:
        target = RecoveryTarget(*wanted[0]) if wanted else LATEST
    except ValueError as error:
        kind, value = wanted[0]
        raise _malformed(_TARGET_OPTIONS[kind], value) from error
    return Choice(
        target=target,
        timeline=Timeline(timeline) if timeline is not None else None,
        label=label,
        repository=RepositoryName(repository) if repository else None,
        tablespaces=dict(_named_directory(each) for each in tablespaces),
        only=only or None,
        database=database,
        table=table,
        quarantined=quarantined,
    )


def _malformed(option: str, text: str) -> Refusal:
    of_a_time = option in ("--time", "--since", "--before")
    return Refusal(
        "option_malformed",
        found=f"{option} {text!r}",
        expected=_EXPECTED["--time" if of_a_time else option],
        hint=_HINT_OF_A_TIME if of_a_time else "see this command's --help for examples",
    )


def _named_directory(text: str) -> tuple[str, str]:
    name, equals, directory = text.partition("=")
    if not (name and equals and directory.startswith("/")):
        raise Refusal(
            "option_malformed",
            found=f"--tablespace {text!r}",
            expected="NAME=/absolute/directory",
            hint="check names the tablespaces that there are; give each a directory of its own",
        )
    return name, directory


@click.command(
    epilog="""\b
Examples:
  understudy drill database_corruption         the newest commit, in a sandbox
  understudy drill data_loss --time 2026-11-23T03:00:00+00:00
  understudy drill complete_failure            everything, in order
  understudy drill application_failure --service web
  understudy drill security_incident --before 2026-11-23T03:00:00+00:00
  understudy drill data_loss --identity file:/mnt/safe/kit.txt

Exit codes: 0 it succeeded and every objective is known to be met, 1 it failed, or an objective was missed or is not known
to be met.
"""
)
@click.argument("scenario", type=click.Choice(SCENARIOS), metavar="SCENARIO")
@resource_option
@before_option
@click.option("--report", type=click.Path(path_type=Path), metavar="FILE", help="Write the evidence there as well.")
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write JUnit XML there, for a CI server.")
@click.option(
    "--identity",
    "opened_with",
    metavar="REFERENCE",
    help="Open what is stored with this one, such as the recovery kit's: file:/path or env:NAME. Default: encryption.identity.",
)
@target_options
@stack_options
@json_option
def drill(
    scenario: str,
    resources: tuple[str, ...],
    before: str | None,
    report: Path | None,
    junit: Path | None,
    opened_with: str | None,
    stack_file: Path,
    state: Path | None,
    as_json: bool,
    **target: object,
) -> None:
    """Rehearse SCENARIO in a sandbox with the code of the real recovery, measure it, and leave nothing behind.

    SCENARIO is database_corruption (a database is there but cannot be trusted), data_loss (its data are gone), storage_loss (a
    directory or a bucket is gone), complete_failure (everything is), security_incident (somebody was in it) or
    application_failure (a service does not serve). It says which objectives of the stack file count. Several resources come back
    in the order of their priority and depends_on, and at the same time where these leave it open. Services are started on the
    copies, by the commands that the stack file has for drills.

    As a recovery would, it first ships the WAL that this host received. What is protected goes on untouched. A bucket comes back
    in drill.url of the stack file.
    """
    from understudy.app.other_identity import checked_reference
    from understudy.app.proving import require_writable
    from understudy.app.recoveries import drill as carry_out_drill
    from understudy.cli.finishing import finish_measured
    from understudy.cli.foreground import watched
    from understudy.cli.junit import told_as_junit
    from understudy.stack.models import Scenario

    with told_as_junit(junit, Scenario(scenario)) as told:
        if report is not None:
            require_writable(report)
        installation = opened(stack_file, state)
        choice = in_scenario(scenario, before, choice_of(**target))  # type: ignore[arg-type]
        if opened_with is not None:
            choice = replace(choice, opened_with=checked_reference(opened_with))
        with watched(installation, quiet=as_json) as watcher:
            view = carry_out_drill(installation, Scenario(scenario), resources, choice, watcher)
        told.tell(installation, view)
    finish_measured(installation, view, as_json, report, reported=told.whole)


@click.command(
    epilog="""\b
Examples:
  understudy recover database_corruption       asks before it stops anything
  understudy recover data_loss --time 2026-11-23T03:00:00+00:00 --yes
  understudy recover database_corruption --since 2026-11-23T03:12:00+00:00
  understudy recover storage_loss --resource documents
  understudy recover complete_failure
  understudy recover application_failure --service web
  understudy recover security_incident --before 2026-11-23T03:00:00+00:00

Exit codes: as those of drill; 130 where a person does not agree.
"""
)
@click.argument("scenario", type=click.Choice(SCENARIOS), metavar="SCENARIO")
@resource_option
@before_option
@click.option(
    "--take-over",
    is_flag=True,
    help="Write to repositories that another controller wrote to last: you say that it is gone for good.",
)
@click.option(
    "--since",
    metavar="TIME",
    help="When the disaster struck, ISO 8601 with an offset: the recovery's time and loss count from there. "
    "Default: when serve last saw the server answer, else the start of this command.",
)
@click.option("--override-fence", metavar="NAME", help="Your name: go on although the old server could not be fenced.")
@click.option("--no-warm-copy", is_flag=True, help="Restore a base backup although a warm copy is kept.")
@click.option("--report", type=click.Path(path_type=Path), metavar="FILE", help="Write the evidence there as well.")
@target_options
@tablespace_option
@yes_option
@stack_options
@json_option
def recover(
    scenario: str,
    resources: tuple[str, ...],
    before: str | None,
    take_over: bool,
    since: str | None,
    override_fence: str | None,
    no_warm_copy: bool,
    report: Path | None,
    yes: bool,
    stack_file: Path,
    state: Path | None,
    as_json: bool,
    **target: object,
) -> None:
    """Carry out SCENARIO for real: fence the old server, restore, replay, verify, open, and protect again.

    SCENARIO is database_corruption (a database is there but cannot be trusted), data_loss (its data are gone), storage_loss (a
    directory or a bucket is gone), complete_failure (everything is), security_incident (somebody was in it) or
    application_failure (a service does not serve; nothing is restored). It says which objectives of the stack file count. Several
    resources come back in the order of their priority and depends_on, and at the same time where these leave it open; you are
    asked once.

    Services that depend on what is lost are stopped first, and started and checked once it is back.

    A database comes up in recover.directory of the stack file, a directory in its own path; what stands there is set aside, not
    removed. A bucket comes back where it was, and must be empty: in it nothing can be set aside.

    In security_incident everything comes back as it was before --before. What was stored since is quarantined in the
    repositories, and so is what stands in place: both stay, and no restore chooses them (understudy quarantine list).

    Where the stack file keeps a warm copy, a recovery to the newest commit goes on from that instead of restoring; where that
    fails, a base backup is restored.

    The only server that is stopped is one that runs in recover.directory of this host. While another one answers, at url or at
    recover.url, on this host or elsewhere, recover refuses: stop it yourself first.
    """
    import getpass

    from understudy.app.proving import require_writable
    from understudy.app.recoveries import recover as carry_out_recovery
    from understudy.cli.finishing import finish_measured
    from understudy.cli.foreground import watched
    from understudy.cli.watching import said_when_long
    from understudy.stack.models import Scenario

    if report is not None:
        require_writable(report)
    disrupted = _moment_of_disaster(since)
    choice = in_scenario(scenario, before, choice_of(**target))  # type: ignore[arg-type]
    if no_warm_copy:
        choice = replace(choice, warm_copy_declined="--no-warm-copy was given")
    installation = opened(stack_file, state)
    _say_what_is_left(installation, scenario, resources)
    with watched(installation, yes=yes, quiet=as_json) as watcher:
        view = carry_out_recovery(
            installation,
            Scenario(scenario),
            resources,
            choice,
            watcher,
            approved_by=Person(getpass.getuser()) if yes else None,
            fence_override_by=Person(override_fence) if override_fence else None,
            take_over=take_over,
            since=disrupted,
            looking=lambda what: said_when_long(what, quiet=as_json),
        )
    finish_measured(installation, view, as_json, report)


def _say_what_is_left(installation: Installation, scenario: str, resources: tuple[str, ...]) -> None:
    """Who recovers everything shall not believe that this was all."""
    from understudy.app.stack_recoveries import restored_by_hand
    from understudy.stack.models import Scenario

    for name in restored_by_hand(installation, Scenario(scenario), resources):
        way = command_on("restore", name, "--to", "DIRECTORY")
        click.echo(f"{name}: the stack file does not say how it is put in its place; do that yourself: {way}", err=True)


def _moment_of_disaster(text: str | None) -> datetime | None:
    try:
        return None if text is None else time_with_offset(text)
    except ValueError as error:
        raise _malformed("--since", str(text)) from error
