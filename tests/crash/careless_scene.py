"""The negative control: a step that does not look before it acts."""

from __future__ import annotations

from tests.crash.scene import Scene
from tests.crash.toy_scene import CountCarelessly, plan_of, world_for
from understudy.plan.plan import PlannedStep

SCENE = Scene(plan=lambda directory: plan_of(PlannedStep(CountCarelessly("count"))), world_for=world_for)
