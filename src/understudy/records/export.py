"""Evidence as one JSON object, for a file that leaves the house, and its check against the signed head."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import cast

from understudy.records.chain import ChainHead, ChainLink, head_from_json, head_to_json, link_from_json, link_to_json
from understudy.records.evidence_json import error_to_json, evidence_to_json
from understudy.records.receipts import write_durably
from understudy.records.records import Records
from understudy.records.run import RunRecord, StepRecord
from understudy.records.verification import ChainFault, ChainFinding, verify_chain, verify_run_chain
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import RunId
from understudy.vocabulary.json import JsonObject

FORMAT_CHAIN = "understudy evidence chain v1"
FORMAT_RUN = "understudy run evidence v1"


def export_chain(records: Records) -> JsonObject:
    """``{format, links, head}``: everything that this controller ever recorded."""
    links, head = records.chain()
    return {
        "format": FORMAT_CHAIN,
        "links": [link_to_json(each) for each in links],
        "head": None if head is None else head_to_json(head),
    }


def export_run(records: Records, run: RunId) -> JsonObject:
    """``{format, run, steps, links, head}``: one run, with its links up to the signed head.

    What other runs recorded in between is left out; their links stay, or the chain could not be followed.
    """
    links, head = records.chain()
    first = next((each.sequence for each in links if each.run == run), None)
    following = [] if first is None else [each for each in links if each.sequence >= first]
    return {
        "format": FORMAT_RUN,
        "run": _run_to_json(records.run(run)),
        "steps": [_step_to_json(each) for each in records.steps(run)],
        "links": [link_to_json(each if each.run == run else _without_record(each)) for each in following],
        "head": None if head is None else head_to_json(head),
    }


def write_export(path: Path, exported: JsonObject) -> None:
    """Into a file, whole or not at all."""
    write_durably(path, json.dumps(exported, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n")


def head_of_export(value: JsonObject) -> ChainHead | None:
    """The signed head that a copy carries: it bears witness against a chain that was cut off later.

    Raises:
        GiveUp: ``evidence_unreadable``.
    """
    try:
        return None if value["head"] is None else head_from_json(cast(JsonObject, value["head"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable(f"{type(error).__name__}: {error}") from error


def verify_export(
    value: JsonObject, trusted_signers: Collection[str], known_heads: Sequence[ChainHead] = ()
) -> tuple[ChainFinding, ...]:
    """What is wrong with an exported file's content; nothing, when it is as it was signed.

    ``known_heads``: of copies seen elsewhere; for a whole chain only.

    Raises:
        GiveUp: ``evidence_unreadable``: it is no export of this product.
    """
    try:
        kind = value["format"]
        links = [link_from_json(each) for each in cast("Sequence[JsonObject]", value["links"])]
        head = None if value["head"] is None else head_from_json(cast(JsonObject, value["head"]))
        if kind == FORMAT_CHAIN:
            return verify_chain(links, head, trusted_signers, known_heads)
        if kind == FORMAT_RUN:
            run = RunId(str(cast(JsonObject, value["run"])["run"]))
            findings = verify_run_chain(links, head, trusted_signers, run)
            return findings + _check_steps(cast("Sequence[JsonObject]", value["steps"]), links, run)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable(f"{type(error).__name__}: {error}") from error
    raise _unreadable(f"its format is {kind!r}")


def _check_steps(steps: Sequence[JsonObject], links: Sequence[ChainLink], run: RunId) -> tuple[ChainFinding, ...]:
    """The readable list of steps says what the chain says."""
    chained: Mapping[str, JsonObject] = {each.step: each.record for each in links if each.run == run and each.record is not None}
    findings: list[ChainFinding] = []
    for step in steps:
        key = str(step["step"])
        record = chained.get(key)
        if record is None:
            if step["evidence"] is not None:
                findings.append(ChainFinding(ChainFault.RECORD_MISSING, None, f"{key} shows evidence that is not in the chain"))
            continue
        if any(step[name] != record[name] for name in ("state", "evidence", "error")):
            findings.append(ChainFinding(ChainFault.RECORD_EDITED, None, f"{key} shows something else than the chain"))
    listed = {str(step["step"]) for step in steps}
    findings += [
        ChainFinding(ChainFault.RECORD_MISSING, None, f"{key} is in the chain and not among the steps")
        for key in chained
        if key not in listed
    ]
    return tuple(findings)


def _without_record(link: ChainLink) -> ChainLink:
    return ChainLink(link.sequence, link.run, link.step, None, link.record_sha256, link.previous, link.digest)


def _run_to_json(record: RunRecord) -> JsonObject:
    return {
        "run": record.run,
        "plan": record.plan_id,
        "procedure": record.procedure,
        "mode": record.mode,
        "subject": record.subject,
        "stack_digest": record.stack_digest,
        "state": record.state.value,
        "submitted": record.submitted.isoformat(),
        "started": _iso(record.started),
        "ended": _iso(record.ended),
        "error": None if record.error is None else error_to_json(record.error),
    }


def _step_to_json(record: StepRecord) -> JsonObject:
    return {
        "step": record.key,
        "state": record.state.value,
        "attempts": record.attempts,
        "started": _iso(record.started),
        "ended": _iso(record.ended),
        "evidence": None if record.evidence is None else evidence_to_json(record.evidence),
        "error": None if record.error is None else error_to_json(record.error),
    }


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _unreadable(found: str) -> GiveUp:
    return GiveUp(
        "evidence_unreadable",
        found=found,
        expected=f"an object of format {FORMAT_CHAIN!r} or {FORMAT_RUN!r}",
        hint="export it anew with `understudy evidence export`",
    )
