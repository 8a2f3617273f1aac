"""``verify``: what the repositories hold is read back and compared with what was signed when it was stored."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from understudy.app.backups import no_backup
from understudy.app.installation import Installation
from understudy.app.lost_backups import lost_backups
from understudy.app.repositories import made_repository
from understudy.app.retention import rules_of
from understudy.plan.retention import RetentionFacts, decide_retention
from understudy.plan.wal_retention import ClusterHoldings
from understudy.repository.backup_checks import ObjectFault, check_backup
from understudy.repository.catalog import BackupListing, Repository, UnusableBackup
from understudy.repository.manifests import BackupManifest
from understudy.repository.replay_path import read_history
from understudy.repository.unpacking import SealedBackup
from understudy.repository.wal_archive import WalArchive, WalContents
from understudy.repository.wal_checks import wal_of_backup
from understudy.repository.wal_reading import read_wal
from understudy.vocabulary.errors import Refusal, UnderstudyError
from understudy.vocabulary.identifiers import BackupKind, BackupLabel, RepositoryName, ResourceName, SystemIdentifier
from understudy.vocabulary.wal import Lsn, Timeline, TimelineFork

Report = Callable[[str, int, int], None]
"""Activity, bytes done, bytes in all; called from several threads."""


@dataclass(frozen=True, slots=True)
class VerifyTarget:
    """None: all of them."""

    resource: ResourceName | None
    label: BackupLabel | None


@dataclass(frozen=True, slots=True)
class BackupCheckResult:
    repository: RepositoryName
    resource: ResourceName
    label: str
    """Of a backup; or the folder's name, where the manifest could not be believed."""
    kind: BackupKind | None
    parent: str | None
    """The label of the backup that an incremental one stands on."""
    objects: int
    sealed_bytes: int
    files: int | None
    faults: tuple[ObjectFault, ...]


@dataclass(frozen=True, slots=True)
class WalCheckResult:
    """The WAL of one cluster behind the backups that were checked."""

    repository: RepositoryName
    resource: ResourceName
    system_identifier: SystemIdentifier
    reaches: Lsn | None
    segments: int
    """Complete ones, and those of which only tails are there."""
    objects: int
    """Segments, tails and history files of which every stored byte was compared with what was signed."""
    decoded: int | None
    """Segments; None where nothing was opened."""
    faults: tuple[ObjectFault, ...]


@dataclass(frozen=True, slots=True)
class RepositoryFault:
    """A repository, or a resource's part of it, that could not be looked at."""

    repository: RepositoryName
    resource: ResourceName
    fault: ObjectFault


@dataclass(frozen=True, slots=True)
class VerifyResult:
    deep: bool
    backups: tuple[BackupCheckResult, ...]
    wal: tuple[WalCheckResult, ...]
    unreadable: tuple[RepositoryFault, ...]

    def broken_below(self, backup: BackupCheckResult) -> str | None:
        """The label nearest below this backup that has faults; None when its chain is whole, as far as it was looked at."""
        by_label = {each.label: each for each in self.backups if _place(each) == _place(backup)}
        parent = by_label.get(backup.parent or "")
        while parent is not None and not parent.faults:
            parent = by_label.get(parent.parent or "")
        return parent.label if parent else None

    @property
    def passed(self) -> bool:
        return not (self.unreadable or any(each.faults for each in self.backups) or any(each.faults for each in self.wal))


def _place(result: BackupCheckResult) -> tuple[str, str]:
    return result.repository, result.resource


def parse_target(installation: Installation, text: str | None) -> VerifyTarget:
    """``resource``, ``label`` or ``resource/label``.

    Raises:
        Refusal: ``no_such_resource``, ``no_such_backup`` (no label is spelled like that).
    """
    if text is None:
        return VerifyTarget(None, None)
    resource, slash, label = text.partition("/")
    if not slash:
        try:
            return VerifyTarget(None, BackupLabel(text))
        except ValueError:
            installation.resource(text)
            return VerifyTarget(ResourceName(text), None)
    installation.resource(resource)
    try:
        return VerifyTarget(ResourceName(resource), BackupLabel(label))
    except ValueError as error:
        raise Refusal(
            "no_such_backup", found=str(error), expected="resource, label or resource/label", hint="list them: understudy backups"
        ) from None


