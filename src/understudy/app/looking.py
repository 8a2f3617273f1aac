"""What ``status`` shows: for each resource its objective, its exposure now, its newest backup and its last proof."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from understudy.app.carrying_out import serving_pid
from understudy.app.installation import Installation
from understudy.plan.plan import Procedure
from understudy.plan.schedule import ScheduledBackup, next_due
from understudy.records.run import RunRecord, RunState
from understudy.vocabulary.identifiers import BackupKind, ResourceName, RunId
from understudy.vocabulary.json import JsonObject

_FRESH = timedelta(seconds=5)
"""An exposure seen longer ago than this is no longer live."""


@dataclass(frozen=True, slots=True)
class LiveExposure:
    """``seconds`` is the most that the oldest unsafe commit can be old; with ``known`` false it is at least that."""

    known: bool
    seconds: float
    size_bytes: int | None
    gap: str | None


@dataclass(frozen=True, slots=True)
class Proof:
    """A run that showed something: the newest drill, restore or recovery that succeeded."""

    run: RunId
    procedure: str
    subject: str
    ended: datetime


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
    shipping_faults: Mapping[str, str]
    newest_backup: RunRecord | None
    next_backup: datetime | None
    last_proof: Proof | None
    server_fault: str


@dataclass(frozen=True, slots=True)
class Status:
    stack: str
    serving_pid: int | None
    resources: tuple[ResourceStatus, ...]
    unfinished_runs: tuple[RunRecord, ...]


def status(installation: Installation) -> Status:
    """From records and this host's processes alone: it asks no server and no store, so it answers when they do not."""
    runs = installation.records.runs(200)
    return Status(
        stack=installation.stack.stack,
        serving_pid=serving_pid(installation.state),
        resources=tuple(_of(installation, name, runs) for name in installation.resource_names()),
        unfinished_runs=tuple(run for run in runs if not run.state.is_final),
    )


def _of(installation: Installation, name: ResourceName, runs: tuple[RunRecord, ...]) -> ResourceStatus:
    settings = installation.resource(name)
    objective = installation.stack.tier_of(name)
    receiver = installation.receivers[name].facts()
    seen = _seen_exposure(installation, name)
    mine = [run for run in runs if run.state is RunState.SUCCEEDED and _concerns(installation, run, name)]
    return ResourceStatus(
        resource=name,
        tier=settings.tier,
        rpo=objective.rpo,
        rto=objective.rto,
        exposure=_exposure(seen["overall"]) if seen else None,
        exposure_by_repository=_by_repository(seen) if seen else {},
        receiver_running=receiver.running,
        receiver_pid=receiver.pid,
        shipping_faults=_shipping_faults(installation, name),
        newest_backup=next((run for run in mine if run.procedure == Procedure.BACKUP), None),
        next_backup=_next_backup(installation, name),
        last_proof=next((_proof(run) for run in mine if run.procedure != Procedure.BACKUP), None),
        server_fault=str(seen["server_fault"]) if seen else "",
    )


def _seen_exposure(installation: Installation, name: ResourceName) -> JsonObject | None:
    seen = installation.records.observed(name, "exposure")
    if seen is None or installation.clock.now() - seen.at > _FRESH:
        return None
    return seen.value


def _by_repository(seen: JsonObject) -> Mapping[str, LiveExposure]:
    return {name: _exposure(each) for name, each in cast(JsonObject, seen["repositories"]).items()}


def _exposure(value: object) -> LiveExposure:
    fields = cast(JsonObject, value)
    size_bytes = fields["size_bytes"]
    return LiveExposure(
        known=bool(fields["known"]),
        seconds=float(cast(float, fields["seconds"])),
        size_bytes=None if size_bytes is None else int(cast(int, size_bytes)),
        gap=None if fields["gap"] is None else str(fields["gap"]),
    )


def _shipping_faults(installation: Installation, name: ResourceName) -> Mapping[str, str]:
    faults: dict[str, str] = {}
    for repository in installation.repository_names(name):
        seen = installation.records.observed(name, f"shipping:{repository}")
        if seen is not None and seen.value["fault"]:
            faults[repository] = f"{seen.value['fault']}: {seen.value['found']}"
    return faults


def _next_backup(installation: Installation, name: ResourceName) -> datetime | None:
    backup = installation.resource(name).backup
    planned = ((BackupKind.FULL, backup.full), (BackupKind.INCREMENTAL, backup.incremental))
    now = installation.clock.now()
    return min(
        (next_due(ScheduledBackup(name, kind, cron, backup.timezone), now) for kind, cron in planned if cron), default=None
    )


def _concerns(installation: Installation, run: RunRecord, name: ResourceName) -> bool:
    """Runs of scenarios are about the resource that their steps name."""
    if run.subject == name:
        return True
    return any(step.key.startswith(f"{name}/") for step in installation.records.steps(run.run))


def _proof(run: RunRecord) -> Proof:
    return Proof(run.run, run.procedure, run.subject, run.ended or run.submitted)
