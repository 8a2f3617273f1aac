"""What an adopted repository holds of each resource, and what this host lacks to bring it back. Only looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from understudy.app.recovery_kit import KitContents
from understudy.repository.catalog import Repository
from understudy.repository.manifests import BackupManifest
from understudy.repository.wal_archive import WalArchive, WalContents
from understudy.repository.wal_commits import newest_commit
from understudy.stack.models import Stack
from understudy.stack.references import references_in
from understudy.stack.resources import PostgresResource
from understudy.stack.secrets import resolve
from understudy.vocabulary.errors import GiveUp, UnderstudyError
from understudy.vocabulary.identifiers import ResourceName

_SEGMENTS_READ = 2
"""In the search for a commit: the last one may have been begun just before the loss."""


@dataclass(frozen=True, slots=True)
class NewestBackup:
    """Of a database, or the newest snapshot of what is none."""

    label: str
    ended: datetime
    size_bytes: int | None
    """Of what it would restore; None of an incremental one, which stands on others."""


@dataclass(frozen=True, slots=True)
class KeptWal:
    """Of the newest backup's cluster; whether it goes on without a hole, ``verify`` says."""

    until: str
    """The position behind its last byte."""
    timeline: int
    newest_commit: datetime | None
    """Of its last segments; None where they hold none, or cannot be read."""


@dataclass(frozen=True, slots=True)
class HeldResource:
    resource: str
    kind: str
    repositories: tuple[str, ...]
    """In which the stack file keeps it, in its order."""
    backups: int
    newest: NewestBackup | None
    server: str
    """Of a database: version and system identifier, as of the newest backup."""
    wal: KeptWal | None
    unusable: tuple[str, ...]
    """Why each backup that is there and cannot be used cannot be."""
    fault: str
    """Why it is not known what is there."""


@dataclass(frozen=True, slots=True)
class MissingCredential:
    reference: str
    meaning: str
    found: str
    """What is wrong with it."""
    recovers: str | None
    """The database whose ``url`` it is: a recovery needs that also where the server is gone."""
    port: int | None
    """At which a recovery would bring that database up here."""


@dataclass(frozen=True, slots=True)
class Survey:
    resources: tuple[HeldResource, ...]
    newest: Mapping[ResourceName, BackupManifest]
    """Of each database that has a backup."""


def survey(repository: Repository, stack: Stack) -> Survey:
    """A resource that cannot be looked at hides nothing of the others."""
    newest: dict[ResourceName, BackupManifest] = {}
    held = []
    for name in map(ResourceName, stack.resources):
        try:
            if isinstance(stack.resources[name], PostgresResource):
                held.append(_of_database(repository, stack, name, newest))
            else:
                held.append(_of_snapshots(repository, stack, name))
        except UnderstudyError as error:
            held.append(_held(stack, name, fault=f"{error.code}: {error.found}"))
    return Survey(tuple(held), newest)


def missing_credentials(stack: Stack, kit: KitContents) -> tuple[MissingCredential, ...]:
    """What the stack file refers to and is not set here. Of what the kit names, the kit's own words say what it is."""
    told = {each.reference: each.meaning for each in kit.credentials}
    missing: dict[str, MissingCredential] = {}
    for each in references_in(stack):
        reference = str(each.reference)
        try:
            resolve(each.reference)
        except GiveUp as error:
            meaning = told.get(reference, each.meaning)
            missing.setdefault(reference, MissingCredential(reference, meaning, error.found, *_recovered(stack, each.place)))
    return tuple(missing.values())


def _recovered(stack: Stack, place: tuple[str, ...]) -> tuple[str | None, int | None]:
    match place:
        case ("resources", name, "url") if isinstance(resource := stack.resources[name], PostgresResource):
            return name, resource.recover.port if resource.recover else None
        case _:
            return None, None


def _of_database(
    repository: Repository, stack: Stack, name: ResourceName, newest: dict[ResourceName, BackupManifest]
) -> HeldResource:
    listing = repository.backups(name)
    unusable = tuple(f"{each.key}: {each.error.found}" for each in listing.unusable)
    if not listing.usable:
        return _held(stack, name, unusable=unusable)
    last = max(repository.believed(name, listing.usable) or listing.usable, key=lambda backup: backup.stop_time)
    newest[name] = last
    archive = repository.wal(name, last.system_identifier, last.segment_bytes)
    return _held(
        stack,
        name,
        backups=len(listing.usable),
        newest=NewestBackup(last.label.text, last.stop_time, None if last.parent else last.plain_bytes),
        server=f"PostgreSQL {last.server_major}, system identifier {last.system_identifier}",
        wal=_wal(archive, archive.contents()),
        unusable=unusable,
    )


def _wal(archive: WalArchive, contents: WalContents) -> KeptWal | None:
    timeline = max(contents.timelines(), default=None)
    reaches = None if timeline is None else contents.reaches(timeline)
    if timeline is None or reaches is None:
        return None
    return KeptWal(str(reaches), timeline, _newest_commit(archive, contents))


def _newest_commit(archive: WalArchive, contents: WalContents) -> datetime | None:
    for segment in sorted({*contents.segments, *contents.tail_reaches()})[: -_SEGMENTS_READ - 1 : -1]:
        try:
            found = newest_commit(archive.fetch_segment(segment))
        except UnderstudyError:
            return None  # what is damaged, verify says
        if found is not None:
            return found
    return None


def _of_snapshots(repository: Repository, stack: Stack, name: ResourceName) -> HeldResource:
    found = repository.snapshots(stack.resources[name].kind, name).found()
    last = max(repository.believed(name, found.usable), key=lambda snapshot: snapshot.stop_time, default=None)
    return _held(
        stack,
        name,
        backups=len(found.usable),
        newest=None if last is None else NewestBackup(str(last.label), last.stop_time, last.content_bytes),
        unusable=tuple(f"{each.key}: {each.error.found}" for each in found.unusable),
    )


def _held(
    stack: Stack,
    name: ResourceName,
    *,
    backups: int = 0,
    newest: NewestBackup | None = None,
    server: str = "",
    wal: KeptWal | None = None,
    unusable: tuple[str, ...] = (),
    fault: str = "",
) -> HeldResource:
    declared = stack.resources[name]
    return HeldResource(name, declared.kind, stack.repositories_of(name), backups, newest, server, wal, unusable, fault)
