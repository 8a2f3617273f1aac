"""Read stored units back and compare every byte with what was signed."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import ClassVar

from understudy.ports.readings import Found, ReadFault
from understudy.ports.world import World
from understudy.records.state_database import as_state_faults
from understudy.repository.at_once import parts_read, processors
from understudy.repository.backup_units import BackupUnits
from understudy.repository.catalog import Repository
from understudy.repository.snapshots.units import SnapshotUnits
from understudy.repository.stored_units import StoredUnit, StoredUnits, UnitRead
from understudy.steps.codec import step_kind
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import Cancelled, GiveUp
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import RepositoryName, ResourceName, StepKey
from understudy.vocabulary.phases import Phase

DAMAGE_FOUND = "damage_found"
DATABASE = "postgres"
_TOLD = 10
_LOOK_SECONDS = 0.2
_NOTED_SECONDS = 1.0


@step_kind("read_back")
@dataclass(frozen=True, slots=True)
class ReadBack:
    """What is damaged is noted with the rest, and fails the step once all was read: one fault does not hide the next.

    What was read is noted as it goes, about once a second: a process that comes after one that was killed goes on behind that.
    What retention has removed since this was planned is neither read nor missed.
    """

    resource: str
    kind: str
    repository: str
    units: tuple[str, ...]
    """By name, or ``first..last`` of all that lie between by name."""
    goes_on: tuple[str, ...]
    """Of a database: backups behind which there must be no hole in the WAL."""
    lost: tuple[str, ...]
    """What should be there, and was not when this was planned."""
    PHASE: ClassVar = Phase.VERIFY

    @property
    def key(self) -> StepKey:
        return StepKey(f"{self.resource}/read-back-from-{self.repository}")

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=1)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, f"what was read in {self.repository} is as it was signed")
        repository, resource = RepositoryName(self.repository), ResourceName(self.resource)
        stored = self._listed(world)
        with as_state_faults():
            world.readings.refresh(repository, resource, stored.sizes())
            missing = [Found(unit, 0, fault) for unit, fault in stored.faults.items()]
            world.readings.note(repository, resource, missing, world.run)
            read_before = {each.unit for each in world.readings.of(repository, resource) if each.run == world.run}
        chosen = {unit: stored.units[unit] for unit in stored.units if self._is_meant(unit)}
        reading = _UnderWay(world, repository, resource, {unit: chosen[unit] for unit in chosen.keys() - read_before})
        reading.carry_out()
        with as_state_faults():
            read = [each for each in world.readings.of(repository, resource) if each.run == world.run]
        faults = {each.unit: each.fault for each in read if each.fault is not None}
        if faults:
            raise self._damaged(faults)
        return witness.done(
            repository=self.repository,
            units=len(read),
            sealed_bytes=sum(each.size_bytes for each in read),
            of_units=len(stored.units),
            of_bytes=sum(unit.size_bytes for unit in stored.units.values()),
        )

    def _listed(self, world: World) -> StoredUnits:
        store = world.stores[RepositoryName(self.repository)]
        repository, resource = Repository.of(world, RepositoryName(self.repository)), ResourceName(self.resource)
        if self.kind == DATABASE:
            stored = BackupUnits(store, repository, resource, world.keys.identity is not None).listed(self.goes_on)
        else:
            stored = SnapshotUnits(store, repository.snapshots(self.kind, resource)).listed()
        there = {part for unit in (*stored.units, *stored.faults) for part in unit.split("/")}
        for label in self.lost:
            if label not in there:
                stored.faults[f"{label}/lost"] = ReadFault(
                    "backup_lost",
                    found=f"{label} was completed in {self.repository}, no retention was to remove it, and it is not there",
                    expected="what was stored here, until keep lets it go",
                    hint=f"find out what became of it; another one: understudy backup {self.resource} --full",
                    labels=(label,),
                )
        return stored

    def _is_meant(self, unit: str) -> bool:
        return any(first <= unit <= (last or first) for first, _, last in (each.partition("..") for each in self.units))

    def _damaged(self, faults: Mapping[str, ReadFault]) -> GiveUp:
        first = min(faults)
        more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
        labels = sorted({label for fault in faults.values() for label in fault.labels})
        marked = f"{', '.join(labels)} cannot be restored from {self.repository}: " if labels else ""
        error = GiveUp(
            DAMAGE_FOUND,
            found=f"{faults[first].code}: {faults[first].found}{more}",
            expected=faults[first].expected,
            hint=f"{marked}the next backup uses nothing of it; take one now: understudy backup {self.resource} --full; look "
            f"after the store, and see all of it: understudy verify {self.resource} --repository {self.repository}",
        )
        told = sorted(faults)[:_TOLD]
        error.add_proof(repository=self.repository, damaged=", ".join(labels), units=", ".join(told))
        return error


class _UnderWay:
    """Several units at a time. Only the thread that carries it out notes what was read."""

    def __init__(self, world: World, repository: RepositoryName, resource: ResourceName, units: Mapping[str, StoredUnit]) -> None:
        self._world = world
        self._repository = repository
        self._resource = resource
        self._units = units
        self._stopping = threading.Event()
        self._found: list[Found] = []
        self._noted = world.clock.monotonic_seconds()

    def carry_out(self) -> None:
        """Raises the first of what is no damage: a store that is away, a request to end."""
        total, done = sum(unit.size_bytes for unit in self._units.values()), 0
        waiting = iter(sorted(self._units))
        under_way: dict[Future[UnitRead], str] = {}
        workers = parts_read(processors())
        with ThreadPoolExecutor(workers, thread_name_prefix="read back") as threads:
            try:
                while True:
                    for unit in islice(waiting, workers - len(under_way)):
                        under_way[threads.submit(self._units[unit].read, self._raise_if_stopping)] = unit
                    if not under_way:
                        break
                    ended, _ = wait(under_way, _LOOK_SECONDS, FIRST_COMPLETED)
                    for future in ended:
                        done += self._take(under_way.pop(future), future.result())
                    self._world.progress.report(f"reading {self._repository}", done, total)
                    self._world.cancellation.raise_if_requested()
                    self._note_now_and_then()
            finally:
                self._stopping.set()
                self._note()

    def _take(self, unit: str, read: UnitRead) -> int:
        size_bytes = self._units[unit].size_bytes
        if not read.gone:
            self._found.append(Found(unit, size_bytes, read.fault))
        return size_bytes

    def _note_now_and_then(self) -> None:
        if self._world.clock.monotonic_seconds() - self._noted >= _NOTED_SECONDS:
            self._note()

    def _note(self) -> None:
        self._noted = self._world.clock.monotonic_seconds()
        found, self._found = self._found, []
        if found:
            with as_state_faults():
                self._world.readings.note(self._repository, self._resource, found, self._world.run)

    def _raise_if_stopping(self) -> None:
        if self._stopping.is_set():
            raise Cancelled("the reading was stopped")
