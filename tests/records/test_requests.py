"""Requests and the runs that they lead to, as they are remembered."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.records.cast import submission
from understudy.adapters.clock.system import SystemClock
from understudy.records.records import Records
from understudy.records.run import HoldClaim, RecordedError, RunState, Submission
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import Person, RunId
from understudy.vocabulary.json import JsonObject

FIRST, SECOND = RunId("first"), RunId("second")
LANE = frozenset({HoldClaim("lane", True)})


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    records = Records(tmp_path, SystemClock())
    yield records
    records.close()


def asked(run: str, follows: RunId | None = None, wish: JsonObject | None = None) -> Submission:
    return replace(submission(run, holds=LANE), asked=wish or {"wish": run}, follows=follows)


def refusal(records: Records, submitted: Submission) -> str:
    with pytest.raises(Refusal) as refused:
        records.submit(submitted)
    return refused.value.code


def test_a_run_that_stands_alone_belongs_to_no_request(records: Records) -> None:
    records.submit(submission())
    assert records.requests.of(RunId("r1")) is None
    assert records.requests.open() == ()


def test_a_request_is_named_by_its_first_run_and_links_those_that_follow(records: Records) -> None:
    records.submit(asked("first"))
    records.finish(FIRST, RunState.FAILED)
    records.submit(asked("second", FIRST, {"wish": "another"}))
    request = records.requests.of(SECOND)
    assert request is not None
    assert request == records.requests.of(FIRST)
    assert (request.request, request.runs, request.asked) == (FIRST, (FIRST, SECOND), {"wish": "another"})
    assert (records.run(FIRST).follows, records.run(SECOND).follows) == (None, FIRST)
    assert {records.run(FIRST).request, records.run(SECOND).request} == {FIRST}


@pytest.mark.parametrize("state", [RunState.SUCCEEDED, RunState.CANCELLED])
def test_a_run_that_needs_no_other_ends_its_request(records: Records, state: RunState) -> None:
    records.submit(asked("first"))
    records.finish(FIRST, state)
    assert records.requests.open() == ()
    assert records.holds() == ()
    assert refusal(records, asked("second", FIRST)) == "already_followed"


def test_what_a_failed_run_held_stays_held_until_its_request_goes_on_or_ends(records: Records) -> None:
    records.submit(asked("first"))
    records.finish(FIRST, RunState.FAILED)
    assert refusal(records, submission("stranger", holds=LANE)) == "busy"
    records.submit(asked("second", FIRST))
    assert records.holds() == ((SECOND, HoldClaim("lane", True)),)
    records.finish(SECOND, RunState.FAILED)
    records.requests.end(FIRST, SECOND, RecordedError("no_backup", "there is none"))
    assert records.holds() == ()
    records.submit(submission("stranger", holds=LANE))
    request = records.requests.of(FIRST)
    assert request is not None
    assert request.error == RecordedError("no_backup", "there is none")


def test_a_run_under_way_is_followed_by_none(records: Records) -> None:
    records.submit(asked("first"))
    assert refusal(records, asked("second", FIRST)) == "already_followed"


def test_two_processes_that_go_on_at_once_begin_one_run(tmp_path: Path) -> None:
    records = Records(tmp_path, SystemClock())
    records.submit(asked("first"))
    records.finish(FIRST, RunState.FAILED)
    outcomes: list[str] = []

    def go_on(name: str) -> None:
        own = Records(tmp_path, SystemClock())
        try:
            own.submit(asked(name, FIRST))
            outcomes.append("submitted")
        except Refusal as error:
            outcomes.append(error.code)
        finally:
            own.close()

    threads = [threading.Thread(target=go_on, args=(f"second-{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["already_followed"] * 5 + ["submitted"]
    assert len(records.runs()) == 2
    records.close()


def test_a_request_that_went_on_meanwhile_is_not_ended_by_who_saw_it_before(records: Records) -> None:
    records.submit(asked("first"))
    records.finish(FIRST, RunState.FAILED)
    records.submit(asked("second", FIRST))
    records.requests.end(FIRST, FIRST)
    assert [each.runs[-1] for each in records.requests.open()] == [SECOND]


def test_why_what_is_to_follow_cannot_begin_yet_is_told_until_it_does(records: Records) -> None:
    records.submit(asked("first"))
    records.finish(FIRST, RunState.FAILED)
    away = RecordedError("store_unreachable", "no route")
    records.requests.put_off(FIRST, FIRST, away)
    [request] = records.requests.open()
    assert (request.error, request.ended) == (away, None)
    records.submit(asked("second", FIRST))
    records.requests.put_off(FIRST, FIRST, away)
    [request] = records.requests.open()
    assert request.error is None, "the second run began"


def test_a_person_ends_a_request_that_would_go_on_by_cancelling_its_last_run(records: Records) -> None:
    records.submit(asked("first"))
    records.finish(FIRST, RunState.FAILED)
    records.request_cancel(FIRST, Person("anna"))
    assert records.requests.open() == ()
    assert records.holds() == ()
    request = records.requests.of(FIRST)
    assert request is not None
    assert request.error is not None
    assert "anna" in request.error.found
    with pytest.raises(Refusal) as refused:
        records.request_cancel(FIRST, Person("anna"))
    assert refused.value.code == "run_ended"


def test_who_asked_for_the_end_of_a_run_that_then_failed_by_itself_ended_its_request(records: Records) -> None:
    records.submit(asked("first"))
    records.request_cancel(FIRST, Person("anna"))
    records.finish(FIRST, RunState.FAILED)
    assert records.requests.open() == ()
    assert records.holds() == ()
    request = records.requests.of(FIRST)
    assert request is not None
    assert request.error is not None
    assert "anna" in request.error.found
    assert refusal(records, asked("second", FIRST)) == "already_followed"


def test_everything_is_still_there_after_opening_again(tmp_path: Path) -> None:
    first = Records(tmp_path, SystemClock())
    first.submit(asked("first"))
    first.finish(FIRST, RunState.FAILED)
    before = (first.requests.open(), first.holds())
    first.close()
    again = Records(tmp_path, SystemClock())
    assert (again.requests.open(), again.holds()) == before
    again.close()
