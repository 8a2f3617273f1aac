"""What comes after a run: decided from the records, by whichever process holds the state directory."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from understudy.app.installation import Installation
from understudy.plan.following import next_request
from understudy.plan.plan import Plan
from understudy.plan.request import Request, request_from_json, request_to_json
from understudy.records.requests import ALREADY_FOLLOWED
from understudy.records.run import RecordedError, RequestRecord
from understudy.records.state_database import as_state_faults
from understudy.runner.plan_json import plan_from_json
from understudy.supervise.repeated_look import RepeatedLook
from understudy.vocabulary.errors import GiveUp, TryAgain, UnderstudyError
from understudy.vocabulary.identifiers import Person, RunId
from understudy.vocabulary.json import JsonObject

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2
_LATER_SECONDS = 15.0
"""Until a next run that could not be planned now (a store or the server is away) is planned again."""

_IN_THE_WAY = ("busy", "secret_missing", "secret_unreadable", "signer_not_named")
"""What somebody ends: another run ends, a secret is given to the process that goes on, or the stack file is mended. Nothing final
is known by it."""

PlanRequest = Callable[[Request], Plan]


class Submit(Protocol):
    def __call__(
        self, plan: Plan, approved_by: Person | None = None, asked: JsonObject | None = None, follows: RunId | None = None
    ) -> RunId: ...


def go_on(installation: Installation, request: RequestRecord, plan_request: PlanRequest, submit: Submit) -> RunId | None:
    """Begin the run that comes after the request's last one, which has ended; or end the request. None: nothing comes.

    Where another process was faster, its run is the answer.

    Raises:
        TryAgain: what is needed for planning is away; the request stays open.
        GiveUp: ``busy``: likewise, another run is in the way; ``secret_missing``, ``secret_unreadable``: this process lacks it.
    """
    last = request.runs[-1]
    records = installation.records
    try:
        plan = plan_from_json(records.plan(last))
        asked = request_from_json(request.asked)
        wanted = next_request(asked, plan, records.run(last).state, records.steps(last), installation.repository_names)
        if wanted is None:
            records.requests.end(request.request, last)
            return None
        _log.warning("%s did not succeed, and another run is to follow it", last)
        return submit(plan_request(wanted), wanted.approved_by, request_to_json(wanted), last)
    except TryAgain as passing:
        still_open = _still_open(passing, last)
        records.requests.put_off(request.request, last, RecordedError.of(still_open))
        raise still_open from passing
    except GiveUp as error:
        if error.code in _IN_THE_WAY:
            records.requests.put_off(request.request, last, RecordedError.of(error))
            raise
        if error.code == ALREADY_FOLLOWED:
            now = records.requests.of(last)
            return now.runs[-1] if now is not None and now.runs[-1] != last else None
        _log.error("nothing can follow %s: %s", last, error)
        records.requests.end(request.request, last, RecordedError.of(error))
    except (ValueError, KeyError, TypeError) as error:
        _log.warning("what %s was asked for cannot be read", last, exc_info=True)
        found = f"what {last} was asked for cannot be read: {type(error).__name__}"
        unreadable = RecordedError("request_unreadable", found, hint="another version wrote it: ask again with this one")
        records.requests.end(request.request, last, unreadable)
    return None


def _still_open(passing: TryAgain, last: RunId) -> TryAgain:
    hint = f"then go on: understudy resume {last}"
    return TryAgain(
        passing.code,
        found=f"{last} ended, and the run that is to follow cannot be planned: {passing.found}",
        expected=passing.expected,
        hint=f"{passing.hint}; {hint}" if passing.hint else hint,
        after=passing.after,
    )


class OpenRequests(RepeatedLook):
    """Goes on with open requests while the control plane serves, also with those of processes that died."""

    def __init__(self, installation: Installation, plan_request: PlanRequest, submit: Submit) -> None:
        super().__init__("requests", _LOOK_SECONDS)
        self._installation = installation
        self._plan_request = plan_request
        self._submit = submit
        self._not_before_seconds: dict[RunId, float] = {}
        """By the clock that nobody sets."""
        self._unreadable = False

    def look(self) -> None:
        for request in self._open():
            self._see_to(request)

    def _open(self) -> tuple[RequestRecord, ...]:
        """Empty while the state directory cannot be read; that is told once."""
        try:
            with as_state_faults():
                found = self._installation.records.requests.open()
        except GiveUp as error:
            if not self._unreadable:
                _log.error("requests are not gone on with now: %s", error)
            self._unreadable = True
            return ()
        self._unreadable = False
        return found

    def _see_to(self, request: RequestRecord) -> None:
        last, now = request.runs[-1], self._installation.clock.monotonic_seconds()
        if now < self._not_before_seconds.get(last, now):
            return
        try:
            with as_state_faults():
                if not self._installation.records.run(last).state.is_final:
                    return
                following = go_on(self._installation, request, self._plan_request, self._submit)
        except (UnderstudyError, OSError) as error:
            self._not_before_seconds[last] = now + _LATER_SECONDS
            _log.error("%s. Trying again in %d s", error, _LATER_SECONDS)
            return
        if following is not None:
            _log.info("run %s follows %s", following, last)
