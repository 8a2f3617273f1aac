"""``backup``, ``backups``, ``verify``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, cast

import click

from understudy.cli.exit_codes import ExitCode
from understudy.cli.looking_at_snapshots import changed_told, left_out_told
from understudy.cli.options import command_on, json_option, on_this_stack, opened, stack_options
from understudy.cli.printing import FOUND_HANG, found_lines, moment, print_json, say, table
from understudy.vocabulary.evidence import Outcome
from understudy.vocabulary.identifiers import BackupKind
from understudy.vocabulary.json import JsonObject
from understudy.vocabulary.sizes import readable_size

if TYPE_CHECKING:
    from datetime import datetime

    from understudy.app.damage import Damage
    from understudy.app.installation import Installation
    from understudy.app.listing import BackupsEverywhere
    from understudy.app.run_view import RunView
    from understudy.app.streaming import LeftStreaming
    from understudy.app.verify_results import BackupCheckResult, VerifyResult
    from understudy.repository.backup_checks import ObjectFault


@click.command(
    epilog="""\b
Examples:
  understudy backup orders            incremental where possible, else full
  understudy backup orders --full
  understudy backup documents         a snapshot of a directory
  understudy backup sources           what its command writes
  understudy backup accounts          a dump of each database
  understudy backup orders --take-over
      where the machine that wrote to these repositories is gone for good

Exit codes: 0 all of it was taken, 1 it failed, or what never rested is left out of the snapshot.
"""
)
@click.argument("resource")
@click.option("--full", is_flag=True, help="A full backup, also where an incremental one is possible.")
@click.option(
    "--incremental", is_flag=True, help="An incremental one (PostgreSQL 17+); full where none is possible, and says why."
)
@click.option(
    "--take-over",
    is_flag=True,
    help="Write to repositories that another controller wrote to last: you say that it is gone for good.",
)
@stack_options
@json_option
def backup(
    resource: str, full: bool, incremental: bool, take_over: bool, stack_file: Path, state: Path | None, as_json: bool
) -> None:
    """Take a backup of RESOURCE now, into every repository of the resource.

    RESOURCE is its name under resources in the stack file.

    Of what is no database it is a snapshot: whole by itself, but only what no earlier one holds is read and stored; with
    --full, all of it.

    Of a database it is a base backup with all the WAL that it needs. The WAL receiver that it starts, and its replication slot on
    the server, stay: incremental backups and point-in-time recovery stand on them. Without serve it says how to end both.
    """
    from understudy.app.backups import back_up
    from understudy.cli.foreground import watched

    if full and incremental:
        raise click.UsageError("give one kind only: --full or --incremental")
    wanted = BackupKind.FULL if full else BackupKind.INCREMENTAL if incremental else None
    installation = opened(stack_file, state)
    with watched(installation, quiet=as_json) as watcher:
        view = back_up(installation, resource, wanted, watcher, take_over=take_over)
    finish_backup(installation, resource, view, as_json)


def finish_backup(installation: Installation, resource: str, view: RunView, as_json: bool) -> NoReturn:
    """What was taken, and what goes on; ends the process."""
    from understudy.app.streaming import left_streaming
    from understudy.cli.running import print_run

    if not as_json:
        _print_kind(view)
        _print_snapshot(view)
    print_run(view, as_json)
    if not as_json and installation.is_database(resource):
        _print_what_goes_on(left_streaming(installation, resource))
    ended = ExitCode.of_run(view)
    sys.exit(ExitCode.FAILED if ended is ExitCode.DONE and _left_out(view) else ended)


def _print_kind(view: RunView) -> None:
    """Which kind was taken, and why that one: what was asked for is not always possible."""
    taken = next((step.evidence for step in view.steps if step.key.endswith("/take-base-backup")), None)
    if taken is not None and taken.outcome is Outcome.DONE:
        say(f"{taken.proof['kind']} backup {taken.proof['label']}: {taken.proof['reason']}")


def _print_snapshot(view: RunView) -> None:
    taken = next((step.evidence for step in view.steps if step.key.endswith("/take-snapshot")), None)
    if taken is not None and taken.outcome is Outcome.DONE:
        proof = taken.proof
        content, stored = (readable_size(cast(int, proof[name])) for name in ("content_bytes", "stored_bytes"))
        say(f"snapshot {proof['label']}: {proof['entries']} entries, {content}; {stored} stored: {proof['reason']}")
        changed, left_out = (cast(int, proof[name]) for name in ("changed_while_read", "left_out"))
        if changed:
            say(f"  unsettled: {changed_told(changed)}: {_names(proof, 'names_changed_while_read')}")
        if left_out:
            say(f"  left out: {left_out_told(left_out)}: {_names(proof, 'names_left_out')}")
            say("  Leave them out by exclude in the stack file and keep a dump of them instead, or back up while they rest.")


def _names(proof: JsonObject, name: str) -> str:
    """The first of them."""
    return ", ".join(cast("Sequence[str]", proof[name]))


def _left_out(view: RunView) -> bool:
    """Whether the snapshot lacks what lies in the source."""
    taken = (step.evidence for step in view.steps if step.key.endswith("/take-snapshot"))
    return any(evidence is not None and evidence.proof.get("left_out") for evidence in taken)


def _print_what_goes_on(left: LeftStreaming | None) -> None:
    if left is None:
        return
    say(f"WAL goes on streaming into {left.spool}: process {left.receiver_pid}, replication slot {left.slot}.")
    say(f"  Nothing stores it in the repositories until: {command_on('serve')} (or the next backup)")
    click.echo("  To protect this database no longer:")
    if left.synchronous:
        say(f"    take {left.slot} out of synchronous_standby_names on the server, or its commits wait for ever")
    click.echo(f"    kill {left.receiver_pid}")
    say(f"    SELECT pg_drop_replication_slot('{left.slot}');    on the server, or WAL piles up there")


@click.command(
    epilog="""\b
