"""Evidence, exported and verified."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from understudy.app.installation import Installation
from understudy.records.chain import ChainHead
from understudy.records.export import export_chain, export_run, head_of_export, verify_export, write_export
from understudy.records.verification import ChainFinding
from understudy.repository.layout import EVIDENCE_PREFIX, evidence_key
from understudy.repository.sealing import read_sealed, store_sealed
from understudy.vocabulary.canonical import canonical_json
from understudy.vocabulary.errors import GiveUp, UnderstudyError
from understudy.vocabulary.identifiers import RepositoryName, RunId
from understudy.vocabulary.json import JsonObject

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EvidenceVerdict:
    subject: str
    links: int
    findings: tuple[ChainFinding, ...]


def verify_evidence(installation: Installation, file: Path | None) -> EvidenceVerdict:
    """The chain of this state directory, or an exported file, against the signers that the stack file trusts.

    The chain is also held against the newest head in each repository that can be read, so that a tail that was cut off together
    with its head shows.

    Raises:
        GiveUp: ``evidence_unreadable``.
    """
    exported = export_chain(installation.records) if file is None else _read(file)
    heads = _heads_elsewhere(installation) if file is None else []
    findings = verify_export(exported, installation.keys.keys.trusted_signers, heads)
    links = exported.get("links")
    return EvidenceVerdict(str(file or installation.state), len(links) if isinstance(links, list) else 0, findings)


def export_evidence(installation: Installation, run: RunId | None, file: Path) -> JsonObject:
    """Write one run's evidence, or all of it, into ``file``."""
    exported = export_chain(installation.records) if run is None else export_run(installation.records, run)
    write_export(file, exported)
    return exported


def keep_evidence(installation: Installation, run: RunId) -> Path:
    """The run's evidence as a file of the state directory, written once the run has ended."""
    file = installation.state / "evidence" / f"{run}.json"
    file.parent.mkdir(exist_ok=True)
    export_evidence(installation, run, file)
    return file


def file_evidence(installation: Installation, run: RunId) -> Mapping[RepositoryName, str]:
    """A sealed copy in every repository, with the chain's signed head: what shows a tail that was cut off here.

    A repository that can't be written to now does not undo the run: why, by name; empty where all hold a copy.
    """
    content = canonical_json(export_run(installation.records, run))
    faults: dict[RepositoryName, str] = {}
    for name in installation.repository_names():
        store = installation.stores[name]
        try:
            if store.head(evidence_key(run)) is None:
                store_sealed(store, installation.sealer, evidence_key(run), [content], installation.keys.keys.recipients)
        except UnderstudyError as error:
            if error.code != "object_exists":  # the command that waits for a run and the control plane may both file it
                faults[name] = str(error)
    return faults


def file_or_warn(installation: Installation, run: RunId) -> None:
    """``file_evidence``, with a line in the log for each repository that holds no copy now."""
    for repository, fault in file_evidence(installation, run).items():
        _log.warning("the evidence of %s is not copied into %s: %s", run, repository, fault)


def _heads_elsewhere(installation: Installation) -> list[ChainHead]:
    """Of the newest copy in each repository. One that is away, or a host without an identity, bears no witness now."""
    identity = installation.keys.keys.identity
    heads: list[ChainHead] = []
    for name in installation.repository_names():
        if identity is None:
            continue
        store = installation.stores[name]
        try:
            newest = max((found.key for found in store.list(EVIDENCE_PREFIX)), default=None)
            if newest is None:
                continue
            copy = json.loads(b"".join(read_sealed(store, installation.sealer, newest, identity)))
            head = head_of_export(copy)
        except (UnderstudyError, ValueError) as error:
            _log.warning("the copy of the evidence in %s cannot be compared: %s", name, error)
            continue
        heads += [head] if head is not None and head.controller == installation.records.controller_id() else []
    return heads


def _read(file: Path) -> JsonObject:
    try:
        value = json.loads(file.read_text())
    except OSError as error:
        raise _unreadable(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise _unreadable(f"{file} is not JSON: {error}") from error
    if not isinstance(value, Mapping):
        raise _unreadable(f"{file} holds a JSON {type(value).__name__}")
    return value


def _unreadable(found: str) -> GiveUp:
    return GiveUp(
        "evidence_unreadable",
        found=found,
        expected="a file that understudy evidence export wrote",
        hint="name another file, or export it again",
    )
