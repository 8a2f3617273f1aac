"""What is stored is read back a part at a time, what was not read for longest first: the facts, the plan, the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from understudy.app.carrying_out import Watcher, carry_out
from understudy.app.identities import new_plan_id
from understudy.app.installation import Installation
from understudy.app.lost_backups import lost_backups
from understudy.app.repositories import is_unmade
from understudy.app.run_view import RunView
from understudy.app.verifying import backups_read_onward
from understudy.plan.plan import Plan, Procedure
from understudy.plan.reading_back import ReadingFacts, StoredFacts, UnitFacts, plan_reading_back
from understudy.repository.backup_units import BackupUnits
from understudy.repository.snapshots.units import SnapshotUnits
from understudy.vocabulary.errors import GiveUp, TryAgain
from understudy.vocabulary.identifiers import RepositoryName, ResourceName


def read_back(installation: Installation, budget_bytes: int, watcher: Watcher) -> RunView | None:
    """One run, now. None: nothing is stored yet.

    Raises:
        Refusal: ``busy``: another one reads; ``controller_busy``.
    """
    plan = plan_next_reading(installation, budget_bytes)
    return None if plan is None else carry_out(installation, plan, watcher)


def plan_next_reading(installation: Installation, budget_bytes: int) -> Plan | None:
    """Gather the facts and decide. None: nothing is stored yet."""
    facts = ReadingFacts(
        plan_id=new_plan_id(installation.clock, Procedure.VERIFICATION),
        stack_digest=installation.digest,
        budget_bytes=budget_bytes,
        stored=tuple(_stored(installation)),
    )
    return plan_reading_back(facts)


def units_of(installation: Installation, name: RepositoryName, resource: ResourceName) -> BackupUnits | SnapshotUnits:
    """Nothing is asked yet."""
    store, repository = installation.stores[name], installation.repository(name)
    if installation.is_database(resource):
        return BackupUnits(store, repository, resource, installation.keys.keys.identity is not None)
    return SnapshotUnits(store, repository.snapshots(installation.in_snapshots(resource).kind, resource))


def _stored(installation: Installation) -> Iterator[StoredFacts]:
    for resource in installation.resource_names():
        for name in installation.repository_names(resource):
            if is_unmade(installation, name):
                continue
            try:
                yield _of(installation, name, resource)
            except (TryAgain, GiveUp):  # its step meets that, too, waits for what passes, and tells what does not
                yield StoredFacts(name, resource, installation.resource(resource).kind, ())


def _of(installation: Installation, name: RepositoryName, resource: ResourceName) -> StoredFacts:
    listed = units_of(installation, name, resource).listed()
    known = {each.unit: each for each in installation.records.readings.of(name, resource)}
    units = []
    for unit, size_bytes in listed.sizes().items():
        if unit in listed.faults:
            continue
        before = known.get(unit)
        as_it_is = before is not None and before.size_bytes == size_bytes
        units.append(UnitFacts(resource, unit, size_bytes, before.read if before is not None and as_it_is else None))
    repository = installation.repository(name)
    there = {part for unit in (*listed.units, *listed.faults) for part in unit.split("/")}
    lost: Mapping[str, object] = lost_backups(installation, name, repository, resource, there)
    goes_on: tuple[str, ...] = ()
    if installation.is_database(resource):
        goes_on = backups_read_onward(installation, repository, resource)
    return StoredFacts(name, resource, installation.resource(resource).kind, tuple(units), goes_on, tuple(lost))
