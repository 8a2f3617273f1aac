"""The JSON form of evidence and of step errors, as the chain and exports carry it."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from understudy.records.run import RecordedError
from understudy.vocabulary.evidence import Evidence, Outcome
from understudy.vocabulary.json import Json, JsonObject


def evidence_to_json(evidence: Evidence) -> JsonObject:
    return {
        "subject": evidence.subject,
        "claim": evidence.claim,
        "outcome": evidence.outcome.value,
        "started": evidence.started.isoformat(),
        "ended": evidence.ended.isoformat(),
        "proof": evidence.proof,
        "hint": evidence.hint,
    }


def evidence_from_json(value: JsonObject) -> Evidence:
    return Evidence(
        subject=str(value["subject"]),
        claim=str(value["claim"]),
        outcome=Outcome(str(value["outcome"])),
        started=datetime.fromisoformat(str(value["started"])),
        ended=datetime.fromisoformat(str(value["ended"])),
        proof=cast(JsonObject, value["proof"]),
        hint=str(value["hint"]),
    )


def error_to_json(error: RecordedError) -> JsonObject:
    told: dict[str, Json] = {"code": error.code, "found": error.found, "expected": error.expected, "hint": error.hint}
    return {**told, "refused": True} if error.refused else told


def error_from_json(value: JsonObject) -> RecordedError:
    return RecordedError(
        str(value["code"]), str(value["found"]), str(value["expected"]), str(value["hint"]), bool(value.get("refused", False))
    )
