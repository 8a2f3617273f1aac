"""Until something is tried again so much time passes as is said, whatever the wall clock says meanwhile."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.app.desk import desk
from tests.plan.samples import ORDERS, backup_facts, backup_of, backup_subject
from tests.records.cast import NOON, submission
from tests.supervise.owned_clock import OwnedClock
from understudy.app.filing import EvidenceFiling
from understudy.app.installation import Installation
from understudy.app.repositories import prepare_repository
from understudy.app.requests import OpenRequests
from understudy.plan.backup import plan_backup
from understudy.plan.request import BackupRequest, request_to_json
from understudy.records.run import RecordedError, RunState, StepConclusion, StepState
from understudy.runner.submission import hand_over
from understudy.vocabulary.errors import TryAgain
from understudy.vocabulary.evidence import Evidence, Outcome
from understudy.vocabulary.identifiers import RunId, StepKey

__all__ = ["desk"]


class Nowhere:
    port, programs = 1, "/nowhere"


@pytest.fixture
def clock():
    return OwnedClock()


@pytest.fixture
def installation(desk, clock):
    desk.write(Nowhere, url="postgresql://nobody@127.0.0.1:1/postgres")
    return replace(Installation.open(desk.stack_file, desk.state), clock=clock)


def put_back_and_wait(clock, pause):
    clock.set_by(timedelta(days=-1))
    clock.pass_by(pause)


def test_evidence_that_could_not_be_copied_is_tried_again(desk, installation, clock):
    prepare_repository(installation, "near")
    records = installation.records
    records.submit(submission())
    records.finish(RunId("r1"), RunState.SUCCEEDED)
    repository, unmounted = desk.directory / "repository", desk.directory / "unmounted"
    repository.rename(unmounted)
    filing = EvidenceFiling(installation)
    filing.look()
    unmounted.rename(repository)
    filing.look()
    assert records.filing.outstanding() == ("r1",), "it waits"
    put_back_and_wait(clock, timedelta(seconds=60))
    filing.look()
    assert records.filing.outstanding() == ()


def test_a_run_that_could_not_follow_yet_is_planned_again(installation, clock):
    records, tries = installation.records, []
    incremental = plan_backup(backup_subject(), backup_facts([backup_of("20261123-030000F")]))
    run = hand_over(records, clock, incremental, asked=request_to_json(BackupRequest(ORDERS)))
    refused = Evidence("orders", "a backup", Outcome.FAILED, NOON, NOON, {})
    error = RecordedError("incremental_refused", "WAL summaries are missing")
    records.conclude_step(run, StepKey("orders/take-base-backup"), StepConclusion(StepState.FAILED, refused, error))
    records.finish(run, RunState.FAILED)

    def plan_request(request):
        tries.append(request)
        raise TryAgain("store_unreachable", found="no route")

    requests = OpenRequests(installation, plan_request, lambda *anything: None)
    requests.look()
    requests.look()
    assert len(tries) == 1, "it waits"
    put_back_and_wait(clock, timedelta(seconds=15))
    requests.look()
    assert len(tries) == 2