def verify(installation: Installation, target: VerifyTarget, repository: str | None, deep: bool, report: Report) -> VerifyResult:
    """
    Raises:
        Refusal: ``no_such_repository``, ``no_such_backup``, ``no_backup``.
        GiveUp: ``identity_missing``, with ``deep``.
    """
    if deep and installation.keys.keys.identity is None:
        raise Refusal(
            "identity_missing",
            found="the stack file names no age identity, so nothing can be opened here",
            expected="encryption.identity",
            hint="name it, or verify without --deep: digests and signatures need no identity",
        )
    verifier = _Verifier(installation, target, deep, report)
    for resource in [target.resource] if target.resource else installation.database_names():
        for name in _repositories(installation, resource, repository):
            verifier.verify_resource(name, resource)
    result = verifier.result()
    if not result.backups and all(each.fault.code == "repository_missing" for each in result.unreadable):
        resource = target.resource or installation.resource_names()[0]
        if target.label is None:
            raise no_backup(resource, f"the repositories hold no backup of {target.resource or 'anything'}")
        raise Refusal(
            "no_such_backup",
            found=f"no backup {target.label} in the repositories",
            expected="the label of one that is there",
            hint="list what is there: understudy backups",
        )
    return result


def _repositories(installation: Installation, resource: ResourceName, wanted: str | None) -> Sequence[RepositoryName]:
    names = installation.repository_names(resource)
    if wanted is None:
        return names
    named = installation.repository_name(wanted)
    return [name for name in names if name == named]


