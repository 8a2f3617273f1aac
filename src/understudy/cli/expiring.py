"""``expire``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from understudy.cli.exit_codes import ExitCode
from understudy.cli.options import command_on, json_option, opened, stack_options, yes_option
from understudy.cli.printing import moment, print_error, print_json, say, table
from understudy.vocabulary.sizes import readable_size

if TYPE_CHECKING:
    from understudy.app.retention import Decided
    from understudy.app.run_view import RunView
    from understudy.app.snapshot_retention import SnapshotRetention
    from understudy.plan.retention import BackupFate, Kept, RetentionDecision
    from understudy.plan.snapshot_retention import SnapshotFate
    from understudy.plan.wal_retention import WalStretch
    from understudy.vocabulary.json import JsonObject


@click.command(
    epilog="""\b
Examples:
  understudy expire --dry-run         what stays and what goes, and why
  understudy expire orders            shows it, asks, then removes
  understudy expire orders --repository far --yes

Exit codes: 0 done, also where there was nothing to do; 1 a run failed, or something was left out; 4 a backup or a restore is
under way; 5 refused: a manifest cannot be believed, or nobody was there to ask; 130 interrupted, or cancelled by a person.
"""
)
@click.argument("resource", required=False)
@click.option("--dry-run", is_flag=True, help="Only show what would stay and go, and why.")
@click.option("--repository", metavar="NAME", help="Only this one.")
@stack_options
@json_option
@yes_option
def expire(
    resource: str | None,
    dry_run: bool,
    repository: str | None,
    stack_file: Path,
    state: Path | None,
    as_json: bool,
    yes: bool,
) -> None:
    """Remove the backups, the WAL and the snapshots of RESOURCE (default: of all) that the stack file's keep lets go.

    It shows each with its reasons before it does anything. What a store refuses to remove stays, and that is said.
    """
    from understudy.app.retention import decide
    from understudy.app.retention import expire as carry_out_expiry
    from understudy.cli.foreground import watched
    from understudy.cli.running import print_run

    installation = opened(stack_file, state)
    decided = decide(installation, resource, repository)
    if not (as_json and (dry_run or yes)):
        for each in decided:
            _print_decided(each, to_stderr=as_json)
    views: Sequence[RunView] = ()
    if not dry_run and any(each.removes for each in decided):
        _require_agreement(yes)
        with watched(installation, quiet=as_json) as watcher:
            expired = carry_out_expiry(installation, decided, watcher)
        decided, views = expired.decided, expired.views
        for error in expired.refused:
            print_error(error)
    if as_json:
        runs = [{"run": view.run, "steps": view.steps} for view in views]
        print_json({"retention": [_retention_to_json(each) for each in decided], "runs": runs})
    else:
        for view in views:
            print_run(view, as_json)
    sys.exit(exit_code_of(decided, views))


def _require_agreement(yes: bool) -> None:
    from understudy.vocabulary.errors import Refusal

    if yes:
        return
    if not sys.stdin.isatty():
        raise Refusal(
            "not_agreed",
            found="nobody is at a terminal to agree to this",
            expected="a person who has read what goes",
            hint="look with --dry-run; then agree beforehand with --yes",
        )
    if not click.confirm("Remove what goes?", err=True):
        raise click.Abort


def exit_code_of(decided: Sequence[Decided], views: Sequence[RunView]) -> ExitCode:
    faults = [each.fault for each in decided if each.fault is not None]
    if faults and len(faults) == len(decided):
        return ExitCode.of(faults[0])
    ended = [ExitCode.of_run(view) for view in views if not view.succeeded]
    return ExitCode.FAILED if faults or ExitCode.FAILED in ended else next(iter(ended), ExitCode.DONE)


# Text


def _print_decided(each: Decided, to_stderr: bool) -> None:
    from understudy.app.retention import Retention

    out = sys.stderr if to_stderr else sys.stdout
    where = f"{each.resource} in {each.repository}"
    if each.decision is None:
        say(f"{where}: what may go cannot be decided, so nothing does:", err=True)
        if each.fault is not None:
            print_error(each.fault)
    elif isinstance(each, Retention):
        _print_retention(each.decision, where, out)
    else:
        _print_snapshots(each, where, out)


def _print_snapshots(each: SnapshotRetention, where: str, out: TextIO) -> None:
    if each.decision is None:
        return
    fates = each.decision.snapshots
    going = each.decision.going
    say(f"{where}: {len(fates) - len(going)} snapshots stay, {len(going)} go", out=out)
    rows = [
        (fate.snapshot.label.text, moment(fate.snapshot.stop_time), readable_size(fate.snapshot.stored_bytes), *_fate(fate))
        for fate in fates
    ]
    # What a snapshot added is not what its removal frees: parts that another one refers to stay.
    table(
        ("LABEL", "CONSISTENT SINCE", "ADDED", "FATE", "BECAUSE"), rows, out, shed=("CONSISTENT SINCE", "ADDED"), fold="BECAUSE"
    )
    for label in each.decision.unfinished:
        say(f"unfinished: {label} has no manifest and is no snapshot: goes", out=out)
    if each.loose_parts:
        say(f"parts that no snapshot refers to, and that are old: {each.loose_parts} go", out=out)
    click.echo("", file=out)


def _print_retention(decision: RetentionDecision, where: str, out: TextIO) -> None:
    going = [fate for fate in decision.backups if not fate.stays]
    gone_bytes = sum(fate.backup.sealed_bytes for fate in going)
    stay = len(decision.backups) - len(going)
    say(f"{where}: {stay} backups stay, {len(going)} go ({readable_size(gone_bytes)})", out=out)
    rows = [
        (fate.backup.label.text, moment(fate.backup.stop_time), readable_size(fate.backup.sealed_bytes), *_fate(fate))
        for fate in decision.backups
    ]
    headings = ("LABEL", "CONSISTENT SINCE", "STORED", "FATE", "BECAUSE")
    table(headings, rows, out, shed=("CONSISTENT SINCE", "STORED"), fold="BECAUSE")  # a label tells when the backup was begun
    for line in (*_wal(decision), *_unfinished(decision)):
        say(line, out=out)
    click.echo("", file=out)


def _fate(fate: BackupFate | SnapshotFate) -> tuple[str, str]:
    if fate.stays:
        needing = [kept.detail for kept in fate.kept if kept.reason.value == "needed"]
        words = [_kept(kept) for kept in fate.kept if kept.reason.value != "needed"]
        if needing:
            words.append(f"{needing[0]} stands on it" if len(needing) == 1 else f"{len(needing)} that stay stand on it")
        return "stays", ", ".join(words)
    causes = {
        "newer_that_day": f"{fate.removed_for} is of the same day and newer",
        "past_every_rule": "it is older than all that keep asks for",
        "not_restorable": "it, or something that it needs, is not whole here, and all that stays is newer",
    }
    return "goes", causes[fate.removed.value if fate.removed else ""]


def _kept(kept: Kept) -> str:
    words = {
        "daily": f"newest of {kept.detail}",
        "weekly": f"newest of {kept.detail}",
        "monthly": f"newest of {kept.detail}",
        "manual": "a person asked for it",
        "point_in_time": "it is of the point-in-time window",
        "last_good": "the newest that can be restored",
        "newest_chain": "of the newest chain",
        "proven": "the newest that a restore has proven",
        "in_use": f"run {kept.detail} reads it",
        "quarantined": f"it is quarantined, or the newest from before ({command_on('quarantine', 'list')})",
        "from_the_future": "it ended later than now: check the clocks",
        "locked": f"locked until {kept.detail}",
        "not_restorable": f"it, or something that it needs, is not whole here ({command_on('verify')} says what)",
    }
    return words[kept.reason.value]


def _wal(decision: RetentionDecision) -> Iterator[str]:
    """By fate, not stretch by stretch: the WAL of each older backup is a stretch of its own."""
    for cluster in decision.wal:
        if cluster.stretches:
            yield f"WAL of cluster {cluster.system_identifier}"
        for reason in dict.fromkeys(each.reason for each in cluster.stretches):
            stretches = [each for each in cluster.stretches if each.reason is reason]
            segments = sum(each.segments for each in stretches)
            where = f"{stretches[0].first} to {stretches[-1].last}"
            count = f"{segments} segment{'s' if segments > 1 else ''}"
            yield f"  {where}  {count.rjust(15)}  {_wal_fate(stretches)}"


def _wal_fate(stretches: Sequence[WalStretch]) -> str:
    first = stretches[0]
    labels = list(dict.fromkeys(each.label for each in stretches))
    needing = f"{first.label} needs them and is" if len(labels) == 1 else f"{len(labels)} backups need them and are"
    words = {
        "onward": f"stay: restores of {first.label} and later ones go on through them to any moment",
        "of_backup": f"stay: {needing} restorable to no moment behind their own end",
        "spooled": "stay: a repository has not got all that follows them",
    }
    return words[first.reason.value] if first.reason else "go"


def _unfinished(decision: RetentionDecision) -> Iterator[str]:
    for each in decision.unfinished:
        fate = "goes" if each.goes else "stays until it is 24 hours old"
        yield f"unfinished: {each.label} of cluster {each.system_identifier} has no manifest and is no backup: {fate}"


# JSON


def _retention_to_json(each: Decided) -> dict[str, object]:
    from understudy.app.retention import Retention

    fault = each.fault
    told = None if fault is None else {"code": fault.code, "found": fault.found, "expected": fault.expected, "hint": fault.hint}
    head: dict[str, object] = {"resource": each.resource, "repository": each.repository, "fault": told}
    if isinstance(each, Retention):
        decision = each.decision
        return head | {
            "backups": [_fate_to_json(fate) for fate in decision.backups] if decision else [],
            "wal": decision.wal if decision else [],
            "unfinished": decision.unfinished if decision else [],
        }
    return head | {
        "snapshots": [_snapshot_fate_to_json(fate) for fate in each.decision.snapshots] if each.decision else [],
        "unfinished": each.decision.unfinished if each.decision else [],
        "loose_parts": each.loose_parts,
    }


def _snapshot_fate_to_json(fate: SnapshotFate) -> JsonObject:
    snapshot = fate.snapshot
    return {
        "label": snapshot.label.text,
        "stop_time": snapshot.stop_time.isoformat(),
        "stored_bytes": snapshot.stored_bytes,
        **_reasons_to_json(fate),
    }


def _fate_to_json(fate: BackupFate) -> JsonObject:
    backup = fate.backup
    return {
        "label": backup.label.text,
        "system_identifier": backup.system_identifier,
        "stop_time": backup.stop_time.isoformat(),
        "sealed_bytes": backup.sealed_bytes,
        **_reasons_to_json(fate),
    }


def _reasons_to_json(fate: BackupFate | SnapshotFate) -> JsonObject:
    return {
        "stays": fate.stays,
        "kept": [{"reason": kept.reason.value, "detail": kept.detail} for kept in fate.kept],
        "removed": fate.removed.value if fate.removed else None,
        "removed_for": fate.removed_for,
    }
