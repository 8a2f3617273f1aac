"""Retention of several resources at once; what one of them is refused keeps back no other, and is told."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.app.desk import desk
from tests.faults.estate import NEAR, RESOURCE
from tests.records.cast import submission
from tests.restore_matrix.estate import SilentWatcher
from understudy.app.carrying_out import view_of
from understudy.app.installation import Installation
from understudy.app.repositories import prepare_repository
from understudy.app.retention import Retention, expire
from understudy.cli.exit_codes import ExitCode
from understudy.cli.expiring import exit_code_of
from understudy.plan.retention import RetentionDecision, UnfinishedBackup
from understudy.records.run import HoldClaim
from understudy.vocabulary.identifiers import BackupLabel, ResourceName, RunId, SystemIdentifier

__all__ = ["desk"]
NOWHERE = SimpleNamespace(replication_url="postgresql://anna@127.0.0.1:1/postgres", port=1, programs="/nowhere")
SALES = ResourceName("sales")
LEFT_BEHIND = UnfinishedBackup(SystemIdentifier("7400000000000000001"), BackupLabel("20261123-030000F"), goes=True)


@pytest.fixture
def installation(desk):
    desk.write(NOWHERE)
    lines = desk.stack_file.read_text().splitlines()
    sales = [f"  sales: {{kind: postgres, url: 'file:{desk.directory}/url'}}"]
    desk.stack_file.write_text("\n".join([*lines, *sales]) + "\n")
    made = Installation.open(desk.stack_file, desk.state)
    prepare_repository(made, NEAR)
    return made


def decided(*resources):
    return [Retention(resource, NEAR, RetentionDecision((), (), (LEFT_BEHIND,)), None) for resource in resources]


def test_what_one_resource_is_refused_keeps_back_no_other_and_is_told_with_what_was_done(installation):
    backup = replace(submission("a-backup", holds=frozenset({HoldClaim(f"backup-lane:{SALES}", True)})), subject=SALES)
    installation.records.submit(backup)
    expired = expire(installation, decided(SALES, RESOURCE), SilentWatcher())
    assert [(view.run.subject, view.succeeded) for view in expired.views] == [(RESOURCE, True)]
    assert [each.code for each in expired.refused] == ["busy"]
    assert [(each.resource, each.fault and each.fault.code) for each in expired.decided] == [(SALES, "busy"), (RESOURCE, None)]
    assert exit_code_of(expired.decided, expired.views) is ExitCode.FAILED
    busy = expire(installation, decided(SALES), SilentWatcher())
    assert exit_code_of(busy.decided, busy.views) is ExitCode.BUSY


def test_a_retention_that_somebody_cancelled_ends_as_cancelled(installation):
    done, *_ = expire(installation, decided(RESOURCE), SilentWatcher()).views
    installation.records.submit(submission("another", executor=None))
    installation.records.request_cancel(RunId("another"), "anna")
    cancelled = view_of(installation, RunId("another"))
    assert exit_code_of(decided(RESOURCE), [done, cancelled]) is ExitCode.INTERRUPTED
    assert exit_code_of(decided(RESOURCE), [done]) is ExitCode.DONE
