"""Whether a chain of evidence is whole. Pure: links and a head in, findings out."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from understudy.records.chain import GENESIS, ChainHead, ChainLink, head_body, link_digest
from understudy.vocabulary.canonical import SIGNING_DOMAIN, sha256_of, signing_bytes
from understudy.vocabulary.identifiers import RunId


class ChainFault(StrEnum):
    RECORD_EDITED = "record_edited"
    RECORD_MISSING = "record_missing"
    LINK_EDITED = "link_edited"
    ORDER_BROKEN = "order_broken"
    """A link was removed, inserted or moved."""
    CUT_OFF = "cut_off"
    """The chain ends before the link that its head, or a head seen elsewhere, was signed for."""
    HEAD_MISSING = "head_missing"
    HEAD_MISMATCH = "head_mismatch"
    """The head was signed for another chain, or another state of this one."""
    HEAD_UNSIGNED = "head_unsigned"
    SIGNER_UNKNOWN = "signer_unknown"
    HEAD_FORGED = "head_forged"
    RECORDS_REPLACED = "records_replaced"
    """A copy was signed for other records: those were removed, and these began anew."""
    COPY_UNREADABLE = "copy_unreadable"


@dataclass(frozen=True, slots=True)
class ChainFinding:
    fault: ChainFault
    sequence: int | None
    """The link it was found at; None where it concerns the head."""
    found: str


def verify_chain(
    links: Sequence[ChainLink],
    head: ChainHead | None,
    trusted_signers: Collection[str],
    known_heads: Sequence[ChainHead] = (),
) -> tuple[ChainFinding, ...]:
    """What is wrong with a whole chain; nothing, when it is as it was signed.

    ``trusted_signers`` are Ed25519 public keys in base64. ``known_heads`` are heads of this controller that were seen
    elsewhere (in reports, in other copies): they show a tail that was cut off together with its head.
    """
    findings = _check_links(links, 1, GENESIS)
    findings += [
        ChainFinding(ChainFault.RECORD_MISSING, each.sequence, f"link {each.sequence} carries no record")
        for each in links
        if each.record is None
    ]
    if head is not None or links:
        findings += _check_head(links, head, trusted_signers)
    for known in known_heads:
        findings += check_known_head(links, known, trusted_signers)
    return tuple(findings)


def verify_run_chain(
    links: Sequence[ChainLink], head: ChainHead | None, trusted_signers: Collection[str], run: RunId
) -> tuple[ChainFinding, ...]:
    """The same for one run's export: its links up to the head, the records of other runs left out."""
    if not links:
        return (ChainFinding(ChainFault.RECORD_MISSING, None, f"no link of {run} is there"),)
    findings = _check_links(links, links[0].sequence, links[0].previous)
    findings += [
        ChainFinding(ChainFault.RECORD_MISSING, each.sequence, f"link {each.sequence} belongs to {run} and carries no record")
        for each in links
        if each.record is None and each.run == run
    ]
    return tuple(findings + _check_head(links, head, trusted_signers))


def _check_links(links: Sequence[ChainLink], sequence: int, previous: str) -> list[ChainFinding]:
    findings: list[ChainFinding] = []
    for link in links:
        if link.sequence != sequence or link.previous != previous:
            found = f"link {link.sequence} stands where link {sequence} belongs, or does not continue the one before it"
            findings.append(ChainFinding(ChainFault.ORDER_BROKEN, link.sequence, found))
        if link_digest(link.sequence, link.run, link.step, link.record_sha256, link.previous) != link.digest:
            found = f"link {link.sequence} ({link.run}, {link.step}) does not have the digest that it claims"
            findings.append(ChainFinding(ChainFault.LINK_EDITED, link.sequence, found))
        if link.record is not None and not _record_fits(link):
            found = f"the record of link {link.sequence} ({link.run}, {link.step}) is not the one that was chained"
            findings.append(ChainFinding(ChainFault.RECORD_EDITED, link.sequence, found))
        sequence, previous = link.sequence + 1, link.digest
    return findings


def _record_fits(link: ChainLink) -> bool:
    record = link.record
    if record is None or sha256_of(record) != link.record_sha256:
        return False
    return record.get("run") == link.run and record.get("step") == link.step


def _check_head(links: Sequence[ChainLink], head: ChainHead | None, trusted_signers: Collection[str]) -> list[ChainFinding]:
    if head is None:
        return [ChainFinding(ChainFault.HEAD_MISSING, None, "the chain has no head")]
    findings = _check_signature(head, trusted_signers)
    count, digest = (links[-1].sequence, links[-1].digest) if links else (0, GENESIS)
    if count < head.count:
        found = f"the head was signed for {head.count} links, the chain ends at {count}"
        findings.append(ChainFinding(ChainFault.CUT_OFF, count, found))
    elif count > head.count or digest != head.digest:
        found = f"the head was signed for {head.count} links up to {head.digest}, the chain has {count} up to {digest}"
        findings.append(ChainFinding(ChainFault.HEAD_MISMATCH, count, found))
    return findings


def check_known_head(
    links: Sequence[ChainLink], known: ChainHead, trusted_signers: Collection[str], place: str = "another copy"
) -> list[ChainFinding]:
    """A head of this chain that was seen in ``place``, against the links that are here."""
    findings = _check_signature(known, trusted_signers)
    if findings:
        return [ChainFinding(each.fault, each.sequence, f"{place}: {each.found}") for each in findings]
    at = {each.sequence: each.digest for each in links}
    if known.count > len(links):
        found = f"the head in {place}, signed {known.at.isoformat()}, counts {known.count} links, the chain has {len(links)}"
        return [ChainFinding(ChainFault.CUT_OFF, len(links), found)]
    if known.count and at.get(known.count) != known.digest:
        found = f"the head in {place}, signed {known.at.isoformat()}, has another link {known.count}"
        return [ChainFinding(ChainFault.HEAD_MISMATCH, known.count, found)]
    return []


def _check_signature(head: ChainHead, trusted_signers: Collection[str]) -> list[ChainFinding]:
    if head.signer is None or head.signature is None:
        return [ChainFinding(ChainFault.HEAD_UNSIGNED, None, "the head bears no signature")]
    if head.signer not in trusted_signers:
        return [ChainFinding(ChainFault.SIGNER_UNKNOWN, None, f"the head is signed by {head.signer}, who is not trusted")]
    if not _signature_fits(head, head.signer, head.signature):
        return [ChainFinding(ChainFault.HEAD_FORGED, None, f"the signature of the head is not by {head.signer}")]
    return []


def _signature_fits(head: ChainHead, signer: str, signature: str) -> bool:
    # Loaded here: what only reads records does not wait for a cryptographic library.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    message = signing_bytes(SIGNING_DOMAIN, head_body(head.controller, head.count, head.digest, head.at))
    try:
        Ed25519PublicKey.from_public_bytes(b64decode(signer, validate=True)).verify(b64decode(signature, validate=True), message)
    except (InvalidSignature, ValueError):
        return False
    return True
