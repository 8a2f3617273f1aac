"""A drill goes on from the newest backup that is sound, and measures the whole of it."""

import pytest

from tests.app.desk import Desk, KeptDesk
from tests.app.junit_file import read_junit
from tests.restore_matrix.estate import SilentWatcher
from tests.servers.postgres import PostgresServer
from understudy.app.backups import back_up
from understudy.app.installation import Installation
from understudy.app.junit import suite_of, write_junit
from understudy.app.measuring import measure
from understudy.app.recoveries import Choice, drill
from understudy.stack.models import Scenario
from understudy.vocabulary.identifiers import BackupKind, ResourceName


@pytest.fixture(scope="module")
def after_two_backups():
    with PostgresServer() as server:
        server.sql("create table words (word text); insert into words values ('kept')")
        desk = Desk()
        desk.write(server, url=server.url)
        installation = Installation.open(desk.stack_file, desk.state)
        for _ in range(2):
            assert back_up(installation, "orders", BackupKind.FULL, SilentWatcher()).succeeded
        kept = KeptDesk(desk)
        yield kept
        kept.close()


@pytest.fixture
def two_backups(after_two_backups):
    desk = after_two_backups.put_back()
    installation = Installation.open(desk.stack_file, desk.state)
    older, newer = installation.repository("near").backups(ResourceName("orders")).usable
    return installation, older, newer, desk.directory / "repository"


def flip_a_byte(repository, backup):
    part = next(repository.rglob(backup.parts[0].name))
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.chmod(0o600)
    part.write_bytes(content)


def test_a_drill_falls_back_to_the_older_backup_when_the_newest_is_damaged(two_backups):
    installation, older, newer, repository = two_backups
    flip_a_byte(repository, newer)
    view = drill(installation, Scenario.DATABASE_CORRUPTION, (), Choice(), SilentWatcher())
    assert view.succeeded
    restored = next(step.evidence for step in view.steps if step.key.endswith("/restore-base-backup"))
    assert restored.proof["labels"] == [older.label.text]
    assert view.follows.failure("part_corrupt") is not None
    assert measure(installation, view).disruption.at == view.follows.run.submitted
    file = installation.state / "junit.xml"
    write_junit(file, suite_of(installation, Scenario.DATABASE_CORRUPTION, view))
    read = read_junit(file)
    assert (read.failed, read.properties["follows"]) == ([], view.follows.run.run), "what counts is the run that it ended with"
    assert f"{view.follows.run.run} was followed by another run: orders/restore-base-backup: part_corrupt" in read.said


def test_a_drill_fails_when_every_backup_is_damaged(two_backups):
    installation, older, newer, repository = two_backups
    flip_a_byte(repository, older)
    flip_a_byte(repository, newer)
    view = drill(installation, Scenario.DATABASE_CORRUPTION, (), Choice(), SilentWatcher())
    assert not view.succeeded
    assert not measure(installation, view).met


def test_a_backup_that_was_asked_for_is_not_exchanged_for_another(two_backups):
    installation, _, newer, repository = two_backups
    flip_a_byte(repository, newer)
    view = drill(installation, Scenario.DATABASE_CORRUPTION, (), Choice(label=newer.label.text), SilentWatcher())
    assert not view.succeeded
    assert view.follows is None
