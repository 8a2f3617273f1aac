"""What ``status`` shows of what is no database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from understudy.app.copies import CopyStatus
from understudy.app.copies import copies as kept_copies
from understudy.app.damage import DamagedBackup, damaged_backups, nothing_is_sound
from understudy.app.installation import Installation
from understudy.app.protection import EndedRun, ScheduleStatus, ended_run, failed_since, is_recoverable, next_of, schedules
from understudy.app.quarantines import quarantined_since
from understudy.plan.plan import Procedure
from understudy.records.run import RunState
from understudy.steps.copy_snapshot import snapshot_copied_key
from understudy.steps.write_snapshot_manifest import snapshot_completed_key
from understudy.vocabulary.identifiers import ResourceName, RunId, SnapshotLabel, StepKey

_PROOFS = (Procedure.RESTORE, Procedure.DRILL, Procedure.RECOVERY)


@dataclass(frozen=True, slots=True)
class TakenSnapshot:
    run: RunId
    label: str
    begun: datetime | None
    """What was changed since may not be in it."""
    ended: datetime
    """When its manifest was signed."""
    changed_while_read: int
    """How many are in it as they came, although they changed each time they were read."""
    left_out: int
    """How many are not in it, because they changed each time they were read."""


@dataclass(frozen=True, slots=True)
class SnapshotStatus:
    resource: ResourceName
    kind: str
    tier: str
    rpo: timedelta
    rto: timedelta
    newest_snapshot: TakenSnapshot | None
    """In the first repository."""
    copies: Mapping[str, TakenSnapshot | None]
    """The newest in each further repository."""
    exposed_seconds: float | None
    """How old the newest work can be that a restore would not bring back; None: there is no snapshot."""
    recoverable: bool
    """Whether a usable snapshot is known of."""
    damaged: tuple[DamagedBackup, ...]
    """Snapshots that cannot be restored from a repository, by what was read back there last."""
    quarantined_since: datetime | None
    """From when on nothing of it is to be believed, by what this host remembers; the earliest of several."""
    failed_backup: EndedRun | None
    """The newest that failed, where none was completed since."""
    next_backup: datetime | None
    schedules: tuple[ScheduleStatus, ...]
    last_restore: EndedRun | None
    """The newest that succeeded."""
    failed_restore: EndedRun | None
    """The newest that failed, where none succeeded since."""
    kept_in: tuple[CopyStatus, ...]

    @property
    def is_within_objective(self) -> bool:
        return self.exposed_seconds is not None and self.exposed_seconds <= self.rpo.total_seconds()


def snapshot_status(installation: Installation, name: ResourceName) -> SnapshotStatus:
    """From the records alone: no store is asked."""
    settings, objective = installation.in_snapshots(name), installation.stack.tier_of(name)
    _, *others = installation.repository_names(name)
    newest, scheduled = _taken(installation, snapshot_completed_key(name)), schedules(installation, name)
    restored = installation.records.history.newest(_PROOFS, RunState.SUCCEEDED, name)
    proof = None if restored is None else ended_run(restored)
    begun = newest.begun if newest is not None else None
    return SnapshotStatus(
        resource=name,
        kind=settings.kind,
        tier=settings.tier,
        rpo=objective.rpo,
        rto=objective.rto,
        newest_snapshot=newest,
        copies={other: _taken(installation, snapshot_copied_key(name, other)) for other in others},
        exposed_seconds=None if begun is None else max(0.0, (installation.clock.now() - begun).total_seconds()),
        recoverable=is_recoverable(installation, name, newest.ended if newest else None)
        and not nothing_is_sound(installation, name, newest.label if newest else None),
        damaged=damaged_backups(installation, name),
        quarantined_since=quarantined_since(installation, name),
        failed_backup=failed_since(installation, name, (Procedure.BACKUP,), newest.ended if newest else None),
        next_backup=next_of(scheduled),
        schedules=scheduled,
        last_restore=proof,
        failed_restore=failed_since(installation, name, _PROOFS, proof.ended if proof else None),
        kept_in=kept_copies(installation, name),
    )


def _taken(installation: Installation, key: StepKey) -> TakenSnapshot | None:
    step = installation.records.newest_success(key)
    if step is None or step.evidence is None or step.ended is None:
        return None
    proof = step.evidence.proof
    label = SnapshotLabel(str(proof["label"]))
    changed, left_out = (cast(int, proof.get(name, 0)) for name in ("changed_while_read", "left_out"))
    return TakenSnapshot(step.run, label.text, label.begun, step.ended, changed, left_out)
