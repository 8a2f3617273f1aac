"""What ``serve`` sees of exposure and ``status`` shows of it, as JSON in between."""

from __future__ import annotations

from understudy.judge.exposure import Exposure, KnownExposure
from understudy.supervise.exposure_watch import ExposureReport
from understudy.vocabulary.json import Json, JsonObject


def exposure_to_json(report: ExposureReport) -> JsonObject:
    return {
        "overall": _one(report.exposure),
        "repositories": {name: _one(each) for name, each in report.repositories},
        "server_fault": report.server_fault,
    }


def _one(exposure: Exposure) -> dict[str, Json]:
    if isinstance(exposure, KnownExposure):
        return {"known": True, "seconds": exposure.seconds, "size_bytes": exposure.size_bytes, "gap": None}
    return {"known": False, "seconds": exposure.at_least_seconds, "size_bytes": None, "gap": exposure.gap.value}
