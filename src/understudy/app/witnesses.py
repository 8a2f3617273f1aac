"""What lies elsewhere than the chain and says what it must hold: copies of evidence, and manifests."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from understudy.app.evidence_files import evidence_directory
from understudy.app.installation import Installation
from understudy.records.chain import ChainHead
from understudy.records.export import head_of_export, verify_export
from understudy.records.verification import ChainFault, ChainFinding
from understudy.repository.catalog import Repository
from understudy.repository.layout import EVIDENCE_PREFIX
from understudy.repository.sealing import read_sealed
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.identifiers import RepositoryName, ResourceName, RunId
from understudy.vocabulary.json import JsonObject


@dataclass(frozen=True, slots=True)
class HeadSeen:
    """A head that a copy bears. ``ours``: only this state directory's own runs can have left it there."""

    place: str
    head: ChainHead
    ours: bool


@dataclass(slots=True)
class Testimony:
    """Everything that was heard."""

    heads: list[HeadSeen] = field(default_factory=list)
    runs: dict[RunId, str] = field(default_factory=dict)
    """Runs that a signed manifest names, and where; of repositories that nobody but this controller ever wrote to."""
    traces: dict[str, str] = field(default_factory=dict)
    """By place: that runs left something there, whoever's they were."""
    findings: list[ChainFinding] = field(default_factory=list)
    """Copies that are not as they were signed."""
    silent: dict[str, str] = field(default_factory=dict)
    """By place: why it could not be asked."""


def hear(installation: Installation, controller: str | None, trusted_signers: Collection[str]) -> Testimony:
    """``controller``: whose chain it is; None where there are no records."""
    testimony = Testimony()
    _hear_state_directory(installation.state, trusted_signers, testimony)
    for name in installation.repository_names():
        try:
            _hear_repository(installation, name, controller, trusted_signers, testimony)
        except UnderstudyError as error:
            testimony.silent[f"repository {name}"] = str(error)
    return testimony


def _hear_state_directory(state: Path, trusted_signers: Collection[str], testimony: Testimony) -> None:
    for file in sorted(evidence_directory(state).glob("*.json")):
        try:
            copy = cast(JsonObject, json.loads(file.read_bytes()))
            findings = verify_export(copy, trusted_signers)
            head = head_of_export(copy)
        except (UnderstudyError, OSError, ValueError) as error:
            findings, head = (ChainFinding(ChainFault.COPY_UNREADABLE, None, str(error)),), None
        testimony.findings += [ChainFinding(each.fault, each.sequence, f"{file}: {each.found}") for each in findings]
        if head is not None:
            testimony.heads.append(HeadSeen(str(file), head, ours=True))


def _hear_repository(
    installation: Installation,
    name: RepositoryName,
    controller: str | None,
    trusted_signers: Collection[str],
    testimony: Testimony,
) -> None:
    place, store = f"repository {name}", installation.stores[name]
    copies = [found.key for found in store.list(EVIDENCE_PREFIX)]
    if copies:
        testimony.traces[place] = f"{place} holds the evidence of {len(copies)} runs"
    _hear_manifests(installation, name, controller, testimony)
    identity = installation.keys.keys.identity
    if identity is None:
        if copies:
            testimony.silent[place] = "its copies are sealed, and the stack file names no identity"
        return
    for key in copies:
        try:
            copy = json.loads(b"".join(read_sealed(store, installation.sealer, key, identity)))
            head = head_of_export(copy)
            ours = head is not None and head.controller == controller
            findings = verify_export(copy, trusted_signers) if ours else ()
        except (UnderstudyError, ValueError) as error:
            testimony.silent[f"{place}, {key}"] = str(error)
            continue
        testimony.findings += [ChainFinding(each.fault, each.sequence, f"{place}, {key}: {each.found}") for each in findings]
        if head is not None:
            testimony.heads.append(HeadSeen(f"{place}, {key}", head, ours=ours))


def _hear_manifests(installation: Installation, name: RepositoryName, controller: str | None, testimony: Testimony) -> None:
    """A first epoch that is in force says that nobody else ever wrote here."""
    repository = installation.repository(name)
    epoch = repository.current_epoch()
    only_ours = epoch is not None and epoch.number == 1 and epoch.controller == controller
    for resource in installation.resource_names():
        for label, run in _named_in_manifests(installation, repository, resource):
            place = f"repository {name}, the manifest of {resource}/{label}"
            testimony.traces.setdefault(f"repository {name}", f"{place} names the run {run}")
            if only_ours:
                testimony.runs.setdefault(run, place)


def _named_in_manifests(
    installation: Installation, repository: Repository, resource: ResourceName
) -> Iterator[tuple[str, RunId]]:
    if installation.is_database(resource):
        yield from ((each.label.text, each.run) for each in repository.backups(resource).usable)
    else:
        found = repository.snapshots(installation.in_snapshots(resource).kind, resource).found()
        yield from ((each.label.text, each.run) for each in found.usable)
