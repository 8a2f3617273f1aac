"""What drills and recoveries came to, as their ends were signed: for documents, which quote and do not measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import cast

from understudy.app.installation import Installation
from understudy.documents.disaster_plan import ProvenRun
from understudy.judge.measured import MeasuredRecovery, MeasuredStack, measured_from_json
from understudy.plan.plan import Procedure
from understudy.vocabulary.identifiers import RunId
from understudy.vocabulary.json import Json, JsonObject

_NEWEST = 200


def proven_runs(installation: Installation) -> tuple[ProvenRun, ...]:
    """Newest first."""
    ends = installation.past.history.ends((Procedure.DRILL, Procedure.RECOVERY), _NEWEST)
    return tuple(map(_proven, ends))


def _proven(end: JsonObject) -> ProvenRun:
    measured = _measured(end)
    parts = _parts(measured)
    met = end.get("met")
    return ProvenRun(
        run=RunId(str(end["run"])),
        procedure=str(end["procedure"]),
        scenario=str(end["subject"]),
        resources=tuple(parts) or _named(end),
        ended=datetime.fromisoformat(str(end["ended"])),
        succeeded=end["state"] == "succeeded",
        met=met if isinstance(met, bool) else None,
        recovery_time=None if measured is None else measured.measurement.recovery_time,
        objective=None if measured is None else measured.objectives.rto,
        losses={name: part.recovery_point.loss for name, part in parts.items() if part.recovery_point is not None},
        recovery_times=_times(parts),
        stack_digest=str(end["stack_digest"]),
        approved_by=tuple(dict.fromkeys(str(cast(JsonObject, each)["by"]) for each in cast("Sequence[Json]", end["approved"]))),
    )


def _times(parts: Mapping[str, MeasuredRecovery]) -> Mapping[str, timedelta]:
    times = ((name, part.measurement.recovery_time) for name, part in parts.items())
    return {name: took for name, took in times if took is not None}


def _parts(measured: MeasuredRecovery | MeasuredStack | None) -> Mapping[str, MeasuredRecovery]:
    if measured is None:
        return {}
    return measured.parts if isinstance(measured, MeasuredStack) else {measured.resource: measured}


def _measured(end: JsonObject) -> MeasuredRecovery | MeasuredStack | None:
    """None of what another version wrote in another form, too."""
    try:
        return None if end.get("measured") is None else measured_from_json(cast(JsonObject, end["measured"]))
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _named(end: JsonObject) -> tuple[str, ...]:
    keys = (str(cast(JsonObject, each)["step"]).partition("/")[0] for each in cast("Sequence[Json]", end["steps"]))
    return tuple(name for name in dict.fromkeys(keys) if name != "stack")
