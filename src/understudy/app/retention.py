"""``expire``: what retention decides for each repository of a resource, and the run that carries it out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from understudy.app.carrying_out import Watcher, carry_out
from understudy.app.damage import damaged_labels
from understudy.app.identities import new_plan_id
from understudy.app.installation import Installation
from understudy.app.locks import locked_until
from understudy.app.plans_as_written import steps_as_written
from understudy.app.quarantines import quarantines_in
from understudy.app.repositories import made_repository, prepare_repository
from understudy.app.run_view import RunView
from understudy.app.snapshot_retention import SnapshotRetention, decide_for_snapshots, plan_snapshot_removal
from understudy.plan.expiry import DecidedFor, plan_expiry
from understudy.plan.plan import Plan, Procedure
from understudy.plan.restore_choice import Histories
from understudy.plan.retention import (
    BackupKey,
    KeepRules,
    RetentionDecision,
    RetentionFacts,
    UnfinishedBackup,
    decide_retention,
    key_of,
)
from understudy.plan.wal_retention import ClusterHoldings
from understudy.records.run import RunState
from understudy.repository.catalog import BackupListing, Repository
from understudy.repository.replay_path import read_histories
from understudy.repository.wal_archive import WalArchive, WalContents
from understudy.steps.forget_shipped_wal import ForgetShippedWal
from understudy.steps.restore_base_backup import RESTORES_BASE_BACKUP
from understudy.steps.wal_shipping import shipped_everywhere
from understudy.vocabulary.errors import Refusal, UnderstudyError
from understudy.vocabulary.identifiers import BackupLabel, RepositoryName, ResourceName, RunId, SystemIdentifier
from understudy.vocabulary.wal import WalSegment

_PROVING = (Procedure.DRILL, Procedure.RESTORE, Procedure.RECOVERY)


@dataclass(frozen=True, slots=True)
class Retention:
    """What is to become of one resource's backups and WAL in one repository; or why nothing is. Both, where it was refused when
    it was to be carried out.
    """

    resource: ResourceName
    repository: RepositoryName
    decision: RetentionDecision | None
    fault: UnderstudyError | None
    forget: ForgetShippedWal | None = None
    """What must be done to the spool first."""

    @property
    def removes(self) -> bool:
        return self.decision is not None and self.decision.removes


Decided = Retention | SnapshotRetention


def decide(installation: Installation, resource: str | None, repository: str | None) -> tuple[Decided, ...]:
    """For each repository by what it holds itself: what one has lost, another is not asked for. Nothing is written.

    Raises:
        Refusal: ``no_such_resource``, ``no_such_repository``.
    """
    if resource is not None:
        installation.resource(resource)
    names = [ResourceName(resource)] if resource else installation.resource_names()
    if repository is not None:
        installation.repository_name(repository)
    decided: list[Decided] = []
    for name in names:
        repositories = [each for each in installation.repository_names(name) if repository in (None, each)]
        decide_for = _decide_for if installation.is_database(name) else decide_for_snapshots
        decided += decide_for(installation, name, repositories)
    return tuple(decided)


@dataclass(frozen=True, slots=True)
class Expired:
    """What was carried out of it, and what was refused then."""

    decided: tuple[Decided, ...]
    """As decided; where a resource was refused, with that as its fault."""
    views: tuple[RunView, ...]
    refused: tuple[Refusal, ...]
    """``busy`` (a backup is under way, or a chain of which something goes is read), ``controller_superseded``."""


def expire(installation: Installation, decided: Sequence[Decided], watcher: Watcher) -> Expired:
    """Carry out what was decided, a run for each resource of which anything goes. What one is refused keeps back no other."""
    views: list[RunView] = []
    refused: dict[ResourceName, Refusal] = {}
    for resource in dict.fromkeys(each.resource for each in decided):
        try:
            plan = plan_for(installation, resource, decided)
            if plan is not None:
                views.append(carry_out(installation, plan, watcher))
        except Refusal as error:
            refused[resource] = error
    told = tuple(replace(each, fault=each.fault or refused.get(each.resource)) for each in decided)
    return Expired(told, tuple(views), tuple(refused.values()))


def plan_for(installation: Installation, resource: ResourceName, decided: Sequence[Decided]) -> Plan | None:
    """
    Raises:
        Refusal: ``controller_superseded``; and what the repositories raise.
    """
    here = [each for each in decided if each.resource == resource]
    if not installation.is_database(resource):
        return plan_snapshot_removal(installation, resource, [each for each in here if isinstance(each, SnapshotRetention)])
    databases = [each for each in here if isinstance(each, Retention)]
    removing = [
        DecidedFor(each.repository, each.decision) for each in databases if each.decision is not None and each.decision.removes
    ]
    for each in removing:
        prepare_repository(installation, each.repository)
    plan_id = new_plan_id(installation.clock, Procedure.EXPIRY)
    forget = next((each.forget for each in databases if each.removes), None)
    return plan_expiry(resource, removing, plan_id, installation.digest, forget)


def rules_of(installation: Installation, resource: ResourceName) -> KeepRules:
    settings = installation.postgres(resource)
    return KeepRules(
        daily=settings.keep.daily,
        weekly=settings.keep.weekly,
        monthly=settings.keep.monthly,
        manual=settings.keep.manual,
        point_in_time=settings.keep.point_in_time,
        timezone=settings.backup.timezone,
    )


@dataclass(frozen=True, slots=True)
class _Spool:
    unshipped: tuple[WalSegment, ...]
    """What it goes on to hold: what some repository has not got, or may not have, and the newest."""
    forget: ForgetShippedWal | None
    """What removes the rest from it. None: a repository is away, or there is no spool."""


def _spool(installation: Installation, resource: ResourceName) -> _Spool:
    segments = installation.receivers[resource].spool().segments
    seen = installation.seen(resource)
    if not segments or seen is None:
        return _Spool(segments, None)
    names = installation.repository_names(resource)
    try:
        held = [
            installation.repository(each).wal(resource, seen.system_identifier, seen.segment_bytes).contents() for each in names
        ]
    except UnderstudyError:
        return _Spool(segments, None)
    shipped = shipped_everywhere(segments, [contents.holds for contents in held])
    return _Spool(
        tuple(each for each in segments if each not in shipped),
        ForgetShippedWal(resource, names, seen.system_identifier, seen.segment_bytes),
    )


def _decide_for(
    installation: Installation, resource: ResourceName, repositories: Sequence[RepositoryName]
) -> Iterator[Retention]:
    spool: _Spool | None = None
    for name in repositories:
        try:
            spool = spool or _spool(installation, resource)
            facts = _facts(installation, resource, name, spool.unshipped)
            decision = decide_retention(rules_of(installation, resource), facts)
        except UnderstudyError as fault:
            yield Retention(resource, name, None, fault)
        else:
            yield Retention(resource, name, decision, None, spool.forget)


def _facts(
    installation: Installation, resource: ResourceName, name: RepositoryName, unshipped: tuple[WalSegment, ...]
) -> RetentionFacts:
    repository = made_repository(installation, name)
    repository.describe()
    listing = repository.backups(resource)
    marked = damaged_labels(installation, name, resource)
    return RetentionFacts(
        now=installation.clock.now(),
        clusters=tuple(_clusters(installation, resource, repository, listing, unshipped)),
        damaged=frozenset(key_of(each) for each in listing.usable if each.label.text in marked),
        unusable=tuple(f"{each.key}: {each.error.code}: {each.error.found}" for each in listing.unusable),
        unfinished=tuple(UnfinishedBackup(system, label) for system, label in listing.unfinished),
        in_use=_in_use(installation, resource),
        proven=frozenset(_proven(installation, resource, name)),
        locked=locked_until(installation.stores[name], {key_of(each): each.key for each in listing.usable}),
        quarantines=quarantines_in(installation, resource, name),
    )


def _clusters(
    installation: Installation,
    resource: ResourceName,
    repository: Repository,
    listing: BackupListing,
    unshipped: tuple[WalSegment, ...],
) -> Iterator[ClusterHoldings]:
    """A cluster without a usable backup is left alone: nothing tells which of its WAL is old."""
    seen = installation.seen(resource)
    for system in sorted({each.system_identifier for each in listing.usable}):
        backups = tuple(each for each in listing.usable if each.system_identifier == system)
        archive = repository.wal(resource, system, backups[0].segment_bytes)
        contents = archive.contents()
        yield ClusterHoldings(
            system_identifier=system,
            backups=backups,
            wal=contents,
            histories=_histories(installation, archive, contents),
            spooled=unshipped if seen is None or seen.system_identifier == system else (),
        )


def _histories(installation: Installation, archive: WalArchive, contents: WalContents) -> Histories:
    if installation.keys.keys.identity is None:
        return {}
    readable, _ = read_histories(archive, contents)
    return readable


def _in_use(installation: Installation, resource: ResourceName) -> Mapping[BackupLabel, RunId]:
    """Chains that runs hold, interrupted ones, too; and that of the warm copy, which needs all WAL behind it, in the name of the
    run that seeded it.
    """
    prefix = f"backup-chain:{resource}/"
    held = [(run, claim.subject) for run, claim in installation.records.holds() if claim.subject.startswith(prefix)]
    in_use = {BackupLabel(subject.removeprefix(prefix)): run for run, subject in held}
    copy = installation.warm_copies.read(resource) if installation.postgres(resource).warm_copy is not None else None
    return {BackupLabel(copy.label).chain: copy.run, **in_use} if copy is not None and copy.taken_by is None else in_use


def _proven(installation: Installation, resource: ResourceName, name: RepositoryName) -> Iterator[BackupKey]:
    """What was restored from this repository by runs that succeeded, which includes that the data were verified."""
    for run in installation.records.history.of(_PROVING, RunState.SUCCEEDED):
        for fields in steps_as_written(installation.records.plan(run)):
            if fields["step"] == RESTORES_BASE_BACKUP and (fields["resource"], fields["repository"]) == (resource, name):
                labels = cast("Sequence[str]", fields["labels"])
                yield SystemIdentifier(str(fields["system_identifier"])), BackupLabel(labels[-1])
