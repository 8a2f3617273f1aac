"""The repository that is read from is away, or what it holds is damaged: another one holds it, too."""

import json

import pytest

from tests.app.test_damaged_backups import flip_a_byte
from tests.faults.estate import FAR, NEAR, RESOURCE
from tests.restore_matrix.estate import SilentWatcher, failed_step, proof_of
from understudy.app.recoveries import Choice, drill
from understudy.stack.models import Scenario


@pytest.fixture
def estate(make_estate):
    made = make_estate(bucket=True)
    made.server.sql("create table t as select 1 as number")
    made.command("backup", "orders")
    return made


def the_backup(estate, repository=NEAR):
    [only] = estate.installation.repository(repository).backups(RESOURCE).usable
    return only


def drilled(estate, choice=None):
    return drill(estate.installation, Scenario.DATABASE_CORRUPTION, RESOURCE, choice or Choice(), SilentWatcher())


def test_where_the_first_repository_is_away_the_hint_names_the_other_that_holds_a_backup(estate):
    label = the_backup(estate).label.text
    estate.unmount()
    told = estate.command("drill", "database_corruption", "--json", expect=1)
    assert f"--repository {FAR} (backup {label}" in told.stdout + told.stderr
    assert json.loads(estate.command("drill", "database_corruption", "--repository", FAR, "--json").stdout)


@pytest.mark.parametrize("asked_for", [False, True])
def test_a_backup_that_is_damaged_in_one_repository_is_restored_from_the_other(estate, asked_for):
    backup = the_backup(estate)
    flip_a_byte(estate.near, backup)
    view = drilled(estate, Choice(label=backup.label.text) if asked_for else None)
    assert view.succeeded
    assert proof_of(view, "restore-base-backup")["labels"] == [backup.label.text]
    assert view.follows.failure("part_corrupt") is not None


def test_a_backup_that_is_damaged_is_not_looked_for_elsewhere_where_a_repository_was_asked_for(estate):
    flip_a_byte(estate.near, the_backup(estate))
    view = drilled(estate, Choice(repository=NEAR))
    assert failed_step(view.follows or view) == ("restore-base-backup", "part_corrupt")


def test_when_every_copy_is_damaged_the_request_ends(estate):
    flip_a_byte(estate.near, the_backup(estate))
    flip_a_byte(estate.directory / "buckets", the_backup(estate, FAR))
    assert failed_step(drilled(estate)) == ("restore-base-backup", "part_corrupt")


def test_when_the_only_copy_is_damaged_nobody_is_told_to_take_a_backup_into_the_other_repository(estate):
    backup = the_backup(estate)
    flip_a_byte(estate.near, backup)
    far = estate.installation.stores[FAR]
    for key in [found.key for found in far.list() if backup.label.text in found.key]:
        far.delete(key)
    assert not estate.installation.repository(FAR).backups(RESOURCE).usable
    view = drilled(estate)
    error = estate.installation.records.requests.of(view.run.run).error
    assert error.code == "no_sound_backup"
    assert "understudy backup" not in error.hint
