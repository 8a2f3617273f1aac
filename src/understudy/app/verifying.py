"""``verify``: what the repositories hold is read back and compared with what was signed when it was stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from understudy.app.backups import no_backup
from understudy.app.installation import Installation
from understudy.app.lost_backups import lost_backups
from understudy.app.noted_readings import note_backup_read, note_wal_read
from understudy.app.repositories import made_repository
from understudy.app.retention import rules_of
from understudy.app.snapshot_checks import SnapshotVerifier
from understudy.app.verify_results import (
    BackupCheckResult,
    BytesRead,
    Report,
    RepositoryFault,
    VerifyResult,
    VerifyTarget,
    WalCheckResult,
)
from understudy.plan.retention import RetentionFacts, decide_retention
from understudy.plan.wal_retention import ClusterHoldings
from understudy.repository.backup_checks import ObjectFault, check_backup
from understudy.repository.catalog import BackupListing, Repository, UnusableBackup
from understudy.repository.manifests import BackupManifest
from understudy.repository.replay_path import read_histories, read_history
from understudy.repository.unpacking import SealedBackup
from understudy.repository.wal_archive import WalArchive, WalContents
from understudy.repository.wal_checks import wal_of_backup
from understudy.repository.wal_reading import read_wal
from understudy.vocabulary.errors import Refusal, UnderstudyError
from understudy.vocabulary.identifiers import BackupLabel, RepositoryName, ResourceName, SnapshotLabel, is_snapshot_label
from understudy.vocabulary.wal import Timeline, TimelineFork


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
            return VerifyTarget(None, _label(text))
        except ValueError:
            installation.resource(text)
            return VerifyTarget(ResourceName(text), None)
    installation.resource(resource)
    try:
        return VerifyTarget(ResourceName(resource), _label(label))
    except ValueError as error:
        raise Refusal(
            "no_such_backup", found=str(error), expected="resource, label or resource/label", hint="list them: understudy backups"
        ) from None


def _label(text: str) -> BackupLabel | SnapshotLabel:
    return SnapshotLabel(text) if is_snapshot_label(text) else BackupLabel(text)


def verify(installation: Installation, target: VerifyTarget, repository: str | None, deep: bool, report: Report) -> VerifyResult:
    """
    Raises:
        Refusal: ``no_such_repository``, ``no_such_backup``, ``no_backup``.
        GiveUp: ``identity_missing``, with ``deep``.
    """
    if deep and installation.keys.keys.identity is None:
        raise Refusal(
            "identity_missing",
            found="the stack file names no identity, so nothing can be opened here",
            expected="encryption.identity",
            hint="name it, or verify without --deep: digests and signatures need no identity",
        )
    result = _verified(installation, target, repository, deep, report)
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


def _verified(
    installation: Installation, target: VerifyTarget, repository: str | None, deep: bool, report: Report
) -> VerifyResult:
    databases = _Verifier(installation, target, deep, report)
    with SnapshotVerifier(installation, target, deep, report) as snapshots:
        for resource in [target.resource] if target.resource else installation.resource_names():
            for name in _repositories(installation, resource, repository):
                if installation.is_database(resource):
                    databases.verify_resource(name, resource)
                else:
                    snapshots.verify_resource(name, resource)
    of_databases = databases.result()
    return VerifyResult(
        deep=deep,
        backups=(*of_databases.backups, *snapshots.checked),
        wal=of_databases.wal,
        unreadable=(*of_databases.unreadable, *snapshots.unreadable),
    )


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
            held = [backup for backup in listing.usable if backup.system_identifier == cluster]
            for backup in of_cluster:
                self._backups.append(self._check(name, repository, backup))
                note_backup_read(self._installation, name, backup, held, self._backups[-1].faults)
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
        wanted = self._target.label
        if wanted is None or (isinstance(wanted, BackupLabel) and label in (wanted.text, wanted.chain.text)):
            faults = (ObjectFault.of(bad.key, bad.error),)
            self._backups.append(BackupCheckResult(name, resource, label, None, None, 0, 0, None, faults))

    def _add_lost(self, name: RepositoryName, repository: Repository, resource: ResourceName, listing: BackupListing) -> None:
        """What is not there can't be read back: it is known of by the records alone."""
        try:
            there = {each.label.text for each in listing.usable} | {each.key.split("/")[-2] for each in listing.unusable}
            lost = lost_backups(self._installation, name, repository, resource, there)
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
        meter = BytesRead(lambda done: self._report(f"{name} {backup.resource}/{backup.label}", done, total_bytes))
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
        goes_on = wanted_onward(self._installation, resource, held, contents, histories)
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
        note_wal_read(self._installation, name, backups, contents, read)
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


def wanted_onward(
    installation: Installation,
    resource: ResourceName,
    held: Sequence[BackupManifest],
    contents: WalContents,
    histories: Mapping[Timeline, tuple[TimelineFork, ...]],
) -> Callable[[BackupManifest], bool]:
    """Whether the stack file's keep asks for all WAL behind a backup; where that cannot be told, it counts as asked for."""
    cluster = ClusterHoldings(system_identifier=held[0].system_identifier, backups=tuple(held), wal=contents, histories=histories)
    facts = RetentionFacts(now=installation.clock.now(), clusters=(cluster,))
    try:
        (wal,) = decide_retention(rules_of(installation, resource), facts).wal
    except Refusal:
        return lambda backup: True
    return wal.goes_on_behind


def backups_read_onward(installation: Installation, repository: Repository, resource: ResourceName) -> tuple[str, ...]:
    """Labels of the usable ones behind which ``wanted_onward``. Raises what the repository raises."""
    usable = repository.backups(resource).usable
    labels: list[str] = []
    for cluster in sorted({backup.system_identifier for backup in usable}):
        held = [backup for backup in usable if backup.system_identifier == cluster]
        archive = repository.wal(resource, cluster, held[0].segment_bytes)
        contents = archive.contents()
        opens = installation.keys.keys.identity is not None
        histories = read_histories(archive, contents)[0] if opens else {}
        goes_on = wanted_onward(installation, resource, held, contents, histories)
        labels += [backup.label.text for backup in held if goes_on(backup)]
    return tuple(labels)
