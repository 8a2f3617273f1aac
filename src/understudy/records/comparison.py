"""Whether runs and steps are shown as they were chained. Pure: links and what is shown in, findings out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from understudy.records.chain import ChainLink
from understudy.records.chained_form import OF_FINDINGS, RUN_ENDED, ShownRun
from understudy.records.run import RunState, StepState
from understudy.records.verification import ChainFault, ChainFinding
from understudy.vocabulary.canonical import canonical_json
from understudy.vocabulary.identifiers import RunId, StepKey
from understudy.vocabulary.json import Json, JsonObject

_ENDED_RUN = frozenset(state.value for state in RunState if state.is_final)
_ENDED_STEP = frozenset(state.value for state in StepState if state.is_final)

_OF_A_STEP = frozenset({"state", "attempts", "started", "ended", "evidence", "error", "asked", "approval"})
_OF_A_STEP_BEFORE = frozenset({"state", "attempts", "evidence", "error"})
"""What a record of a step held before it told its times, and before the ends of runs were recorded."""
_NAMES = frozenset({"run", "step"})

_Records = Mapping[StepKey, JsonObject]


@dataclass(frozen=True, slots=True)
class Comparison:
    findings: tuple[ChainFinding, ...]
    end_untold: tuple[RunId, ...] = ()
    """Runs that ended before a run's end was recorded: what is shown of the run itself is neither proven nor disproven."""
    under_way: tuple[RunId, ...] = ()
    """Runs that are shown as not ended: of these, too, only the steps that have ended are proven."""


def compare_shown(links: Sequence[ChainLink], shown: Mapping[RunId, ShownRun], *, exported: bool = False) -> Comparison:
    """
    Args:
        exported: It is the export of one run, which shows all that the link of its end holds. Otherwise the links are those of
            all runs, and a run of which they tell and that is not shown was removed.
    """
    chained: dict[RunId, dict[StepKey, JsonObject]] = {}
    for link in links:
        if link.record is not None and link.step not in OF_FINDINGS:
            chained.setdefault(link.run, {})[link.step] = link.record
    telling = min(
        (str(each["ended"]) for records in chained.values() for each in records.values() if "ended" in each), default=""
    )
    findings: list[ChainFinding] = []
    end_untold: list[RunId] = []
    under_way: list[RunId] = []
    for run, seen in shown.items():
        records = chained.get(run, {})
        before = _ended_before_ends_were_told(seen.run, records, telling)
        findings += _compare_steps(run, seen, records, before=before)
        findings += _compare_end(run, seen.run, records.get(RUN_ENDED), before=before, exported=exported)
        if before:
            end_untold.append(run)
        elif not _has_ended(seen.run):
            under_way.append(run)
    if not exported:
        findings += [
            _missing(f"the chain holds {len(records)} records of {run}, which is shown nowhere")
            for run, records in chained.items()
            if run not in shown
        ]
    return Comparison(tuple(findings), tuple(end_untold), tuple(under_way))


def _has_ended(run: JsonObject) -> bool:
    return run.get("ended") is not None or run.get("state") in _ENDED_RUN


def _ended_before_ends_were_told(run: JsonObject, records: _Records, telling: str) -> bool:
    """Its records say so by their form; where it has none, its time does: before the first record that tells times."""
    if not _has_ended(run):
        return False
    if records:
        return all("ended" not in each for each in records.values())
    return not telling or str(run.get("ended")) < telling


def _compare_end(
    run: RunId, shown: JsonObject, record: JsonObject | None, *, before: bool, exported: bool
) -> Iterator[ChainFinding]:
    if record is not None:
        names = shown.keys() | record.keys() if exported else shown.keys()
        differing = _differing(shown, record, names - _NAMES)
        if differing:
            yield _edited(f"{run} shows something else than the chain: {differing}")
    elif _has_ended(shown) and not before:
        yield _missing(f"{run} shows that it has ended ({shown.get('state')}), and the chain does not hold its end")


def _compare_steps(run: RunId, seen: ShownRun, records: _Records, *, before: bool) -> Iterator[ChainFinding]:
    for shown in seen.steps:
        key = StepKey(str(shown["step"]))
        record = records.get(key)
        if record is not None:
            names = _OF_A_STEP | shown.keys() - _NAMES if "ended" in record else _OF_A_STEP_BEFORE | shown.keys() & {"approval"}
            differing = _differing(shown, record, names)
            if differing:
                yield _edited(f"{key} of {run} shows something else than the chain: {differing}")
        elif shown["evidence"] is not None:
            yield _missing(f"{key} of {run} has ended, and the chain holds nothing of it")
        elif shown["state"] in _ENDED_STEP and RUN_ENDED not in records and not before:
            yield _edited(f"{key} of {run} shows that it has ended ({shown['state']}), and the chain holds nothing of it")
    listed = {str(shown["step"]) for shown in seen.steps}
    for key in records:
        if key not in listed and key != RUN_ENDED:
            yield _missing(f"{key} of {run} is in the chain and not among the steps that are shown")


def _differing(shown: JsonObject, record: JsonObject, names: frozenset[str] | set[str]) -> str:
    """What differs, each with both values where they are short; empty where nothing does."""
    return ", ".join(_told(name, shown.get(name), record.get(name)) for name in sorted(names) if not _same(name, shown, record))


def _same(name: str, shown: JsonObject, record: JsonObject) -> bool:
    """As bytes: 1 and true are equal in Python, and not to who reads them."""
    try:
        return canonical_json({name: shown.get(name)}) == canonical_json({name: record.get(name)})
    except (TypeError, ValueError):
        return False  # somebody wrote what no record can hold


def _told(name: str, shown: Json, chained: Json) -> str:
    short = all(not isinstance(each, Mapping | list | tuple) for each in (shown, chained))
    return f"{name} ({shown!r}, chained {chained!r})" if short else name


def _edited(found: str) -> ChainFinding:
    return ChainFinding(ChainFault.RECORD_EDITED, None, found)


def _missing(found: str) -> ChainFinding:
    return ChainFinding(ChainFault.RECORD_MISSING, None, found)
