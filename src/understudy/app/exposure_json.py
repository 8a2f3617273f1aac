"""What ``serve`` sees of a resource and ``status`` shows of it, as JSON in between."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from understudy.judge.disruption import Watched
from understudy.judge.exposure import Exposure, KnownExposure, SetBack, WalPosition, WalSample
from understudy.judge.slot_room import SlotRoom
from understudy.supervise.exposure_watch import ExposureReport, Remembered
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.identifiers import RepositoryName
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.wal import Lsn, Timeline


def exposure_to_json(report: ExposureReport) -> JsonObject:
    remembered = report.worth_remembering
    return {
        "overall": _one(report.exposure),
        "repositories": {name: _one(each) for name, each in report.repositories},
        "server_fault": report.server_fault,
        "samples": [{"asked": each.asked.isoformat(), **_position(each.flushed)} for each in remembered.samples],
        "safe": {name: _position(position) for name, position in remembered.safe.items()},
        "answered": _iso(remembered.watched.answered),
        "silent": _iso(remembered.watched.silent),
        "set_back": None if remembered.set_back is None else _set_back(remembered.set_back),
        "slot": None if report.slot is None else slot_to_json(report.slot),
    }


def remembered_from_json(value: JsonObject) -> Remembered:
    """Of an earlier version that remembered nothing: nothing."""
    samples = cast(list[JsonObject], value.get("samples", []))
    safe = cast(dict[str, JsonObject], value.get("safe", {}))
    return Remembered(
        tuple(WalSample(datetime.fromisoformat(str(each["asked"])), _position_of(each)) for each in samples),
        {RepositoryName(name): _position_of(position) for name, position in safe.items()},
        _set_back_of(value.get("set_back")),
        watched_from_json(value),
    )


def slot_to_json(room: SlotRoom) -> JsonObject:
    return {
        "wal_status": room.wal_status,
        "active": room.active,
        "kept_bytes": room.kept_bytes,
        "room_bytes": room.room_bytes,
    }


def slot_from_json(value: Json) -> SlotRoom | None:
    if value is None:
        return None
    fields = cast(JsonObject, value)
    return SlotRoom(
        wal_status=str(fields["wal_status"]),
        active=bool(fields["active"]),
        kept_bytes=cast("int | None", fields["kept_bytes"]),
        room_bytes=cast("int | None", fields["room_bytes"]),
    )


def watched_from_json(value: JsonObject) -> Watched:
    return Watched(_moment(value.get("answered")), _moment(value.get("silent")))


def fault_to_json(fault: UnderstudyError | None) -> JsonObject:
    if fault is None:
        return {"fault": None}
    return {"fault": fault.code, "found": fault.found, "hint": fault.hint}


def _one(exposure: Exposure) -> dict[str, Json]:
    if isinstance(exposure, KnownExposure):
        return {"known": True, "seconds": exposure.seconds, "size_bytes": exposure.size_bytes, "gap": None}
    return {"known": False, "seconds": exposure.at_least_seconds, "size_bytes": None, "gap": exposure.gap.value}


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _moment(value: Json) -> datetime | None:
    return None if value is None else datetime.fromisoformat(str(value))


def _set_back(seen: SetBack) -> dict[str, Json]:
    return {"seen": seen.seen.isoformat(), "timeline": seen.timeline}


def _set_back_of(value: Json) -> SetBack | None:
    if value is None:
        return None
    fields = cast(JsonObject, value)
    return SetBack(datetime.fromisoformat(str(fields["seen"])), Timeline(int(cast(int, fields["timeline"]))))


def _position(position: WalPosition) -> dict[str, Json]:
    return {"timeline": position.timeline, "lsn": str(position.lsn)}


def _position_of(value: JsonObject) -> WalPosition:
    return WalPosition(Timeline(int(cast(int, value["timeline"]))), Lsn.parse(str(value["lsn"])))