class _Verifier:
    """Collects results. A fault of one object, backup or repository never keeps the others from being looked at."""

    def __init__(self, installation: Installation, target: VerifyTarget, deep: bool, report: Report) -> None:
        self._installation = installation
        self._target = target
        self._deep = deep
        self._report = report
        self._backups: list[BackupCheckResult] = []
        self._wal: list[WalCheckResult] = []
        self._unreadable: list[RepositoryFault] = []

    def result(self) -> VerifyResult:
        return VerifyResult(self._deep, tuple(self._backups), tuple(self._wal), tuple(self._unreadable))

    def verify_resource(self, name: RepositoryName, resource: ResourceName) -> None:
        try:
            repository = made_repository(self._installation, name)
            listing = repository.backups(resource)
        except UnderstudyError as error:
            url = self._installation.stack.repositories[name].url
            self._unreadable.append(RepositoryFault(name, resource, ObjectFault.of(url, error)))
            return
        chosen = self._chosen(repository, listing.usable)
        for bad in listing.unusable:
            self._add_unusable(name, resource, bad)
        self._add_lost(name, repository, resource, listing)
        for cluster in sorted({backup.system_identifier for backup in chosen}):
            of_cluster = [backup for backup in chosen if backup.system_identifier == cluster]
            for backup in of_cluster:
                self._backups.append(self._check(name, repository, backup))
            held = [backup for backup in listing.usable if backup.system_identifier == cluster]
            self._check_wal(name, repository, resource, of_cluster, held)

    def _chosen(self, repository: Repository, usable: Sequence[BackupManifest]) -> list[BackupManifest]:
        """The backups that are meant; with one that was named all that it stands on, as far as that can be believed."""
        label = self._target.label
        if label is None:
            return list(usable)
        named = [backup for backup in usable if backup.label == label]
        chosen: list[BackupManifest] = []
        for backup in named:
            try:
                chosen += repository.chain(backup.resource, backup.system_identifier, backup.label)
            except UnderstudyError:
                chosen.append(backup)  # what is broken in its chain is told by its own check
        return chosen

    def _add_unusable(self, name: RepositoryName, resource: ResourceName, bad: UnusableBackup) -> None:
        label = bad.key.split("/")[-2]
        if self._target.label is None or label in (self._target.label.text, self._target.label.chain.text):
            faults = (ObjectFault.of(bad.key, bad.error),)
            self._backups.append(BackupCheckResult(name, resource, label, None, None, 0, 0, None, faults))

    def _add_lost(self, name: RepositoryName, repository: Repository, resource: ResourceName, listing: BackupListing) -> None:
        """What is not there can't be read back: it is known of by the records alone."""
        try:
            lost = lost_backups(self._installation, name, repository, resource, listing)
        except UnderstudyError as error:
            self._unreadable.append(RepositoryFault(name, resource, ObjectFault.of("controller", error)))
            return
        for label, fault in lost.items():
            if self._target.label in (None, BackupLabel(label)):
                self._backups.append(BackupCheckResult(name, resource, label, None, None, 0, 0, None, (fault,)))

    def _check(self, name: RepositoryName, repository: Repository, backup: BackupManifest) -> BackupCheckResult:
        faults: list[ObjectFault] = []
        opened: SealedBackup | None = None
        prefix = f"{backup.resource}/{backup.label}"
        if backup.parent is not None:
            try:
                repository.chain(backup.resource, backup.system_identifier, backup.label)
            except UnderstudyError as error:
                faults.append(ObjectFault.of(prefix, error))
        if self._deep:
            try:
                opened = repository.sealed(backup)
            except UnderstudyError as error:
                faults.append(ObjectFault.of(prefix, error))
        total_bytes = backup.plain_bytes if opened else backup.sealed_bytes
        meter = _BytesRead(lambda done: self._report(f"{name} {backup.resource}/{backup.label}", done, total_bytes))
        checked = check_backup(self._installation.stores[name], backup, meter.add, opened)
        return BackupCheckResult(
            repository=name,
            resource=backup.resource,
            label=backup.label.text,
            kind=backup.kind,
            parent=backup.parent.text if backup.parent else None,
            objects=checked.objects,
            sealed_bytes=checked.sealed_bytes,
            files=checked.files,
            faults=(*faults, *checked.faults),
        )

    def _check_wal(
        self,
        name: RepositoryName,
        repository: Repository,
        resource: ResourceName,
        backups: Sequence[BackupManifest],
        held: Sequence[BackupManifest],
    ) -> None:
        """Of ``backups``; ``held`` are all of the cluster, by which the rules tell where WAL may end behind an old one."""
        cluster, segment_bytes = backups[0].system_identifier, backups[0].segment_bytes
        archive = repository.wal(resource, cluster, segment_bytes)
        try:
            contents = archive.contents()
        except UnderstudyError as error:
            self._unreadable.append(RepositoryFault(name, resource, ObjectFault.of("wal", error)))
            return
        histories, faults = self._histories(archive, contents)
        goes_on = self._goes_on(resource, held, contents, histories)
        for backup in backups:
            found = wal_of_backup(contents, histories, backup, goes_on=goes_on(backup))
            faults += [fault for fault in found if fault not in faults]
        read = read_wal(
            archive,
            contents,
            backups,
            lambda done, total: self._report(f"{name} WAL of {resource}", done, total),
            histories=self._installation.keys.keys.identity is None,
            decoded_for=cluster if self._deep else None,
        )
        faults += [fault for fault in read.faults if fault not in faults]
        newest = max(contents.timelines(), default=None)
        self._wal.append(
            WalCheckResult(
                repository=name,
                resource=resource,
                system_identifier=cluster,
                reaches=contents.reaches(newest) if newest is not None else None,
                segments=read.segments,
                objects=read.objects,
                decoded=read.segments if self._deep else None,
                faults=tuple(faults),
            )
        )

    def _goes_on(
        self,
        resource: ResourceName,
        held: Sequence[BackupManifest],
        contents: WalContents,
        histories: Mapping[Timeline, tuple[TimelineFork, ...]],
    ) -> Callable[[BackupManifest], bool]:
        """Whether the stack file's keep asks for all WAL behind a backup; where that cannot be told, it counts as asked for."""
        cluster = ClusterHoldings(
            system_identifier=held[0].system_identifier, backups=tuple(held), wal=contents, histories=histories
        )
        facts = RetentionFacts(now=self._installation.clock.now(), clusters=(cluster,))
        try:
            (wal,) = decide_retention(rules_of(self._installation, resource), facts).wal
        except Refusal:
            return lambda backup: True
        return wal.goes_on_behind

    def _histories(
        self, archive: WalArchive, contents: WalContents
    ) -> tuple[dict[Timeline, tuple[TimelineFork, ...]], list[ObjectFault]]:
        """History files can be opened only with an identity; without one each timeline is looked at by itself."""
        histories: dict[Timeline, tuple[TimelineFork, ...]] = {}
        faults: list[ObjectFault] = []
        if self._installation.keys.keys.identity is None:
            return histories, faults
        for timeline in contents.histories:
            try:
                histories[timeline] = read_history(archive, timeline)
            except UnderstudyError as error:
                faults.append(ObjectFault.of(f"history of timeline {timeline}", error))
        return histories, faults


class _BytesRead:
    """Sums up what several threads read."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell = tell
        self._adding = threading.Lock()
        self._sum = 0

    def add(self, size_bytes: int) -> None:
        with self._adding:
            self._sum += size_bytes
            total = self._sum
        self._tell(total)
