"""What ``status`` shows: for each resource its objective, its exposure now, its newest backup and its last proof."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

from understudy.adapters.postgres.spool import set_aside_bytes
from understudy.app.carrying_out import serving_pid
from understudy.app.copies import CopyStatus, copies
from understudy.app.damage import DamagedBackup, damaged_backups, nothing_is_sound
from understudy.app.drill_calendar import DrillStatus, calendar_status
from understudy.app.exposure_json import slot_from_json
from understudy.app.findings import open_findings, overdue
from understudy.app.forecasting import ResourceForecast, forecasts
from understudy.app.installation import Installation
from understudy.app.keeping import EXPOSURE, HEARTBEAT, RECEIVING, shipping_to
from understudy.app.protection import EndedRun, ScheduleStatus, ended_run, failed_since, is_recoverable, next_of, schedules
from understudy.app.quarantines import quarantined_since
from understudy.app.scheduled_reading import ReadingStatus, reading_status
from understudy.app.serving_address import Landed, landed_for_people
from understudy.app.snapshot_status import SnapshotStatus, snapshot_status
from understudy.app.warm_copies import WarmCopyStatus, warm_copy_status
from understudy.judge.slot_room import SlotRoom
from understudy.plan.backup import is_old_chain
from understudy.plan.plan import Procedure
from understudy.records.findings import FindingRecord
from understudy.records.records import Records
from understudy.records.run import Observation, RecordedError, RunRecord, RunState, StepState
from understudy.records.state_database import damage_of, readable_copy
from understudy.steps.write_backup_manifest import backup_completed_key
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import BackupKind, BackupLabel, ResourceName, RunId, StepKey
from understudy.vocabulary.json import JsonObject

_FRESH = timedelta(seconds=5)
"""An exposure seen longer ago than this is no longer live."""

_PROOFS = (Procedure.DRILL, Procedure.RECOVERY)


@dataclass(frozen=True, slots=True)
class LiveExposure:
    """``seconds`` is the most that the oldest unsafe commit can be old; with ``known`` false it is at least that."""

    known: bool
    seconds: float
    size_bytes: int | None
    gap: str | None


@dataclass(frozen=True, slots=True)
class SeenFault:
    """``since``: when it was first seen as it is now."""

    code: str
    found: str
    hint: str
    since: datetime


@dataclass(frozen=True, slots=True)
class HeldUpStep:
    """A step that waits for a passing fault to pass; tried again at ``again_at``, or just now where that is None."""

    run: RunId
    step: StepKey
    code: str
    found: str
    hint: str
    since: datetime | None
    again_at: datetime | None


@dataclass(frozen=True, slots=True)
class TakenBackup:
    """The newest one, also where a recovery took it to protect anew."""

    run: RunId
    label: str
    ended: datetime
    """When its manifest was signed."""
    chain_is_old: bool
    """Whether it stands on a full backup from so long ago that another one is due."""


@dataclass(frozen=True, slots=True)
class ResourceStatus:
    resource: ResourceName
    tier: str
    rpo: timedelta
    rto: timedelta
    exposure: LiveExposure | None
    """None while nobody watches: ``serve`` does not run."""
    exposure_by_repository: Mapping[str, LiveExposure]
    receiver_running: bool
    receiver_pid: int | None
    receiving_fault: SeenFault | None
    """Why no WAL arrives."""
    shipping_faults: Mapping[str, SeenFault]
    """By repository; those without a fault are left out. Like the exposure, of what ``serve`` sees now."""
    heartbeat_fault: SeenFault | None
    """Why no heartbeat is written."""
    newest_backup: TakenBackup | None
    recoverable: bool
    """Whether a usable backup is known of: without one no WAL helps, however small the exposure."""
    damaged: tuple[DamagedBackup, ...]
    """Backups that cannot be restored from a repository, by what was read back there last."""
    quarantined_since: datetime | None
    """From when on nothing of it is to be believed, by what this host remembers; the earliest of several."""
    failed_backup: EndedRun | None
    """The newest backup that failed, where none was completed since."""
    next_backup: datetime | None
    schedules: tuple[ScheduleStatus, ...]
    last_proof: EndedRun | None
    """The newest drill or recovery that succeeded. A restore is measured by nobody, so it stands for none."""
    failed_proof: EndedRun | None
    """The newest drill or recovery that failed, where none succeeded since."""
    landed: Landed | None
    """Where it serves from since a recovery, as long as ``url`` has not been led there."""
    server_fault: str
    slot: SlotRoom | None
    """What keeps WAL on the server while none arrives here; None while nobody watches."""
    set_aside: SetAside | None
    kept_in: tuple[CopyStatus, ...]
    warm_copy: WarmCopyStatus | None
    """None where the stack file keeps none."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """WAL that was moved out of the spool's way. It counts against no limit, and only a person removes it."""

    directory: Path
    size_bytes: int


