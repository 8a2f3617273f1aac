"""What a person or a schedule asked for, kept beside the runs that it leads to, and what comes after the last of them.

A run carries out one plan. Some ends of a run call for another one: a server that refuses an incremental backup gets a full one,
a damaged backup gives way to an older one. What was asked for outlives the process that was asked, so it is plain JSON, and what
comes next follows from it and from the last run alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, cast

from understudy.plan.backup import is_full
from understudy.plan.plan import Plan, Procedure
from understudy.plan.snapshot import is_anew
from understudy.records.run import RunState, StepRecord
from understudy.steps.check_pages import PAGES_DAMAGED
from understudy.steps.copy_backup import PARENT_MISSING
from understudy.steps.provision_target import DATA_SET_ASIDE
from understudy.steps.replay_wal import ReplayWal
from understudy.steps.restore_base_backup import BACKUP_AT_FAULT, RestoreBaseBackup
from understudy.steps.restore_snapshot import RestoreSnapshot
from understudy.vocabulary.disruption import Disruption, disruption_from_json, disruption_to_json
from understudy.vocabulary.identifiers import BackupKind, BackupOrigin, Person, RepositoryName, ResourceName
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.recovery_target import LATEST, RecoveryTarget, TargetKind
from understudy.vocabulary.wal import Timeline

REPLANNED_AS_FULL = ("incremental_refused", "slot_lost", "wal_removed", "wal_hole", PARENT_MISSING)
"""The server refuses an incremental backup; or WAL was lost, and the stream begins anew behind the gap with a full one only; or a
further repository lacks what it stands on."""

DAMAGE = (
    "part_corrupt", "part_missing", "part_incomplete", "sealed_corrupt", "compressed_corrupt", "object_missing",
    "object_unreadable", "backup_file_missing", "backup_file_unexpected", "backup_file_differs", "manifest_corrupt",
    "archive_cut_short", "archive_corrupt", "incremental_corrupt",
)  # fmt: skip
"""What a restore finds of a backup that is not as it was written. Another key or a store that is away is no damage."""

REPLANNED_ANEW = (*DAMAGE, "wrong_key", "snapshot_missing", "document_malformed", "signature_untrusted")
"""What is found of the snapshots that another one uses; taken anew, it uses none."""

DAMAGED_COPIES = (PAGES_DAMAGED, "logical_read_failed", "structure_damaged")
"""What is found of a copy that was replayed to the target; damage where the evidence names a backup, as it does for bad pages."""

TARGET_NOT_REACHED = "target_not_reached"
_UNDATED = (TargetKind.NAME, TargetKind.TRANSACTION)
"""Of these nothing tells beforehand whether they lie before or behind a backup: replay finds out."""


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
    without: frozenset[str] = frozenset()
    """Backups that turned out not to do: they, and all that stand on them, are left out. A label alone is meant wherever the
    backup lies; of one that is damaged, the copy in another repository may be sound, so it is ``<repository>/<label>``.
    """
    not_met: frozenset[str] = frozenset()
    """Those of ``without`` that are sound, and from which replay did not meet the target."""

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


Request = BackupRequest | RecoveryRequest


def next_request(
    request: Request, plan: Plan, state: RunState, steps: Sequence[StepRecord], repositories: Sequence[RepositoryName] = ()
) -> Request | None:
    """What is to be planned now that the last run has ended so; None when the request has come to its end.

    ``repositories``: all of the resource, in the order in which they are tried.
    """
    if state is not RunState.FAILED:
        return None
    if isinstance(request, BackupRequest):
        return _as_full(request, plan, steps)
    return _from_another_backup(request, plan, steps, repositories)


def _as_full(request: BackupRequest, plan: Plan, steps: Sequence[StepRecord]) -> BackupRequest | None:
    codes = REPLANNED_AS_FULL if is_anew(plan) else REPLANNED_ANEW
    refused = next((step.error.found for step in steps if step.error is not None and step.error.code in codes), None)
    return None if refused is None or (is_full(plan) and is_anew(plan)) else replace(request, incremental_refused=refused)


def _from_another_backup(
    request: RecoveryRequest, plan: Plan, steps: Sequence[StepRecord], repositories: Sequence[RepositoryName]
) -> RecoveryRequest | None:
    """An older one of the same repository first: the WAL behind it is what that repository holds. A backup that was asked for is
    exchanged for no other, only for its own copy in a repository behind this one.
    """
    choice = request.choice
    damaged = next(_damaged(request.procedure, plan, steps), None)
    useless = damaged or next(_taken_too_late(choice.target, plan, steps), None)
    if useless is None:
        return None
    repository, _, _ = useless.rpartition("/")
    if choice.label is not None and not _is_followed(repository, choice, repositories):
        return None
    agreed = next((step.approval.by for step in steps if step.approval is not None), None)
    not_met = choice.not_met if damaged else choice.not_met | {useless}
    return replace(
        request,
        choice=replace(choice, without=choice.without | {useless}, not_met=not_met),
        approved_by=request.approved_by or agreed,
        old_directories=_old_directories(request, steps),
    )


def _old_directories(request: RecoveryRequest, steps: Sequence[StepRecord]) -> tuple[str, ...] | None:
    """Only the first run that sets something aside finds the old server's data; a later one finds the copy of the run before."""
    if request.old_directories is not None or request.procedure is not Procedure.RECOVERY:
        return request.old_directories
    proofs = (step.evidence.proof for step in steps if step.evidence is not None)
    aside = (proof.get(DATA_SET_ASIDE) for proof in proofs)
    return tuple(str(each) for each in aside if each is not None)


