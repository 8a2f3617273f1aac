"""All that a new backup or snapshot needs, locked from now on, and read back: what it shares with earlier ones, too."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.world import World
from understudy.repository.catalog import Repository
from understudy.repository.locking import Locked, keys_of_backup, keys_of_snapshot, keys_of_the_way_in, renew_locks
from understudy.steps.codec import step_kind
from understudy.steps.left_out import left_out
from understudy.steps.take_snapshot import taken_snapshot
from understudy.steps.witness import Witness
from understudy.steps.write_backup_manifest import taken_backup
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import RepositoryName, StepKey
from understudy.vocabulary.phases import Phase


@step_kind("lock_backup")
@dataclass(frozen=True, slots=True)
class LockBackup:
    """After its manifest: a backup that turns out not to be locked is one all the same, and the run says what it lacks.

    ``may_be_left_out``: after a recovery a store that keeps no locks is named, and does not fail it.
    """

    resource: str
    repository: str
    may_be_left_out: bool = False
    PHASE: ClassVar = Phase.PROTECT

    @property
    def key(self) -> StepKey:
        return locked_key(self.resource, self.repository)

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=24)

    def run(self, world: World) -> Evidence:
        witness = _witness(world, self.resource, self.repository)
        skipped = left_out(world, witness, self.resource, self.repository)
        if skipped is not None:
            return skipped
        backup = taken_backup(world, self.resource)
        name = RepositoryName(self.repository)
        try:
            keys = keys_of_backup(world.stores[name], Repository.of(world, name), backup)
            locked = _renewed(world, self.repository, keys)
        except GiveUp as error:
            if not self.may_be_left_out:
                raise
            return witness.skipped(f"{error.code}: {error.found}", hint=error.hint, repository=self.repository, code=error.code)
        return _told(witness, self.repository, backup.label.text, locked)


@step_kind("lock_snapshot")
@dataclass(frozen=True, slots=True)
class LockSnapshot:
    """As ``LockBackup``."""

    resource: str
    kind: str
    repository: str
    PHASE: ClassVar = Phase.PROTECT

    @property
    def key(self) -> StepKey:
        return locked_key(self.resource, self.repository)

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=24)

    def run(self, world: World) -> Evidence:
        witness = _witness(world, self.resource, self.repository)
        snapshot = taken_snapshot(world, self.resource)
        return _told(witness, self.repository, snapshot.label.text, _renewed(world, self.repository, keys_of_snapshot(snapshot)))


def locked_key(resource: str, repository: str) -> StepKey:
    """Of the step with whose success the newest backup, or snapshot, is locked in the repository."""
    return StepKey(f"{resource}/lock-in-{repository}")


def _witness(world: World, resource: str, repository: str) -> Witness:
    return Witness.of(world.clock, resource, f"nobody can remove what it needs from {repository} before its lock runs out")


def _renewed(world: World, repository: str, keys: Iterable[str]) -> Locked | None:
    store = world.stores[RepositoryName(repository)]
    wanted = (*keys, *keys_of_the_way_in(store))
    return renew_locks(store, wanted, progress=world.progress, cancellation=world.cancellation)


def _told(witness: Witness, repository: str, label: str, locked: Locked | None) -> Evidence:
    if locked is None:
        return witness.skipped("the stack file no longer says lock for this repository", repository=repository)
    lock = locked.first_to_end
    return witness.done(
        label=label, repository=repository, objects=locked.objects, mode=lock.mode.value, locked_until=lock.until.isoformat()
    )
