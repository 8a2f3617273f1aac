"""Identifiers that are made up here, because plans may not be random."""

from __future__ import annotations

import secrets

from understudy.plan.plan import Procedure
from understudy.ports.clock import Clock
from understudy.vocabulary.identifiers import PlanId


def new_plan_id(clock: Clock, procedure: Procedure) -> PlanId:
    return PlanId(f"{procedure}-{clock.now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}")
