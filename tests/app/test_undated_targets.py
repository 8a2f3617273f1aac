"""A restore point and a transaction bear no time: whether they lie behind a backup, replay finds out; an older one is next."""

import pytest

from tests.restore_matrix.estate import SilentWatcher
from tests.told import told_whole
from understudy.app.backups import back_up
from understudy.app.installation import Installation
from understudy.app.recoveries import drill, restore
from understudy.cli.watching import TerminalWatcher
from understudy.plan.request import Choice
from understudy.stack.models import Scenario
from understudy.vocabulary.identifiers import BackupKind, ResourceName
from understudy.vocabulary.recovery_target import RecoveryTarget, TargetKind


@pytest.fixture
def protected(desk, postgres_servers):
    """A restore point, and a transaction, between two backups."""
    server = postgres_servers("wheel18")
    server.sql("create table words (word text)")
    desk.write(server, "checks: [{sql: 'select count(*) from words', equals: 1}]", url=server.url)
    installation = Installation.open(desk.stack_file, desk.state)
    assert back_up(installation, "orders", BackupKind.FULL, SilentWatcher()).succeeded
    transaction = server.sql("insert into words values ('kept') returning pg_current_xact_id()")[0][0]
    server.sql("select pg_create_restore_point('before_the_upgrade')")
    server.sql("insert into words values ('too much')")
    assert back_up(installation, "orders", BackupKind.FULL, SilentWatcher()).succeeded
    targets = {
        "name": RecoveryTarget(TargetKind.NAME, "before_the_upgrade"),
        "transaction": RecoveryTarget(TargetKind.TRANSACTION, str(transaction)),
        "nowhere": RecoveryTarget(TargetKind.NAME, "never_made"),
    }
    older, _ = installation.repository("near").backups(ResourceName("orders")).usable
    yield installation, older, targets, desk.directory
    installation.receivers["orders"].stop()


def labels(view):
    return next(step.evidence for step in view.steps if step.key.endswith("/restore-base-backup")).proof["labels"]


def test_a_drill_and_a_restore_go_on_from_the_older_backup_until_the_target_is_met(protected):
    installation, older, targets, directory = protected
    drilled = drill(installation, Scenario.DATA_LOSS, (), Choice(targets["name"]), SilentWatcher())
    restored = restore(installation, "orders", directory / "copy", Choice(targets["transaction"]), SilentWatcher())
    for view in (drilled, restored):
        assert view.succeeded
        assert labels(view) == [older.label.text]
        assert view.follows.failure("target_not_reached") is not None
        assert view.follows.follows is None


def test_a_target_that_no_backup_leads_to_ends_the_request_with_the_reason(protected, capsys):
    installation, older, targets, _ = protected
    _, newer = installation.repository("near").backups(ResourceName("orders")).usable
    view = drill(installation, Scenario.DATA_LOSS, (), Choice(targets["nowhere"]), SilentWatcher())
    TerminalWatcher().show(view)
    announced = " ".join(capsys.readouterr().err.split())
    assert not view.succeeded
    assert labels(view) == [older.label.text]
    request = installation.records.requests.of(view.run.run)
    assert told_whole(request.error) == "target_in_no_backup"
    for part in ("name never_made was met from no backup of orders", older.label.text, newer.label.text):
        assert part in request.error.found
    assert "pages" not in request.error.hint
    assert "next older one is tried (target_not_reached)" in announced
    assert installation.records.holds() == ()
