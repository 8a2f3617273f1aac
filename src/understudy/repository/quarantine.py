"""Marks that say from when on nothing of a resource is to be believed. What they concern is never altered, and never chosen.

A mark is a signed document of its own, and so is its lifting. Neither is ever overwritten or removed, so that they can lie in a
store that lets nothing go, and what was once suspected stays to be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from understudy.ports.object_store import ObjectStore
from understudy.ports.world import Keys
from understudy.repository.documents import Fields
from understudy.repository.layout import FORMAT_VERSION, parts_of_quarantine_key, quarantine_key, quarantine_prefix
from understudy.repository.manifests import BackupManifest
from understudy.repository.put_once import put_once
from understudy.repository.signing import Signer, read_document
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.identifiers import ResourceName, SystemIdentifier
from understudy.vocabulary.json import JsonObject
from understudy.vocabulary.recovery_target import RecoveryTarget, TargetKind
from understudy.vocabulary.wal import Timeline

DOCUMENT = "understudy/quarantine"
LIFTED_DOCUMENT = "understudy/quarantine-lifted"


class Label(Protocol):
    @property
    def text(self) -> str: ...


class Taken(Protocol):
    """Whatever was taken at a time: a backup, a snapshot."""

    @property
    def label(self) -> Label: ...
    @property
    def start_time(self) -> datetime: ...
    @property
    def stop_time(self) -> datetime: ...


T = TypeVar("T", bound=Taken)


@dataclass(frozen=True, slots=True)
class Quarantine:
    """What ended at ``since`` or later, and was begun before ``until``, is not to be believed."""

    resource: ResourceName
    since: datetime
    until: datetime
    """When the mark was made. What is begun later is of the resource as it was brought back."""
    set_by: str
    """The run, or the word of a person."""
    timelines: Mapping[SystemIdentifier, Timeline]
    """Of a database, by cluster: the newest timeline there was. On it, and on all before it, WAL from ``since`` on is not to be
    believed; a recovery goes on on a later one."""

    @property
    def name(self) -> str:
        return f"{self.since.astimezone(UTC):%Y%m%dT%H%M%SZ}-{self.set_by}"

    def covers(self, taken: Taken) -> bool:
        return taken.stop_time >= self.since and taken.start_time < self.until

    def covers_replay(self, backup: BackupManifest, timeline: Timeline, target: RecoveryTarget) -> bool:
        """Whether a replay from the backup, which is not covered itself, to the target on the timeline could meet WAL that is."""
        newest = self.timelines.get(backup.system_identifier)
        if newest is None or timeline > newest or backup.stop_time >= self.since:
            return False
        match target.kind:
            case TargetKind.IMMEDIATE:
                return False
            case TargetKind.TIME:
                return target.time >= self.since
            case _:
                return True

    def to_json(self) -> JsonObject:
        return {
            "document": DOCUMENT,
            "format_version": FORMAT_VERSION,
            "resource": self.resource,
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "set_by": self.set_by,
            "timelines": [
                {"system_identifier": system, "timeline": timeline} for system, timeline in sorted(self.timelines.items())
            ],
        }

    @classmethod
    def from_json(cls, document: JsonObject) -> Quarantine:
        """
        Raises:
            GiveUp: ``document_malformed``.
            Refusal: ``format_newer``.
        """
        fields = Fields.of(document, DOCUMENT)
        clusters = fields.members("timelines")
        found = cls(
            resource=ResourceName(fields.text("resource")),
            since=fields.moment("since"),
            until=fields.moment("until"),
            set_by=fields.text("set_by"),
            timelines={SystemIdentifier(each.text("system_identifier")): Timeline(each.number("timeline")) for each in clusters},
        )
        for each in (fields, *clusters):
            each.finish()
        return found


@dataclass(frozen=True, slots=True)
class QuarantinesFound:
    """Of one resource in one repository."""

    standing: tuple[Quarantine, ...]
    lifted: tuple[Quarantine, ...]
    """They concern nothing any more."""


def find_quarantines(store: ObjectStore, keys: Keys, resource: ResourceName) -> QuarantinesFound:
    """
    Raises:
        Refusal: ``quarantine_unsure``: a mark, or its lifting, cannot be believed; ``format_newer``.
        GiveUp, TryAgain: as the store does.
    """
    there = [parts for found in store.list(quarantine_prefix(resource)) if (parts := parts_of_quarantine_key(found.key))]
    lifted = {name for name, is_lifting in there if is_lifting}
    standing: list[Quarantine] = []
    let_go: list[Quarantine] = []
    for name in sorted(name for name, is_lifting in there if not is_lifting):
        mark = Quarantine.from_json(_believed(store, keys, quarantine_key(resource, name)))
        if (mark.resource, mark.name) != (resource, name):
            raise _unsure(quarantine_key(resource, name), f"it says that it is {mark.name} of {mark.resource}")
        if name in lifted:
            _require_lifting_of(name, _believed(store, keys, quarantine_key(resource, name, lifted=True)), resource)
        (let_go if name in lifted else standing).append(mark)
    return QuarantinesFound(tuple(standing), tuple(let_go))


def set_quarantine(store: ObjectStore, keys: Keys, mark: Quarantine) -> None:
    """Twice is the same as once.

    Raises:
        GiveUp: ``quarantine_exists``: another one has this name; ``signing_key_missing``.
    """
    key = quarantine_key(mark.resource, mark.name)
    put_once(store, key, Signer.of(keys).seal_document(mark.to_json()), "quarantine_exists")


def lift_quarantine(store: ObjectStore, keys: Keys, resource: ResourceName, name: str, by: str, now: datetime) -> None:
    """Twice is the same as once: the first stays. Raises GiveUp ``signing_key_missing``, and as the store does."""
    document: JsonObject = {
        "document": LIFTED_DOCUMENT,
        "format_version": FORMAT_VERSION,
        "resource": resource,
        "name": name,
        "lifted": now.isoformat(),
        "lifted_by": by,
    }
    try:
        store.put(quarantine_key(resource, name, lifted=True), [Signer.of(keys).seal_document(document)])
    except GiveUp as error:
        if error.code != "object_exists":
            raise


def quarantine_over(quarantines: Iterable[Quarantine], taken: Taken) -> Quarantine | None:
    """The one that concerns it; None where none does."""
    return next((each for each in quarantines if each.covers(taken)), None)


def believed(quarantines: Sequence[Quarantine], taken: Iterable[T]) -> tuple[T, ...]:
    """Those that no quarantine concerns."""
    return tuple(each for each in taken if quarantine_over(quarantines, each) is None)


def kept_in_quarantine(quarantines: Sequence[Quarantine], there: Iterable[T], trusted: Sequence[T]) -> Iterator[T]:
    """What is suspected, and of each quarantine the newest from before it, with which that is compared."""
    yield from (each for each in there if quarantine_over(quarantines, each) is not None)
    for quarantine in quarantines:
        before = [each for each in trusted if each.stop_time < quarantine.since]
        if before:
            yield max(before, key=lambda each: (each.stop_time, each.label.text))


def require_believed_label(
    resource: ResourceName, label: str | None, quarantines: Sequence[Quarantine], taken: Iterable[Taken]
) -> None:
    """Who names one must say that it is to be taken although nothing of it is to be believed.

    Raises:
        Refusal: ``backup_quarantined``.
    """
    for each in taken:
        over = quarantine_over(quarantines, each) if each.label.text == label else None
        if over is not None:
            raise Refusal(
                "backup_quarantined",
                found=f"{label} of {resource} is quarantined: nothing from {over.since.isoformat()} on is to be believed",
                expected="one from before that",
                hint=f"list them: understudy backups {resource}; to look at it all the same, restore it with --quarantined; if "
                f"it is to be believed after all: understudy quarantine lift {resource}",
            )


def _require_lifting_of(name: str, document: JsonObject, resource: ResourceName) -> None:
    fields = Fields.of(document, LIFTED_DOCUMENT)
    fields.expect(resource=resource, name=name)
    fields.moment("lifted")
    fields.text("lifted_by")
    fields.finish()


def _believed(store: ObjectStore, keys: Keys, key: str) -> JsonObject:
    try:
        return read_document(b"".join(store.read(key)), keys.trusted_signers)
    except GiveUp as error:
        if error.code in ("store_denied", "store_refused", "bucket_missing"):
            raise
        raise _unsure(key, f"{error.code}: {error.found}") from error


def _unsure(key: str, found: str) -> Refusal:
    return Refusal(
        "quarantine_unsure",
        found=f"the mark {key} cannot be believed: {found}",
        expected="a signed mark, which says from when on nothing is to be believed",
        hint="somebody altered it, or a disk did. Find out from when on the system was not to be believed (understudy quarantine "
        "list of another repository, the evidence of the recovery); then name what you trust: --quarantined with --backup LABEL "
        "or --time",
    )
