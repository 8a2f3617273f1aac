"""What retention decides of the snapshots of one resource, repository by repository."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from understudy.app.damage import damaged_labels
from understudy.app.identities import new_plan_id
from understudy.app.installation import Installation
from understudy.app.locks import locked_until
from understudy.app.plans_as_written import steps_as_written
from understudy.app.quarantines import quarantines_in
from understudy.app.repositories import made_repository, prepare_repository
from understudy.app.snapshots import snapshots_of
from understudy.plan.plan import Plan, Procedure
from understudy.plan.retention import KeepRules
from understudy.plan.snapshot_expiry import SnapshotsDecided, plan_snapshot_expiry
from understudy.plan.snapshot_retention import SnapshotRetentionDecision, SnapshotRetentionFacts, decide_snapshot_retention
from understudy.records.run import RunState
from understudy.repository.snapshots.removal import loose_parts
from understudy.steps.restore_snapshot import RESTORES_SNAPSHOT
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.identifiers import RepositoryName, ResourceName, RunId, SnapshotLabel


@dataclass(frozen=True, slots=True)
class SnapshotRetention:
    """What is to become of one resource's snapshots in one repository; or why nothing is. Both, where it was refused when it was
    to be carried out.
    """

    resource: ResourceName
    repository: RepositoryName
    decision: SnapshotRetentionDecision | None
    fault: UnderstudyError | None
    loose_parts: int = 0
    """What killed attempts left, old enough to go."""

    @property
    def removes(self) -> bool:
        return self.decision is not None and bool(self.decision.going or self.decision.unfinished or self.loose_parts)


def decide_for_snapshots(
    installation: Installation, resource: ResourceName, repositories: Sequence[RepositoryName]
) -> Iterator[SnapshotRetention]:
    """For each repository by what it holds itself. Nothing is written."""
    for name in repositories:
        try:
            yield _decided(installation, resource, name)
        except UnderstudyError as fault:
            yield SnapshotRetention(resource, name, None, fault)


def plan_snapshot_removal(
    installation: Installation, resource: ResourceName, decided: Sequence[SnapshotRetention]
) -> Plan | None:
    """
    Raises:
        Refusal: ``controller_superseded``; and what the repositories raise.
    """
    removing = [
        SnapshotsDecided(each.repository, each.decision) for each in decided if each.removes and each.decision is not None
    ]
    for each in removing:
        prepare_repository(installation, each.repository)
    plan_id = new_plan_id(installation.clock, Procedure.EXPIRY)
    return plan_snapshot_expiry(resource, installation.in_snapshots(resource).kind, removing, plan_id, installation.digest)


def snapshot_rules(installation: Installation, resource: ResourceName) -> KeepRules:
    settings = installation.in_snapshots(resource)
    return KeepRules(
        daily=settings.keep.daily,
        weekly=settings.keep.weekly,
        monthly=settings.keep.monthly,
        manual=settings.keep.manual,
        point_in_time=settings.keep.point_in_time,
        timezone=settings.backup.timezone,
    )


def _decided(installation: Installation, resource: ResourceName, name: RepositoryName) -> SnapshotRetention:
    made_repository(installation, name).describe()
    snapshots = snapshots_of(installation, resource, name)
    found = snapshots.found()
    facts = SnapshotRetentionFacts(
        now=installation.clock.now(),
        snapshots=found.usable,
        unusable=tuple(f"{each.key}: {each.error.code}: {each.error.found}" for each in found.unusable),
        unfinished=found.unfinished,
        in_use=_in_use(installation, resource),
        proven=frozenset(_proven(installation, resource, name)),
        damaged=frozenset(damaged_labels(installation, name, resource)),
        locked=locked_until(
            installation.stores[name], {each.label: snapshots.place.manifest(each.label) for each in found.usable}
        ),
        quarantines=quarantines_in(installation, resource, name),
    )
    decision = decide_snapshot_retention(snapshot_rules(installation, resource), facts)
    loose = loose_parts(installation.stores[name], snapshots.place, found, (), decision.parts_begun_before)
    return SnapshotRetention(resource, name, decision, None, len(loose))


def _in_use(installation: Installation, resource: ResourceName) -> Mapping[SnapshotLabel, RunId]:
    """Those that runs hold, interrupted ones, too."""
    prefix = f"backup-chain:{resource}/"
    held = [(run, claim.subject) for run, claim in installation.records.holds() if claim.subject.startswith(prefix)]
    return {SnapshotLabel(subject.removeprefix(prefix)): run for run, subject in held}


def _proven(installation: Installation, resource: ResourceName, name: RepositoryName) -> Iterator[SnapshotLabel]:
    """What was restored from this repository, whole, by runs that succeeded, which includes that contents were compared."""
    for run in installation.records.history.of((Procedure.RESTORE,), RunState.SUCCEEDED):
        for fields in steps_as_written(installation.records.plan(run)):
            if fields["step"] != RESTORES_SNAPSHOT or fields["only"] is not None:
                continue
            if (fields["resource"], fields["repository"]) == (resource, name):
                yield SnapshotLabel(str(fields["label"]))
