"""Evidence, exported and verified."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from understudy.app.installation import Installation
from understudy.app.key_ring import trusted_signers
from understudy.app.witnesses import Testimony, hear
from understudy.records.chain import ChainLink
from understudy.records.chained_form import Ledger
from understudy.records.comparison import compare_shown
from understudy.records.export import END_UNTOLD, export_chain, export_run, unproven, verify_export, write_export
from understudy.records.verification import ChainFault, ChainFinding, check_known_head, verify_chain
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.identifiers import RunId
from understudy.vocabulary.json import JsonObject


@dataclass(frozen=True, slots=True)
class EvidenceVerdict:
    subject: str
    links: int
    findings: tuple[ChainFinding, ...]
    copies: int = 0
    """Signed heads elsewhere that the chain was held against."""
    not_compared: Mapping[str, str] = field(default_factory=dict)
    """By place: why it bore no witness."""
    of_others: Mapping[str, int] = field(default_factory=dict)
    """Controllers that wrote to the repositories before this one, and the links that their copies count: not to be found here."""
    unproven: Mapping[str, tuple[RunId, ...]] = field(default_factory=dict)
    """By reason: runs whose steps were compared with the chain, and whose own state and times nothing proves or disproves."""


def verify_evidence(installation: Installation, file: Path | None) -> EvidenceVerdict:
    """The chain of this state directory, or an exported file: as the signers that the stack file trusts signed it.

    The chain must hold nothing less than is said elsewhere: by the copies in the state directory and in each repository that can
    be read, and by signed manifests, which name runs. So records that were removed, or put back from an older copy, show. What is
    shown of runs and steps must be what it says of them.

    Raises:
        Refusal: ``no_evidence``: no run has ended here yet, as far as anybody says.
        GiveUp: ``evidence_unreadable``.
    """
    signers = trusted_signers(installation.stack.encryption, installation.state)
    if file is not None:
        return verify_exported(file, signers)
    there = (installation.state / "state.db").exists()
    controller = installation.past.controller_id() if there else None
    # Heard before the chain is read: what ends meanwhile is then in the chain, and not the other way round.
    testimony = hear(installation, controller, signers)
    ledger = installation.past.ledger() if there else Ledger((), None, {})
    links, compared = ledger.links, compare_shown(ledger.links, ledger.shown)
    findings = [*verify_chain(links, ledger.head, signers), *testimony.findings, *compared.findings]
    findings += _missing(links, controller, testimony, signers)
    if not links and not findings:
        raise _no_evidence(str(installation.state), testimony.silent)
    of_others: dict[str, int] = {}
    for seen in testimony.heads:
        if links and not seen.ours:
            of_others[seen.head.controller] = max(seen.head.count, of_others.get(seen.head.controller, 0))
    return EvidenceVerdict(
        subject=str(installation.state),
        links=len(links),
        findings=tuple(dict.fromkeys(findings)),  # a copy and the head in it may be at fault in the same words
        copies=sum(seen.head.controller == controller for seen in testimony.heads),
        not_compared=testimony.silent,
        of_others=of_others,
        unproven={END_UNTOLD: compared.end_untold} if compared.end_untold else {},
    )


def verify_exported(file: Path, signers: Collection[str]) -> EvidenceVerdict:
    """An exported file, against the public keys that are trusted; nothing else is needed.

    Raises:
        GiveUp: ``evidence_unreadable``.
        Refusal: ``no_evidence``: the file holds no link.
    """
    exported = _read(file)
    findings = verify_export(exported, signers)
    links = exported.get("links")
    count = len(links) if isinstance(links, list) else 0
    if not count and not findings:
        raise _no_evidence(str(file), {})
    return EvidenceVerdict(str(file), count, findings, unproven=unproven(exported))


def export_evidence(installation: Installation, run: RunId | None, file: Path) -> JsonObject:
    """Write one run's evidence, or all of it, into ``file``.

    Raises:
        Refusal: ``run_unknown``, ``file_unwritable``.
    """
    exported = export_chain(installation.past) if run is None else export_run(installation.past, run)
    require_writable(file)
    try:
        write_export(file, exported)
    except OSError as error:
        raise unwritable(f"{file}: {error.strerror}") from error
    return exported


def require_free(file: Path) -> None:
    """
    Raises:
        Refusal: ``file_unwritable``: something has that name, and nothing is overwritten.
    """
    if os.path.lexists(file) and not file.is_dir():
        raise unwritable(f"{file} is there already, and is not overwritten")


def require_writable(file: Path) -> None:
    """Looked at before long work whose result is to go there.

    Raises:
        Refusal: ``file_unwritable``.
    """
    folder = file.absolute().parent
    if file.is_dir():
        raise unwritable(f"{file} is a directory")
    if not folder.is_dir():
        raise unwritable(f"{folder} is no directory")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise unwritable(f"{folder} may not be written to")


def _missing(
    links: Sequence[ChainLink], controller: str | None, testimony: Testimony, signers: Collection[str]
) -> Iterator[ChainFinding]:
    """What the chain should hold by what lies elsewhere."""
    replaced: dict[str, str] = {}
    for seen in testimony.heads:
        if seen.head.controller == controller:
            yield from check_known_head(links, seen.head, signers, seen.place)
        elif seen.ours or not links:
            replaced[seen.head.controller] = (
                f"{seen.place} bears a head of controller {seen.head.controller} with {seen.head.count} links; "
                f"{f'these records are of {controller}' if controller else 'there are no records'}"
            )
    yield from (ChainFinding(ChainFault.RECORDS_REPLACED, None, found) for found in replaced.values())
    known = {each.run for each in links}
    for run, place in testimony.runs.items():
        if run not in known:
            yield ChainFinding(ChainFault.RECORD_MISSING, None, f"{place}, names the run {run}, of which the chain holds nothing")
    if not links and not replaced:
        yield from (
            ChainFinding(ChainFault.RECORD_MISSING, None, f"{found}, and the chain is empty")
            for found in testimony.traces.values()
        )


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


def unwritable(found: str) -> Refusal:
    return Refusal(
        "file_unwritable",
        found=found,
        expected="the name of a new file in a directory that is there and may be written to",
        hint="name another file, make the directory, or move away what is there",
    )


def _no_evidence(place: str, silent: Mapping[str, str]) -> Refusal:
    asked = "; ".join(f"{where}: {why}" for where, why in silent.items())
    return Refusal(
        "no_evidence",
        found=f"{place} holds no record" + (f", and not everybody could be asked ({asked})" if asked else ""),
        expected="at least one run that has ended",
        hint="the first backup or drill makes some: understudy drill database_corruption",
    )
