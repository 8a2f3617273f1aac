"""``status``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from understudy.cli.exit_codes import ExitCode
from understudy.cli.forecasting import print_near_forecasts
from understudy.cli.looking_at_copies import copy_rows
from understudy.cli.looking_at_drills import print_calendar
from understudy.cli.looking_at_readings import print_reading_back
from understudy.cli.looking_at_snapshots import (
    damaged_rows,
    failed,
    no_backup_yet,
    print_snapshots,
    quarantined_rows,
    scheduled,
    unknown_to_records,
)
from understudy.cli.options import command_on, json_option, looked_at, on_this_stack, stack_options
from understudy.cli.printing import duration, explained, moment, print_json, say, waiting_since, words
from understudy.cli.warm_copies import warm_copy_rows
from understudy.vocabulary.sizes import readable_size

if TYPE_CHECKING:
    from understudy.app.looking import HeldUpStep, LiveExposure, ResourceStatus, SeenFault, SetAside, Status
    from understudy.judge.slot_room import SlotRoom
    from understudy.vocabulary.identifiers import ResourceName


@click.command(
    epilog="""\b
Examples:
  understudy status
  watch -n1 understudy status      the exposure, live, while serve runs

Exit codes: 0 every resource has a usable backup as far as is known here, 3 one is known to have none.
"""
)
@stack_options
@json_option
def status(stack_file: Path, state: Path | None, as_json: bool) -> None:
    """Show each resource: objective, exposure, newest backup, schedules, last proof. Asks no server: it answers in a disaster."""
    from understudy.app.looking import status as look

    found = look(looked_at(stack_file, state))
    if as_json:
        print_json(found)
    else:
        _print(found)
    recoverable = all(each.recoverable for each in found.resources) and all(each.recoverable for each in found.snapshots)
    sys.exit(ExitCode.DONE if recoverable or not _is_known(found) else ExitCode.PREREQUISITE)


def _is_known(found: Status) -> bool:
    """Whether what is not in the records was never there: not so where they are gone, or cannot be read."""
    fault = found.records_fault
    return fault is None or (fault.readable and fault.code != "state_empty")


def _print(found: Status) -> None:
    serving = f"served by process {found.serving_pid}" if found.serving_pid else f"not served (start: {command_on('serve')})"
    say(f"{found.stack}: {serving}")
    fault = found.records_fault
    if fault is not None:
        say(click.style(f"records: {fault.code}", fg="red") + f": {fault.found}\n  hint: {on_this_stack(fault.hint)}")
    for resource in found.resources:
        click.echo("")
        _print_resource(resource, known=fault is None or fault.readable, whole=_is_known(found), served=bool(found.serving_pid))
    for snapshots in found.snapshots:
        click.echo("")
        print_snapshots(snapshots, known=fault is None or fault.readable, whole=_is_known(found), served=bool(found.serving_pid))
    print_reading_back(found.reading_back, known=fault is None or fault.readable, served=bool(found.serving_pid))
    print_calendar(found.drills, known=fault is None or fault.readable)
    print_near_forecasts(found.forecasts)
    for run in found.unfinished_runs:
        say(f"\nunfinished: {run.run} {run.procedure} {run.subject}: {words(run.state.value)} ({command_on('show', run.run)})")
        for question in found.asked.get(run.run, ()):
            say(f"  asks: {question} (agree: {command_on('approve', run.run)})")
        for step in (each for each in found.held_up if each.run == run.run):
            _print_held_up(step)
    for finding in found.findings:
        due = click.style("overdue", fg="red") + " since" if finding.finding in found.overdue else "open, due"
        say(f"\n{finding.finding}: {due} {finding.due}, {finding.owner}: {finding.text}")
    for run in found.to_be_followed:
        say(f"\nto be followed by another run: {run.run} {run.procedure} {run.subject} ({command_on('resume', run.run)})")
        if run.run in found.put_off:
            say("\n".join(explained(found.put_off[run.run], "  ")))


def _print_held_up(step: HeldUpStep) -> None:
    waiting = click.style("waiting", fg="yellow") + f" in {step.step} {waiting_since(step.since, step.again_at)}"
    say(f"  {waiting}: {step.code}: {step.found}")
    if step.hint:
        say(f"    hint: {on_this_stack(step.hint)}")


_NO_BACKUP = no_backup_yet("backup")


def _print_resource(resource: ResourceStatus, *, known: bool, whole: bool, served: bool) -> None:
    unknown = unknown_to_records()
    click.echo(click.style(str(resource.resource), bold=True) + f"  ({resource.tier})")
    rows = [
        ("objective", f"back within {duration(resource.rto)}, at most {duration(resource.rpo)} of work lost"),
        *([] if resource.recoverable or not whole else [("protection", _NO_BACKUP)]),
        (
            "exposure now" if resource.recoverable or not whole else "WAL not stored",
            _exposure(resource.exposure, resource.resource),
        ),
        *((f"  {name}", _exposure(each, resource.resource)) for name, each in resource.exposure_by_repository.items()),
        ("receiver", f"process {resource.receiver_pid}" if resource.receiver_running else "not running"),
        *([("slot", _slot(resource.slot))] if resource.slot is not None else []),
        *([("set aside", _set_aside(resource.set_aside))] if resource.set_aside is not None else []),
        ("newest backup", _newest(resource) if known else unknown),
        *(copy_rows(resource.kept_in) if known else ()),
        *damaged_rows(resource.damaged),
        *quarantined_rows(resource.quarantined_since),
        *([("last backup", failed(resource.failed_backup))] if resource.failed_backup else []),
        *scheduled(resource.schedules, resource.next_backup, known=known, served=served),
        *(warm_copy_rows(resource.warm_copy) if resource.warm_copy is not None else ()),
        ("last proof", _proof(resource) if known else unknown),
        *([(f"last {resource.failed_proof.procedure}", failed(resource.failed_proof))] if resource.failed_proof else []),
    ]
    if resource.landed is not None:
        landed = resource.landed
        rows.append(("serves from", f"{landed.address} since {landed.run}; make url lead there ({landed.url_address} now)"))
    if resource.server_fault:
        rows.append(("server", resource.server_fault))
    for name, value in rows:
        say(f"  {name.ljust(14)} {value}", hang=17)
    if resource.receiving_fault is not None:
        _print_fault("receiving WAL", resource.receiving_fault)
    for name, fault in resource.shipping_faults.items():
        _print_fault(f"shipping WAL to {name}", fault)
    if resource.heartbeat_fault is not None:
        _print_fault("writing heartbeats", resource.heartbeat_fault)


def _print_fault(doing: str, fault: SeenFault) -> None:
    say("  " + click.style(f"fault {doing}", fg="red") + f", since {moment(fault.since)}: {fault.code}: {fault.found}")
    if fault.hint:
        say(f"    hint: {on_this_stack(fault.hint)}")


_GAPS = {
    "never_sampled": "serve has not seen the server yet",
    "nothing_safe": "no repository holds WAL of this server yet",
    "older_than_samples": "the repositories are further behind than serve has watched the server",
    "went_backwards": "the server was set back, or is another one; known again from a new timeline on, or a backup that begins "
    "from now on ({command})",
}
"""Why an exposure is unknown, by the code that ``--json`` gives."""


def _exposure(exposure: LiveExposure | None, resource: ResourceName) -> str:
    if exposure is None:
        return f"unknown: nobody watches ({command_on('serve')})"
    why = _GAPS.get(exposure.gap or "", exposure.gap or "").format(command=command_on("backup", resource, "--full"))
    if exposure.gap == "went_backwards":
        return click.style("unknown", fg="red") + f" for {duration(exposure.seconds)}: {why}"
    if not exposure.known:
        return f"unknown, at least {duration(exposure.seconds)}: {why}"
    amount = f", {readable_size(exposure.size_bytes)}" if exposure.size_bytes is not None else ""
    return f"{duration(exposure.seconds)}{amount}"


def _slot(slot: SlotRoom) -> str:
    """While a receiver streams, and there is room, nobody need know more."""
    kept = f"keeps {readable_size(slot.kept_bytes)}" if slot.kept_bytes is not None else "keeps nothing"
    room = f"lost after {readable_size(slot.room_bytes)} more" if slot.room_bytes is not None else "without a limit"
    said = f"{slot.wal_status or 'not reserved'}, {kept}, {room if slot.wal_status != 'lost' else 'a full backup begins anew'}"
    return click.style(said, fg="red") if slot.is_short else said


def _set_aside(found: SetAside) -> str:
    return f"{readable_size(found.size_bytes)} of WAL in {found.directory}; remove it when nobody needs it"


def _newest(resource: ResourceStatus) -> str:
    newest = resource.newest_backup
    if newest is not None:
        said = f"{newest.label}, {moment(newest.ended)} ({newest.run})"
        due = f"; stands on an old full one ({command_on('backup', resource.resource, '--full')})"
        return said + (click.style(due, fg="yellow") if newest.chain_is_old else "")
    return f"none taken here ({command_on('backup', resource.resource)}; what the repositories hold: {command_on('backups')})"


def _proof(resource: ResourceStatus) -> str:
    proof = resource.last_proof
    return f"{proof.procedure} {proof.subject}, {moment(proof.ended)} ({proof.run})" if proof else "none: run a drill"