Examples:
  understudy backups                 of every resource, in every repository
  understudy backups orders --json
  understudy backups --repository far

Exit codes: 0 every repository was asked, 1 one could not be, 2 no such resource or repository, 3 there is no backup.
"""
)
@click.argument("resource", required=False)
@click.option("--repository", metavar="NAME", help="Only of this one.")
@stack_options
@json_option
def backups(resource: str | None, repository: str | None, stack_file: Path, state: Path | None, as_json: bool) -> None:
    """List the backups and snapshots in the repositories, and what is there but can't be used."""
    from understudy.app.listing import list_backups

    listing = list_backups(opened(stack_file, state), resource, repository)
    if as_json:
        print_json(listing)
    else:
        _print_backups(listing)
    sys.exit(ExitCode.FAILED if listing.away else ExitCode.DONE)


def _print_backups(listing: BackupsEverywhere) -> None:
    rows: list[tuple[str, ...]] = [
        (
            each.backup.resource,
            each.backup.label.text,
            each.backup.kind.value,
            moment(each.backup.stop_time),
            readable_size(each.backup.plain_bytes),
            readable_size(each.backup.sealed_bytes),
            str(each.backup.timeline),
            each.repository,
            _until(each.locked_until),
        )
        for each in listing.usable
    ]
    rows += [
        (
            each.snapshot.resource,
            each.snapshot.label.text,
            "snapshot",
            moment(each.snapshot.stop_time),
            readable_size(each.snapshot.content_bytes),
            readable_size(each.snapshot.sealed_bytes),
            "",
            each.repository,
            _until(each.locked_until),
        )
        for each in listing.snapshots
    ]
    headings: tuple[str, ...] = (
        "RESOURCE",
        "LABEL",
        "KIND",
        "CONSISTENT SINCE",
        "SIZE",
        "STORED",
        "TIMELINE",
        "REPOSITORY",
        "LOCKED UNTIL",
    )
    if not any(row[-1] for row in rows):
        headings, rows = headings[:-1], [row[:-1] for row in rows]
    table(headings, rows, shed=("TIMELINE", "SIZE", "KIND"))  # a label ends with F for full, I for incremental, S for a snapshot
    for held in listing.snapshots:
        where = f"{held.snapshot.resource}/{held.snapshot.label} in {held.repository}"
        if held.snapshot.left_out:
            say(f"left out of {where}: {left_out_told(held.snapshot.left_out)}")
        if held.snapshot.changed_while_read:
            say(f"unsettled in {where}: {changed_told(held.snapshot.changed_while_read)}")
    for place, damaged in _damaged(listing):
        mark = click.style("damaged", fg="red")
        say(f"{mark} {place}, since {moment(damaged.since)}: {damaged.code}: {damaged.found}", err=True)
    for place, since in _quarantined(listing):
        mark = click.style("quarantined", fg="yellow")
        say(f"{mark} {place}: nothing from {moment(since)} on is to be believed", err=True)
    for bad in listing.unusable:
        say(f"unusable in {bad.repository}: {bad.key}: {bad.code}: {bad.found}", err=True)
    for away in listing.away:
        say(f"what {away.repository} holds of {away.resource} is not known: {away.code}: {away.found}", err=True)
        if away.hint:
            say(f"  hint: {on_this_stack(away.hint)}", err=True)


