"""The drills that ``serve`` holds by itself: hands the supervised loop what it calls."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from understudy.app.drill_calendar import Attempt, CalendarMemory, remember, remember_attempt, remembered, turn_of
from understudy.app.drill_history import CALENDAR, DrillHistory, DrillResult, about
from understudy.app.installation import Installation
from understudy.app.recoveries import drill_request, plan_requested_recovery
from understudy.plan.plan import Procedure
from understudy.plan.request import Choice, request_to_json
from understudy.records.run import RecordedError
from understudy.records.state_database import as_state_faults
from understudy.runner.runner import Runner
from understudy.stack.order import PRIORITIES
from understudy.stack.standard_calendar import DeclaredDrill, drills_of
from understudy.supervise.drill_calendar import DrillCalendar, DrillUnderWay, DueDrill
from understudy.vocabulary.errors import Refusal, UnderstudyError
from understudy.vocabulary.identifiers import RepositoryName, RunId

_EXCLUDED = frozenset({Procedure.DRILL.value, Procedure.RECOVERY.value})
_WRONG = {
    DrillResult.FAILED: "failed",
    DrillResult.CANCELLED: "was cancelled",
    DrillResult.TOOK_TOO_LONG: "took too long, and counts as failed",
    DrillResult.OBJECTIVE_NOT_MET: "came back, and an objective is missed, or not known to be met",
}


@dataclass(frozen=True, slots=True)
class HoldingDrills:
    installation: Installation
    runner: Runner
    history: DrillHistory = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "history", DrillHistory(self.installation))

    def start(self, undo: ExitStack) -> None:
        """Nothing is begun that the stack file does not declare."""
        if not drills_of(self.installation.stack):
            return
        calendar = DrillCalendar(
            self.installation.clock,
            self.turns,
            self.under_way,
            self.begin,
            self.cannot_begin,
            self.end,
            self.outcome,
        )
        calendar.start()
        undo.callback(calendar.stop)

    def turns(self) -> Sequence[DueDrill]:
        """One that is new is seen from now on."""
        now = self.installation.clock.now()
        found = []
        with as_state_faults():
            for drill in self._declared():
                noted = remembered(self.installation, drill.name)
                if noted is None:
                    noted = CalendarMemory(now)
                    remember(self.installation, drill.name, noted)
                at = turn_of(drill, now, self.history.fitting(drill, about(self.installation, drill)), noted)
                if at is not None:
                    found.append(DueDrill(drill.name, at))
        return found

    def under_way(self) -> Sequence[DrillUnderWay]:
        """Of those that others asked for the runs alone: a request of theirs that cannot go on yet keeps no drill back."""
        records = self.installation.records
        with as_state_faults():
            unended = [each for each in records.unended() if each.procedure in _EXCLUDED]
            open_requests = records.requests.open()
            if not unended and not open_requests:
                return ()
            own = {attempt.run: drill for drill in self._declared() for attempt in self._attempts(drill)}
            found = {each.request or each.run: DrillUnderWay(each.run, each.run, each.submitted) for each in unended}
            for request in open_requests:
                drill = own.get(request.request)
                if drill is not None:
                    found[request.request] = DrillUnderWay(
                        request.request, request.runs[-1], request.submitted, drill.name, drill.max_duration
                    )
            return tuple(found.values())

    def _declared(self) -> Sequence[DeclaredDrill]:
        """By priority, then in the order of the stack file."""
        return sorted(drills_of(self.installation.stack).values(), key=lambda each: PRIORITIES.index(each.priority))

    def _attempts(self, drill: DeclaredDrill) -> Sequence[Attempt]:
        noted = remembered(self.installation, drill.name)
        return noted.attempts if noted is not None else ()

    def begin(self, name: str) -> RunId:
        """Raises what planning a drill raises, and what the runner does."""
        declared = drills_of(self.installation.stack)[name]
        choice = Choice(
            repository=None if declared.repository is None else RepositoryName(declared.repository),
            opened_with=declared.opened_with,
        )
        with as_state_faults():
            request = drill_request(self.installation, declared.scenario, declared.resources, choice)
            began = self.installation.clock.now()
            plan = plan_requested_recovery(self.installation, request)
            run = self.runner.submit(plan, asked=request_to_json(request))
            remember_attempt(self.installation, name, Attempt(run, began))
        return run

    def cannot_begin(self, name: str, error: UnderstudyError) -> None:
        noted = remembered(self.installation, name) or CalendarMemory(self.installation.clock.now())
        remember(self.installation, name, replace(noted, fault=RecordedError.of(error)))

    def end(self, run: RunId) -> None:
        """It is cleaned up, and nothing follows it."""
        try:
            self.runner.cancel(run, CALENDAR)
        except Refusal:
            return  # it has ended meanwhile; what follows it is seen at the next look

    def outcome(self, request: RunId) -> str | None:
        with as_state_faults():
            known = self.installation.records.requests.of(request)
            last = request if known is None else known.runs[-1]
            scenario = self.installation.records.run(last).subject
            held = next((each for each in self.history.held(scenario) if each.run == last), None)
        return None if held is None else _WRONG.get(held.result)
