"""What ``check`` finds out about the calendar: whether each drill can be held at all, and whether it was."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import ExitStack

from understudy.app.drill_calendar import drill_status
from understudy.app.drill_history import DrillHistory
from understudy.app.installation import Installation
from understudy.app.looking import records_to_look_at
from understudy.app.service_recoveries import require_drillable
from understudy.app.stack_recoveries import drilled_resources
from understudy.judge.preflight import Finding, finding_of
from understudy.judge.preflight_drills import CalendarFacts, judge_drill
from understudy.stack.services import Service
from understudy.stack.snapshots import BucketResource
from understudy.stack.standard_calendar import DeclaredDrill, drills_of
from understudy.vocabulary.errors import Refusal, UnderstudyError


def check_drills(installation: Installation) -> Iterator[Finding]:
    declared = drills_of(installation.stack)
    if not declared:
        return
    with ExitStack() as undo:
        records, _ = records_to_look_at(installation, undo)
        readable = installation.reading(records)
        history = DrillHistory(readable)
        for drill in declared.values():
            try:
                _require_holdable(installation, drill)
                status = drill_status(readable, history, drill)
            except UnderstudyError as error:
                yield finding_of(error, f"drill {drill.name}", "calendar")
                continue
            yield judge_drill(
                CalendarFacts(
                    drill=drill.name,
                    command=command_of(drill),
                    last_passed=status.last_passed.began if status.last_passed else None,
                    overdue_since=status.overdue_since,
                    met=status.met,
                    due_by=status.period_until,
                )
            )


def command_of(drill: DeclaredDrill) -> str:
    """What a person types who holds it."""
    options = [part for name in drill.resources for part in ("--resource", name)]
    options += ["--repository", drill.repository] if drill.repository else []
    options += ["--identity", drill.opened_with] if drill.opened_with else []
    return shlex.join(["understudy", "drill", drill.scenario.value, *options])


def _require_holdable(installation: Installation, drill: DeclaredDrill) -> None:
    """
    Raises:
        Refusal: what ``drilled_resources`` and ``require_drillable`` raise; ``sandbox_missing``.
    """
    for name in drilled_resources(installation, drill.scenario, drill.resources):
        settings = installation.part(name)
        if isinstance(settings, Service):
            require_drillable(installation, name)
        if isinstance(settings, BucketResource) and settings.drill.url is None:
            raise Refusal(
                "sandbox_missing",
                found=f"the stack file does not say where drills bring {name} up",
                expected=f"resources.{name}.drill.url, a bucket of its service that is for drills, or a prefix in one",
                hint=f"add it; or name the other resources: drills.{drill.name}.resources",
            )
