"""What a person or a schedule asked for, kept beside the runs that it leads to.

A run carries out one plan, and some ends of a run call for another one. What was asked for outlives the process that was asked,
so it is plain JSON, and what comes next (``plan.following``) follows from it and from the last run alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

from understudy.plan.plan import Procedure
from understudy.vocabulary.disruption import Disruption, disruption_from_json, disruption_to_json
from understudy.vocabulary.identifiers import BackupKind, BackupOrigin, Person, RepositoryName, ResourceName
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.recovery_target import LATEST, RecoveryTarget, TargetKind
from understudy.vocabulary.wal import Timeline


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person may decide about a restore, a drill and a recovery."""

    target: RecoveryTarget = LATEST
    timeline: Timeline | None = None
    label: str | None = None
    repository: RepositoryName | None = None
    tablespaces: Mapping[str, str] | None = None
    """By name, where each goes; over what the stack file says."""
    only: str | None = None
    """Of a snapshot: the part of it that is wanted, by its key. None: everything."""
    database: str | None = None
    """The one that is wanted of several. None: all of them."""
    table: str | None = None
    """The one that is wanted: database.schema.table, without quotes."""
    without: frozenset[str] = frozenset()
    """Backups that turned out not to do: they, and all that stand on them, are left out. A label alone is meant wherever the
    backup lies; of one that is damaged, the copy in another repository may be sound, so it is ``<repository>/<label>``.
    """
    not_met: frozenset[str] = frozenset()
    """Those of ``without`` that are sound, and from which replay did not meet the target."""
    opened_with: str | None = None
    """Of a drill: the reference to the identity that opens what is stored; None: the stack file's."""
    quarantined: bool = False
    """What is quarantined may be taken, too: to be looked at, never to go on with."""
    warm_copy_declined: str = ""
    """Of a recovery: why a base backup is restored although a warm copy is kept; empty where the copy may be used."""

    def left_out_of(self, repository: str) -> frozenset[str]:
        """The labels of ``without`` that count in this repository."""
        placed = (each.rpartition("/") for each in self.without)
        return frozenset(label for where, _, label in placed if where in ("", repository))


@dataclass(frozen=True, slots=True)
class BackupRequest:
    resource: ResourceName
    kind: BackupKind | None = None
    """None: incremental where possible."""
    incremental_refused: str = ""
    """What stood against an incremental one in the run before."""
    origin: BackupOrigin = BackupOrigin.MANUAL
    """A request from before this was told counts as made by hand, which retention keeps at least as long."""
    approved_by: ClassVar[Person | None] = None
    """A backup asks nobody."""


@dataclass(frozen=True, slots=True)
class RecoveryRequest:
    """A restore, a drill or a recovery."""

    procedure: Procedure
    resource: ResourceName
    choice: Choice
    directory: str = ""
    """Where a restore goes; a drill and a recovery have places of their own."""
    scenario: str = ""
    """What is rehearsed or carried out; empty for a restore."""
    approved_by: Person | None = None
    """Who agreed, beforehand or when a run asked: that holds for the runs that follow."""
    fence_override_by: Person | None = None
    disruption: Disruption | None = None
    """Since when the service is lost, of a recovery: the same for all of its runs."""
    old_directories: tuple[str, ...] | None = None
    """Where the old server's data lie since a run of the request has set them aside. None: where the recovery goes."""
    take_over: bool = False
    """Whether the repositories are to be this controller's, whoever wrote to them last."""
    load: bool = False
    """Of a restore: into what the resource's load command, or its server, takes it into; there is no directory then."""
    into: str = ""
    """Of a load of a dump: the reference to the connection string of the server. Empty: that of the stack file."""
    renamed: str = ""
    """Of a load of one database, or one table: the database that it comes into. Empty: its own."""


@dataclass(frozen=True, slots=True)
class StackRequest:
    """A drill or a recovery of several resources together, or of one that is no database."""

    procedure: Procedure
    scenario: str
    parts: tuple[RecoveryRequest, ...]
    """One for each resource that is still to come back, in the order of the stack file."""
    approved_by: Person | None = None
    disruption: Disruption | None = None
    """Since when the service is lost, of a recovery: the same for all of its runs."""
    goes_on: bool = False
    """A run before has brought others back, or failed for good with them."""


Request = BackupRequest | RecoveryRequest | StackRequest


def request_to_json(request: Request) -> JsonObject:
    if isinstance(request, BackupRequest):
        return {
            "procedure": Procedure.BACKUP.value,
            "resource": request.resource,
            "kind": request.kind.value if request.kind else None,
            "incremental_refused": request.incremental_refused,
            "origin": request.origin.value,
        }
    if isinstance(request, StackRequest):
        return {
            "procedure": request.procedure.value,
            "scenario": request.scenario,
            "parts": [_recovery_to_json(part) for part in request.parts],
            "approved_by": request.approved_by,
            "disruption": _disruption_to_json(request.disruption),
            "goes_on": request.goes_on,
        }
    return _recovery_to_json(request)