@dataclass(frozen=True, slots=True)
class RecordsFault:
    """Why the records are not there, can't be read, or can't be added to. What else is known is told all the same."""

    code: str
    found: str
    hint: str
    readable: bool
    """Whether everything that was recorded is in what is told."""


@dataclass(frozen=True, slots=True)
class Status:
    stack: str
    serving_pid: int | None
    resources: tuple[ResourceStatus, ...]
    """Databases."""
    snapshots: tuple[SnapshotStatus, ...]
    """Directories and buckets."""
    reading_back: ReadingStatus
    drills: tuple[DrillStatus, ...]
    """Those that the stack file declares."""
    forecasts: tuple[ResourceForecast, ...]
    """Of the resources whose recovery takes too long now, or will within ``NEAR``."""
    unfinished_runs: tuple[RunRecord, ...]
    held_up: tuple[HeldUpStep, ...]
    """Of the runs that are being carried out."""
    asked: Mapping[RunId, tuple[str, ...]]
    """What a person must agree to before these go on."""
    to_be_followed: tuple[RunRecord, ...]
    """Runs that have ended, and that another one may have to follow: ``serve`` goes on with them, or ``resume``."""
    put_off: Mapping[RunId, RecordedError]
    """Why what is to follow these cannot begin yet."""
    findings: tuple[FindingRecord, ...]
    """Those that are open, in the order in which they were opened."""
    overdue: tuple[str, ...]
    """The names of those whose day has passed."""
    records_fault: RecordsFault | None


def status(installation: Installation) -> Status:
    """From records and this host's processes alone: it asks no server and no store, so it answers when they do not.

    Nor does it need a key, or a state directory that can be written to: in a disaster there may be neither.
    """
    with ExitStack() as undo:
        records, fault = records_to_look_at(installation, undo)
        readable, unfinished = installation.reading(records), records.unended()
        findings = open_findings(readable)
        return Status(
            stack=installation.stack.stack,
            serving_pid=serving_pid(installation.state),
            resources=tuple(_of(readable, name) for name in installation.database_names()),
            snapshots=tuple(snapshot_status(readable, name) for name in installation.snapshot_names()),
            reading_back=reading_status(readable),
            drills=calendar_status(readable),
            forecasts=tuple(each for each in forecasts(readable) if each.is_near(installation.clock.now())),
            unfinished_runs=unfinished,
            held_up=tuple(each for run in unfinished if run.state is RunState.RUNNING for each in _held_up(records, run.run)),
            asked={run.run: asks for run in unfinished if (asks := _questions(records, run.run))},
            to_be_followed=tuple(run for run in _last_runs(records) if run.state.is_final),
            put_off={each.runs[-1]: each.error for each in records.requests.open() if each.error is not None},
            findings=findings,
            overdue=overdue(readable, findings),
            records_fault=fault,
        )


def records_to_look_at(installation: Installation, undo: ExitStack) -> tuple[Records, RecordsFault | None]:
    """The records as they are; else a copy of them, where SQLite may not write beside them; else none."""
    state = installation.state
    if not (state / "state.db").exists():
        found = f"nothing is recorded in {state} yet"
        return _no_records(installation, undo), RecordsFault("state_empty", found, "if there should be, mount its disk", True)
    damage = damage_of(state / "state.db")
    if damage is not None:
        return _no_records(installation, undo), RecordsFault(damage.code, damage.found, damage.hint, False)
    try:
        return installation.past, None
    except GiveUp as error:
        copy = undo.enter_context(readable_copy(state))
        records = undo.enter_context(closing(Records(state, installation.clock, copy=copy)))
        return records, RecordsFault(error.code, error.found, error.hint, True)


def _no_records(installation: Installation, undo: ExitStack) -> Records:
    nowhere = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="understudy-state-")))
    return undo.enter_context(closing(Records(installation.state, installation.clock, copy=nowhere)))


def _questions(records: Records, run: RunId) -> tuple[str, ...]:
    steps = (step for step in records.steps(run) if step.state is StepState.AWAITING_APPROVAL)
    return tuple(step.approval_question for step in steps if step.approval_question is not None)


def _held_up(records: Records, run: RunId) -> Iterator[HeldUpStep]:
    for step in records.steps(run):
        error = step.held_up_by
        if error is not None:
            yield HeldUpStep(run, step.key, error.code, error.found, error.hint, step.held_up_since, step.again_at)


def _last_runs(records: Records) -> tuple[RunRecord, ...]:
    return tuple(records.run(request.runs[-1]) for request in records.requests.open())