def _until(locked: datetime | None) -> str:
    return "" if locked is None else moment(locked)


def _damaged(listing: BackupsEverywhere) -> Iterator[tuple[str, Damage]]:
    for each in listing.usable:
        if each.damaged is not None:
            yield f"in {each.repository}: {each.backup.resource}/{each.backup.label}", each.damaged
    for held in listing.snapshots:
        if held.damaged is not None:
            yield f"in {held.repository}: {held.snapshot.resource}/{held.snapshot.label}", held.damaged


def _quarantined(listing: BackupsEverywhere) -> Iterator[tuple[str, datetime]]:
    for each in listing.usable:
        if each.quarantined is not None:
            yield f"in {each.repository}: {each.backup.resource}/{each.backup.label}", each.quarantined
    for held in listing.snapshots:
        if held.quarantined is not None:
            yield f"in {held.repository}: {held.snapshot.resource}/{held.snapshot.label}", held.quarantined


@click.command(
    epilog="""\b
Examples:
  understudy verify
      everything, everywhere: signatures, digests, WAL without a hole
  understudy verify orders --repository far
  understudy verify orders/20261123-030000F --deep
      also open each part and WAL segment, and compare every file with the
      server's manifest
  understudy verify documents --deep
      every content of every snapshot with its SHA-256
  understudy verify --within 5GiB
      from each repository so much, what was not read for longest first

Exit codes: 0 all is as it was stored, 1 something is not, 2 no such resource, backup or repository, 3 no backup or no identity.
"""
)
@click.argument("target", required=False)
@click.option("--deep", is_flag=True, help="Also open everything and compare what is inside; needs the identity.")
@click.option("--repository", metavar="NAME", help="Only this one.")
@click.option(
    "--within",
    metavar="SIZE",
    help="As a run, which stops at so much of each repository and goes on from there next time: what serve does by itself.",
)
@stack_options
@json_option
def verify(
    target: str | None,
    deep: bool,
    repository: str | None,
    within: str | None,
    stack_file: Path,
    state: Path | None,
    as_json: bool,
) -> None:
    """Read backups, WAL and snapshots back, without restoring. TARGET is RESOURCE, LABEL or RESOURCE/LABEL; default: all.

    Every stored byte is compared with what was signed, so it tells that nothing of them was changed, cut off or lost since it was
    stored. It needs no identity. That the database comes up, only a drill tells.
    """
    from understudy.app.verifying import parse_target
    from understudy.app.verifying import verify as carry_out_verify
    from understudy.cli.watching import ProgressLine

    installation = opened(stack_file, state)
    if within is not None:
        if target is not None or deep or repository is not None:
            raise click.UsageError("--within reads what is due, wherever it lies: give it alone")
        _read_back(installation, _budget_bytes(within), as_json)
    with ProgressLine(quiet=as_json) as line:
        result = carry_out_verify(installation, parse_target(installation, target), repository, deep, line.report)
    if as_json:
        print_json({"passed": result.passed, "result": result})
    else:
        _print_verified(result)
    sys.exit(ExitCode.DONE if result.passed else ExitCode.FAILED)