def _recovery_to_json(request: RecoveryRequest) -> JsonObject:
    return {
        "procedure": request.procedure.value,
        "resource": request.resource,
        "choice": _choice_to_json(request.choice),
        "directory": request.directory,
        "scenario": request.scenario,
        "approved_by": request.approved_by,
        "fence_override_by": request.fence_override_by,
        "disruption": _disruption_to_json(request.disruption),
        "old_directories": None if request.old_directories is None else list(request.old_directories),
        "take_over": request.take_over,
        "load": request.load,
        "into": request.into,
        "renamed": request.renamed,
    }


def request_from_json(value: JsonObject) -> Request:
    """Raises ValueError, KeyError or TypeError: a newer version wrote it."""
    procedure = Procedure(str(value["procedure"]))
    if procedure is Procedure.BACKUP:
        kind, origin = value["kind"], value.get("origin", BackupOrigin.MANUAL.value)
        return BackupRequest(
            resource=ResourceName(str(value["resource"])),
            kind=BackupKind(str(kind)) if kind else None,
            incremental_refused=str(value["incremental_refused"]),
            origin=BackupOrigin(str(origin)),
        )
    if "parts" in value:
        return StackRequest(
            procedure=procedure,
            scenario=str(value["scenario"]),
            parts=tuple(map(_recovery_from_json, cast("Sequence[JsonObject]", value["parts"]))),
            approved_by=_person(value["approved_by"]),
            disruption=_disruption_from_json(value.get("disruption")),
            goes_on=bool(value["goes_on"]),
        )
    return _recovery_from_json(value)


def _recovery_from_json(value: JsonObject) -> RecoveryRequest:
    old_directories = cast("Sequence[str] | None", value.get("old_directories"))
    return RecoveryRequest(
        procedure=Procedure(str(value["procedure"])),
        resource=ResourceName(str(value["resource"])),
        choice=_choice_from_json(cast(JsonObject, value["choice"])),
        directory=str(value["directory"]),
        scenario=str(value["scenario"]),
        approved_by=_person(value["approved_by"]),
        fence_override_by=_person(value["fence_override_by"]),
        disruption=_disruption_from_json(value.get("disruption")),
        old_directories=None if old_directories is None else tuple(old_directories),
        take_over=bool(value.get("take_over", False)),
        load=bool(value.get("load", False)),
        into=str(value.get("into", "")),
        renamed=str(value.get("renamed", "")),
    )


def _choice_to_json(choice: Choice) -> JsonObject:
    return {
        "target": {"kind": choice.target.kind.value, "value": choice.target.value},
        "timeline": choice.timeline,
        "label": choice.label,
        "repository": choice.repository,
        "tablespaces": None if choice.tablespaces is None else dict(choice.tablespaces),
        "only": choice.only,
        "database": choice.database,
        "table": choice.table,
        "without": sorted(choice.without),
        "not_met": sorted(choice.not_met),
        "opened_with": choice.opened_with,
        "quarantined": choice.quarantined,
        "warm_copy_declined": choice.warm_copy_declined,
    }


def _choice_from_json(value: JsonObject) -> Choice:
    target = cast(JsonObject, value["target"])
    timeline, label, repository = value["timeline"], value["label"], value["repository"]
    return Choice(
        target=RecoveryTarget(TargetKind(str(target["kind"])), str(target["value"])),
        timeline=None if timeline is None else Timeline(cast(int, timeline)),
        label=None if label is None else str(label),
        repository=None if repository is None else RepositoryName(str(repository)),
        tablespaces=cast("Mapping[str, str] | None", value["tablespaces"]),
        only=_text(value.get("only")),
        database=_text(value.get("database")),
        table=_text(value.get("table")),
        without=frozenset(cast("Sequence[str]", value["without"])),
        not_met=frozenset(cast("Sequence[str]", value.get("not_met", ()))),
        opened_with=_text(value.get("opened_with")),
        quarantined=bool(value.get("quarantined", False)),
        warm_copy_declined=str(value.get("warm_copy_declined", "")),
    )


def _text(value: Json) -> str | None:
    return None if value is None else str(value)


def _person(value: Json) -> Person | None:
    return None if value is None else Person(str(value))


def _disruption_to_json(disruption: Disruption | None) -> Json:
    return None if disruption is None else dict[str, Json](disruption_to_json(disruption))


def _disruption_from_json(value: Json) -> Disruption | None:
    return None if value is None else disruption_from_json(cast(JsonObject, value))
