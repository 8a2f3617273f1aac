"""Evidence as one JSON object, for a file that leaves the house, and its check against the chain and the signed head."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import cast

from understudy.records.chain import ChainHead, ChainLink, head_from_json, head_to_json, link_from_json, link_to_json
from understudy.records.chained_form import RUN_ENDED, ShownRun
from understudy.records.comparison import Comparison, compare_shown
from understudy.records.receipts import write_durably
from understudy.records.records import Records
from understudy.records.run import RunState
from understudy.records.verification import ChainFinding, verify_chain, verify_run_chain
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import RunId
from understudy.vocabulary.json import Json, JsonObject

FORMAT_CHAIN = "understudy evidence chain v1"
FORMAT_RUN = "understudy run evidence v1"

END_UNTOLD = "it ended before the chain recorded how a run ends"

_STAND_IN_STEPS = frozenset({"step", "steps"})
"""Of what the link of a run's end holds: said by the list of steps, or by nothing that concerns who reads the export."""


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

    ``run`` and ``steps`` are what is shown of it; of a run that has ended, ``run`` says what the link of its end says. What other
    runs recorded in between is left out; their links stay, or the chain could not be followed.

    Raises:
        Refusal: ``run_unknown``.
    """
    seen = records.run(run)
    ledger = records.ledger()
    shown = ledger.shown[run]
    end = next((each.record for each in ledger.links if each.run == run and each.step == RUN_ENDED), None)
    state = {"state": seen.state.value} if end is None and seen.state is RunState.INTERRUPTED else {}
    first = next((each.sequence for each in ledger.links if each.run == run), None)
    following = [] if first is None else [each for each in ledger.links if each.sequence >= first]
    return {
        "format": FORMAT_RUN,
        "run": {name: each for name, each in {**(end or {}), **shown.run, **state}.items() if name not in _STAND_IN_STEPS},
        "steps": [{name: each for name, each in step.items() if name != "run"} for step in shown.steps],
        "links": [link_to_json(each if each.run == run else _without_record(each)) for each in following],
        "head": None if ledger.head is None else head_to_json(ledger.head),
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
            return verify_run_chain(links, head, trusted_signers, run) + _compared(value, links).findings
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable(f"{type(error).__name__}: {error}") from error
    raise _unreadable(f"its format is {kind!r}")


def unproven(value: JsonObject) -> Mapping[str, tuple[RunId, ...]]:
    """By reason: the exported run, where nothing proves or disproves its own state and times.

    Raises:
        GiveUp: ``evidence_unreadable``.
    """
    try:
        if value["format"] != FORMAT_RUN:
            return {}
        compared = _compared(value, [link_from_json(each) for each in cast("Sequence[JsonObject]", value["links"])])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable(f"{type(error).__name__}: {error}") from error
    reasons = {END_UNTOLD: compared.end_untold, "the file was written while it was under way": compared.under_way}
    return {reason: runs for reason, runs in reasons.items() if runs}


def _compared(value: JsonObject, links: Sequence[ChainLink]) -> Comparison:
    """The readable part of an exported run says what the chain says."""
    run, steps = cast(JsonObject, value["run"]), cast("Sequence[JsonObject]", value["steps"])
    states: list[Json] = [{"step": each["step"], "state": each["state"]} for each in steps]
    name = RunId(str(run["run"]))
    own = [each for each in links if each.run == name]
    return compare_shown(own, {name: ShownRun({**run, "steps": states}, steps)}, exported=True)


def _without_record(link: ChainLink) -> ChainLink:
    return ChainLink(link.sequence, link.run, link.step, None, link.record_sha256, link.previous, link.digest)


def _unreadable(found: str) -> GiveUp:
    return GiveUp(
        "evidence_unreadable",
        found=found,
        expected=f"an object of format {FORMAT_CHAIN!r} or {FORMAT_RUN!r}",
        hint="export it anew with `understudy evidence export`",
    )
