"""The negative control on a real server: a base backup that does not look for what an attempt before it left behind."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from pathlib import Path

from tests.crash.postgres_scenes import FULL_BACKUP
from understudy.plan.plan import Plan
from understudy.ports.world import World
from understudy.repository.manifests import PartEntry
from understudy.steps.codec import step_kind
from understudy.steps.take_base_backup import TakeBaseBackup


@step_kind("take_base_backup_carelessly")
@dataclass(frozen=True, slots=True)
class TakeBaseBackupCarelessly(TakeBaseBackup):
    def _remove_parts_but(self, world: World, prefix: str, wanted: Collection[PartEntry]) -> None:
        pass


def _plan(directory: Path) -> Plan:
    careful = FULL_BACKUP.plan(directory)
    return replace(careful, steps=tuple(replace(each, step=_careless(each.step)) for each in careful.steps))


def _careless(step: object) -> object:
    if not isinstance(step, TakeBaseBackup):
        return step
    return TakeBaseBackupCarelessly(**{each.name: getattr(step, each.name) for each in fields(step)})


# Two points are enough for it to do its work three times.
SCENE = replace(
    FULL_BACKUP,
    plan=_plan,
    points=("orders/take-base-backup:stores.near.put#1:after", "orders/take-base-backup:databases.orders.base_backup#1:left"),
)