def _budget_bytes(within: str) -> int:
    from understudy.stack.expectation import Unfit
    from understudy.stack.units import parse_size

    try:
        return parse_size(within)
    except Unfit as error:
        raise click.BadParameter(f"{within!r}; expected {error.expected}", param_hint="--within") from None


def _read_back(installation: Installation, budget_bytes: int, as_json: bool) -> NoReturn:
    from understudy.app.backups import no_backup
    from understudy.app.reading_back import read_back
    from understudy.cli.foreground import watched
    from understudy.cli.running import print_run

    with watched(installation, quiet=as_json) as watcher:
        view = read_back(installation, budget_bytes, watcher)
    if view is None:
        raise no_backup(installation.resource_names()[0], "the repositories hold nothing that could be read")
    if not as_json:
        _print_read(view)
    print_run(view, as_json)
    sys.exit(ExitCode.of_run(view))


def _print_read(view: RunView) -> None:
    for step in view.steps:
        if step.error is None and step.evidence is not None:
            proof = step.evidence.proof
            read, of_all = (readable_size(cast(int, proof[name])) for name in ("sealed_bytes", "of_bytes"))
            resource, where = step.evidence.subject, proof["repository"]
            units = f"{proof['units']} of {proof['of_units']} objects"
            say(f"{resource} in {where}: {units} read, {read} of {of_all}: as they were stored")


def _print_verified(result: VerifyResult) -> None:
    rows = [
        (
            each.resource,
            each.label,
            each.repository,
            f"{each.objects}",
            readable_size(each.sealed_bytes),
            "" if each.files is None else f"{each.files}",
            _verdict(result, each),
        )
        for each in result.backups
    ]
    headings = ("RESOURCE", "LABEL", "REPOSITORY", "OBJECTS", "STORED", "FILES", "RESULT")
    table(headings, rows, shed=("FILES", "OBJECTS", "STORED"), fold="RESULT")
    for wal in result.wal:
        depth = "opened" if wal.decoded is not None else "read"
        state = f"faults: {len(wal.faults)}" if wal.faults else f"without a hole up to {wal.reaches}"
        segments = f"{wal.segments} segment{'' if wal.segments == 1 else 's'}"
        say(f"WAL of {wal.resource} in {wal.repository}: {segments} {depth}, {state}")
    for backup in result.backups:
        print_faults(f"{backup.repository}, {backup.resource}/{backup.label}", backup.faults)
    for wal in result.wal:
        print_faults(f"{wal.repository}, WAL of {wal.resource}", wal.faults)
    for bad in result.unreadable:
        print_faults(f"{bad.repository}, {bad.resource}", (bad.fault,))


def _verdict(result: VerifyResult, backup: BackupCheckResult) -> str:
    if backup.faults:
        return f"faults: {len(backup.faults)}"
    broken = result.broken_below(backup)
    return f"as stored, but not {broken}, which it stands on" if broken else "as stored"


def print_faults(where: str, faults: Sequence[ObjectFault]) -> None:
    """What is wrong with several in the same words is said once: so is a key that opens none of them."""
    alike: dict[tuple[str, ...], list[ObjectFault]] = {}
    for fault in faults:
        alike.setdefault((fault.code, fault.found.replace(fault.key, ""), fault.expected, fault.hint), []).append(fault)
    for first, *others in alike.values():
        say(f"\n{where}: {first.code}")
        more = f" and {len(others)} more, the last of them {others[-1].key} (all: --json)" if others else ""
        said = [f"  object:   {first.key}{more}", *found_lines(first.found, first.expected, first.hint)]
        say("\n".join(said), hang=FOUND_HANG)
