"""The chain of evidence: one per controller, in commit order, with a signed head.

A link's digest is the SHA-256 of the canonical JSON of ``{previous, record_sha256, run, sequence, step}``, where
``record_sha256`` is the SHA-256 of the record's canonical JSON and ``previous`` is the digest of the link before (64 zeros for
the first). The record enters by its digest, so that the export of one run can leave out what other runs recorded and is still
checked against the signed head.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, cast

from understudy.vocabulary.canonical import canonical_json, sha256_of
from understudy.vocabulary.identifiers import RunId, StepKey
from understudy.vocabulary.json import JsonObject

GENESIS = "0" * 64
HEAD_KIND = "evidence-head"


class EvidenceSigner(Protocol):
    """Signs heads with the controller's Ed25519 key."""

    def sign(self, document: JsonObject) -> JsonObject:
        """The envelope ``{"signed": document, "signature": {"signer": …, "ed25519": …}}``, both in base64.

        The signature covers ``canonical.signing_bytes(SIGNING_DOMAIN, document)``.
        """
        ...


@dataclass(frozen=True, slots=True)
class ChainLink:
    sequence: int
    """From 1, without gaps."""
    run: RunId
    step: StepKey
    record: JsonObject | None
    """None where an export leaves out what another run recorded."""
    record_sha256: str
    previous: str
    digest: str


@dataclass(frozen=True, slots=True)
class ChainHead:
    """What the controller signed after its newest link."""

    controller: str
    count: int
    digest: str
    at: datetime
    signer: str | None
    """Base64 of the Ed25519 public key; None when the controller had no key."""
    signature: str | None


def link_digest(sequence: int, run: RunId, step: StepKey, record_sha256: str, previous: str) -> str:
    return sha256_of({"sequence": sequence, "run": run, "step": step, "record_sha256": record_sha256, "previous": previous})


def head_body(controller: str, count: int, digest: str, at: datetime) -> JsonObject:
    """The part of a head that is signed."""
    return {"document": HEAD_KIND, "controller": controller, "count": count, "digest": digest, "at": at.isoformat()}


def append_link(
    connection: sqlite3.Connection,
    run: RunId,
    step: StepKey,
    record: JsonObject,
    at: datetime,
    signer: EvidenceSigner | None,
) -> None:
    """Add one link and sign the head anew, in the caller's transaction."""
    newest = connection.execute("SELECT sequence, digest FROM chain ORDER BY sequence DESC LIMIT 1").fetchone()
    sequence, previous = (newest["sequence"] + 1, newest["digest"]) if newest else (1, GENESIS)
    record_sha256 = sha256_of(record)
    digest = link_digest(sequence, run, step, record_sha256, previous)
    connection.execute(
        "INSERT INTO chain (sequence, run, step, record, record_sha256, previous, digest) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (sequence, run, step, canonical_json(record).decode(), record_sha256, previous, digest),
    )
    controller = connection.execute("SELECT id FROM controller").fetchone()["id"]
    body = head_body(controller, sequence, digest, at)
    envelope: JsonObject = {"signed": body, "signature": None} if signer is None else signer.sign(body)
    connection.execute(
        "INSERT INTO chain_head (only_row, head) VALUES (1, ?) ON CONFLICT (only_row) DO UPDATE SET head = excluded.head",
        (canonical_json(envelope).decode(),),
    )


def read_links(connection: sqlite3.Connection) -> tuple[ChainLink, ...]:
    return tuple(
        ChainLink(
            sequence=row["sequence"],
            run=RunId(row["run"]),
            step=StepKey(row["step"]),
            record=json.loads(row["record"]),
            record_sha256=row["record_sha256"],
            previous=row["previous"],
            digest=row["digest"],
        )
        for row in connection.execute("SELECT * FROM chain ORDER BY sequence")
    )


def read_head(connection: sqlite3.Connection) -> ChainHead | None:
    row = connection.execute("SELECT head FROM chain_head").fetchone()
    return head_from_json(json.loads(row["head"])) if row else None


def link_to_json(link: ChainLink) -> JsonObject:
    fields: dict[str, str | int] = {
        "sequence": link.sequence,
        "run": link.run,
        "step": link.step,
        "record_sha256": link.record_sha256,
        "previous": link.previous,
        "digest": link.digest,
    }
    return fields if link.record is None else {**fields, "record": link.record}


def link_from_json(value: JsonObject) -> ChainLink:
    record = value.get("record")
    return ChainLink(
        sequence=int(cast(int, value["sequence"])),
        run=RunId(str(value["run"])),
        step=StepKey(str(value["step"])),
        record=None if record is None else cast(JsonObject, record),
        record_sha256=str(value["record_sha256"]),
        previous=str(value["previous"]),
        digest=str(value["digest"]),
    )


def head_to_json(head: ChainHead) -> JsonObject:
    """The project's signed envelope: ``{"signed": …, "signature": {"signer": …, "ed25519": …} | null}``."""
    return {
        "signed": head_body(head.controller, head.count, head.digest, head.at),
        "signature": None if head.signature is None else {"signer": head.signer, "ed25519": head.signature},
    }


def head_from_json(value: JsonObject) -> ChainHead:
    signed = cast(JsonObject, value["signed"])
    if signed["document"] != HEAD_KIND:
        raise ValueError(f"not the head of an evidence chain: {signed['document']!r}")
    signature = cast("JsonObject | None", value["signature"])
    return ChainHead(
        controller=str(signed["controller"]),
        count=int(cast(int, signed["count"])),
        digest=str(signed["digest"]),
        at=datetime.fromisoformat(str(signed["at"])),
        signer=None if signature is None else str(signature["signer"]),
        signature=None if signature is None else str(signature["ed25519"]),
    )