def _is_followed(repository: str, choice: Choice, repositories: Sequence[RepositoryName]) -> bool:
    return choice.repository is None and repository in repositories[:-1]


def _damaged(procedure: Procedure, plan: Plan, steps: Sequence[StepRecord]) -> Iterator[str]:
    # A restore's damaged copy lies where the other would go, whole but for these pages: its owner may want to repair it.
    codes = DAMAGE if procedure is Procedure.RESTORE else (*DAMAGE, *DAMAGED_COPIES)
    restores = (planned.step for planned in plan.steps if isinstance(planned.step, RestoreBaseBackup | RestoreSnapshot))
    repository = next((step.repository for step in restores), "")
    for step in steps:
        if step.error is not None and step.error.code in codes and step.evidence is not None:
            label = step.evidence.proof.get(BACKUP_AT_FAULT)
            if label is not None:
                # What is wrong with the pages of a copy is wrong in every repository, which hold the same bytes of it.
                yield str(label) if step.error.code in DAMAGED_COPIES else f"{repository}/{label}"


def _taken_too_late(target: RecoveryTarget, plan: Plan, steps: Sequence[StepRecord]) -> Iterator[str]:
    if target.kind in _UNDATED and any(step.error is not None and step.error.code == TARGET_NOT_REACHED for step in steps):
        yield from (planned.step.label for planned in plan.steps if isinstance(planned.step, ReplayWal))


def request_to_json(request: Request) -> JsonObject:
    if isinstance(request, BackupRequest):
        return {
            "procedure": Procedure.BACKUP.value,
            "resource": request.resource,
            "kind": request.kind.value if request.kind else None,
            "incremental_refused": request.incremental_refused,
            "origin": request.origin.value,
        }
    return {
        "procedure": request.procedure.value,
        "resource": request.resource,
        "choice": _choice_to_json(request.choice),
        "directory": request.directory,
        "scenario": request.scenario,
        "approved_by": request.approved_by,
        "fence_override_by": request.fence_override_by,
        "disruption": None if request.disruption is None else disruption_to_json(request.disruption),
        "old_directories": None if request.old_directories is None else list(request.old_directories),
        "take_over": request.take_over,
    }


def request_from_json(value: JsonObject) -> Request:
    """Raises ValueError, KeyError or TypeError: a newer version wrote it."""
    procedure, resource = Procedure(str(value["procedure"])), ResourceName(str(value["resource"]))
    if procedure is Procedure.BACKUP:
        kind, origin = value["kind"], value.get("origin", BackupOrigin.MANUAL.value)
        return BackupRequest(
            resource=resource,
            kind=BackupKind(str(kind)) if kind else None,
            incremental_refused=str(value["incremental_refused"]),
            origin=BackupOrigin(str(origin)),
        )
    disruption = cast("JsonObject | None", value.get("disruption"))
    old_directories = cast("Sequence[str] | None", value.get("old_directories"))
    return RecoveryRequest(
        procedure=procedure,
        resource=resource,
        choice=_choice_from_json(cast(JsonObject, value["choice"])),
        directory=str(value["directory"]),
        scenario=str(value["scenario"]),
        approved_by=_person(value["approved_by"]),
        fence_override_by=_person(value["fence_override_by"]),
        disruption=None if disruption is None else disruption_from_json(disruption),
        old_directories=None if old_directories is None else tuple(old_directories),
        take_over=bool(value.get("take_over", False)),
    )


def _choice_to_json(choice: Choice) -> JsonObject:
    return {
        "target": {"kind": choice.target.kind.value, "value": choice.target.value},
        "timeline": choice.timeline,
        "label": choice.label,
        "repository": choice.repository,
        "tablespaces": None if choice.tablespaces is None else dict(choice.tablespaces),
        "only": choice.only,
        "without": sorted(choice.without),
        "not_met": sorted(choice.not_met),
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
        only=None if value.get("only") is None else str(value["only"]),
        without=frozenset(cast("Sequence[str]", value["without"])),
        not_met=frozenset(cast("Sequence[str]", value.get("not_met", ()))),
    )


def _person(value: Json) -> Person | None:
    return None if value is None else Person(str(value))
