"""Requests of every kind, for who goes on with what another process was asked."""

from __future__ import annotations

from understudy.app.backups import plan_requested_backup
from understudy.app.installation import Installation
from understudy.app.recoveries import plan_requested_recovery
from understudy.app.requests import PlanRequest
from understudy.plan.plan import Plan
from understudy.plan.request import BackupRequest, Request


def planner(installation: Installation) -> PlanRequest:
    """Plans whatever the request asks for."""

    def plan(request: Request) -> Plan:
        if isinstance(request, BackupRequest):
            return plan_requested_backup(installation, request)
        return plan_requested_recovery(installation, request)

    return plan