def _of(installation: Installation, name: ResourceName) -> ResourceStatus:
    settings = installation.postgres(name)
    objective = installation.stack.tier_of(name)
    receiver_pid = installation.receiver_pid(name)
    seen = _seen_exposure(installation, name)
    age_seconds = max(0.0, (installation.clock.now() - seen.at).total_seconds()) if seen else 0.0
    served = serving_pid(installation.state) is not None
    newest, scheduled = _newest_backup(installation, name), schedules(installation, name)
    proven = installation.records.history.newest(_PROOFS, RunState.SUCCEEDED, name)
    proof = None if proven is None else ended_run(proven)
    return ResourceStatus(
        resource=name,
        tier=settings.tier,
        rpo=objective.rpo,
        rto=objective.rto,
        exposure=_exposure(seen.value["overall"], age_seconds) if seen else None,
        exposure_by_repository=_by_repository(seen.value, age_seconds) if seen else {},
        receiver_running=receiver_pid is not None,
        receiver_pid=receiver_pid,
        receiving_fault=_fault(installation, name, RECEIVING) if served else None,
        shipping_faults=_shipping_faults(installation, name) if served else {},
        heartbeat_fault=_fault(installation, name, HEARTBEAT) if served and settings.heartbeat else None,
        newest_backup=newest,
        recoverable=is_recoverable(installation, name, newest.ended if newest else None)
        and not nothing_is_sound(installation, name, newest.label if newest else None),
        damaged=damaged_backups(installation, name),
        quarantined_since=quarantined_since(installation, name),
        failed_backup=failed_since(installation, name, (Procedure.BACKUP,), newest.ended if newest else None),
        next_backup=next_of(scheduled),
        schedules=scheduled,
        last_proof=proof,
        failed_proof=failed_since(installation, name, _PROOFS, proof.ended if proof else None),
        landed=landed_for_people(settings, installation.landed(name)),
        server_fault=str(seen.value["server_fault"]) if seen else "",
        slot=slot_from_json(seen.value.get("slot")) if seen else None,
        set_aside=_set_aside(installation, name),
        kept_in=copies(installation, name),
        warm_copy=warm_copy_status(installation, name, served=served),
    )


def _set_aside(installation: Installation, name: ResourceName) -> SetAside | None:
    spool = installation.spool_directory(name)
    size_bytes = set_aside_bytes(spool)
    return SetAside(spool / "quarantine", size_bytes) if size_bytes else None


def _seen_exposure(installation: Installation, name: ResourceName) -> Observation | None:
    """What a clock saw that has been set back since is not of now."""
    seen = installation.records.observed(name, EXPOSURE)
    return seen if seen is not None and abs(installation.clock.now() - seen.at) <= _FRESH else None


def _by_repository(seen: JsonObject, age_seconds: float) -> Mapping[str, LiveExposure]:
    return {name: _exposure(each, age_seconds) for name, each in cast(JsonObject, seen["repositories"]).items()}


def _exposure(value: object, age_seconds: float) -> LiveExposure:
    """As of now: what was exposed when it was seen has grown older since."""
    fields = cast(JsonObject, value)
    size_bytes = fields["size_bytes"]
    return LiveExposure(
        known=bool(fields["known"]),
        seconds=float(cast(float, fields["seconds"])) + age_seconds,
        size_bytes=None if size_bytes is None else int(cast(int, size_bytes)),
        gap=None if fields["gap"] is None else str(fields["gap"]),
    )


def kept_faults(installation: Installation, name: ResourceName) -> Mapping[str, SeenFault]:
    """What ``serve`` fails to do now, by what it is, for people; empty while it does not run."""
    if serving_pid(installation.state) is None:
        return {}
    faults = {f"shipping WAL to {each}": fault for each, fault in _shipping_faults(installation, name).items()}
    receiving = _fault(installation, name, RECEIVING)
    return {"receiving WAL": receiving, **faults} if receiving is not None else faults


def _shipping_faults(installation: Installation, name: ResourceName) -> Mapping[str, SeenFault]:
    seen = {each: _fault(installation, name, shipping_to(each)) for each in installation.repository_names(name)}
    return {repository: fault for repository, fault in seen.items() if fault is not None}


def _fault(installation: Installation, name: ResourceName, kind: str) -> SeenFault | None:
    seen = installation.records.observed(name, kind)
    if seen is None or not seen.value["fault"]:
        return None
    value = seen.value
    return SeenFault(str(value["fault"]), str(value["found"]), str(value.get("hint", "")), seen.at)


def _newest_backup(installation: Installation, name: ResourceName) -> TakenBackup | None:
    """By the step that completes one, whichever procedure it was part of."""
    step = installation.records.newest_success(backup_completed_key(name))
    if step is None or step.evidence is None or step.ended is None:
        return None
    label = BackupLabel(str(step.evidence.proof["label"]))
    scheduled = installation.postgres(name).backup.full is not None
    stands = label.kind is BackupKind.INCREMENTAL and is_old_chain(label.chain, installation.clock.now())
    return TakenBackup(step.run, label.text, step.ended, stands and not scheduled)
