"""The forecast of each resource: what drills and recoveries measured of it, and how large it was, from the records alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from understudy.app.installation import Installation
from understudy.judge.forecast import Forecast, MeasuredRestore, SizeSeen, forecast
from understudy.judge.measured import MeasuredRecovery, MeasuredStack, measured_from_json
from understudy.plan.plan import Procedure
from understudy.records.run import StepRecord
from understudy.vocabulary.identifiers import BackupKind, ResourceName, StepKey
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.wal import Lsn

NEAR = timedelta(days=90)
"""What is missed within so long is shown wherever somebody looks."""

_ENOUGH = 8
"""Sizes of backups; fewer give way to what was restored, where that is more."""
_RUNS = 400
_RESTORES = 60
_SIZES = 120
"""The newest of each: how it was years ago, on another host, says little of tomorrow."""


@dataclass(frozen=True, slots=True)
class ResourceForecast:
    resource: ResourceName
    scenario: str | None
    """Whose objective it is held against: the shortest of those that were drilled. None: the tier's, for none was."""
    forecast: Forecast

    def is_near(self, now: datetime) -> bool:
        return self.forecast.missed_on is not None and self.forecast.missed_on - now <= NEAR


@dataclass(frozen=True, slots=True)
class _Taken:
    scenario: str
    rto: timedelta
    restore: MeasuredRestore


def forecasts(installation: Installation) -> tuple[ResourceForecast, ...]:
    """In the order of the stack file. Growth is told by the sizes of whole backups; where these are few, by what was restored."""
    taken: dict[str, list[_Taken]] = {}
    for end, steps in installation.records.history.measured((Procedure.DRILL, Procedure.RECOVERY), _RUNS):
        for resource, each in _measured(end, steps):
            taken.setdefault(resource, []).append(each)
    return tuple(_of(installation, name, taken.get(name, [])[:_RESTORES]) for name in installation.resource_names())


def _of(installation: Installation, name: ResourceName, taken: Sequence[_Taken]) -> ResourceForecast:
    held_against = min(taken, key=lambda each: each.rto, default=None)
    restores = [each.restore for each in taken]
    sizes = _sizes(installation, name)
    restored = [SizeSeen(each.at, each.size_bytes) for each in restores]
    return ResourceForecast(
        name,
        None if held_against is None else held_against.scenario,
        forecast(
            restores,
            sizes if len(sizes) >= len(restored) or len(sizes) >= _ENOUGH else restored,
            installation.stack.tier_of(name).rto if held_against is None else held_against.rto,
            installation.clock.now(),
        ),
    )


def _sizes(installation: Installation, name: ResourceName) -> list[SizeSeen]:
    verb, key = ("take-base-backup", "plain_bytes") if installation.is_database(name) else ("take-snapshot", "content_bytes")
    found = []
    for step in installation.records.history.successes(StepKey(f"{name}/{verb}")):
        proof = step.evidence.proof if step.evidence is not None else {}
        whole = proof.get("kind", BackupKind.FULL.value) == BackupKind.FULL.value
        if step.ended is not None and whole and isinstance(proof.get(key), int):
            found.append(SizeSeen(step.ended, cast(int, proof[key])))
    return found[:_SIZES]


def _measured(end: JsonObject, steps: Sequence[StepRecord]) -> Iterator[tuple[str, _Taken]]:
    """Without those that another version wrote in another form, and those of which a part alone was restored."""
    try:
        judged = measured_from_json(cast(JsonObject, end["measured"]))
        submitted, scenario = datetime.fromisoformat(str(end["submitted"])), str(end["subject"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return
    parts = list(judged.parts.values()) if isinstance(judged, MeasuredStack) else [judged]
    proofs = {step.key: step.evidence.proof for step in steps if step.evidence is not None}
    for part in parts:
        restore = _restore(part, proofs, submitted)
        if restore is not None and part.measurement.recovery_time is not None:
            yield part.resource, _Taken(scenario, part.objectives.rto, restore)


def _restore(part: MeasuredRecovery, proofs: Mapping[StepKey, Mapping[str, Json]], at: datetime) -> MeasuredRestore | None:
    phases = part.measurement.phases
    snapshot = proofs.get(StepKey(f"{part.resource}/restore-snapshot"))
    if snapshot is not None:
        size = snapshot.get("content_bytes")
        return MeasuredRestore(at, phases, size) if isinstance(size, int) and snapshot.get("only") is None else None
    base = proofs.get(StepKey(f"{part.resource}/restore-base-backup"))
    size = base.get("unpacked_bytes") if base is not None else None
    return MeasuredRestore(at, phases, size, _replayed(proofs, part.resource)) if isinstance(size, int) else None


def _replayed(proofs: Mapping[StepKey, Mapping[str, Json]], resource: str) -> int:
    replay = proofs.get(StepKey(f"{resource}/replay-wal"), {})
    try:
        return Lsn.parse(str(replay["replayed_lsn"])).bytes_since(Lsn.parse(str(replay["from_lsn"])))
    except (KeyError, ValueError):
        return 0
