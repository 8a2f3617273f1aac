"""The repository that is read from is away, or what it holds is damaged: another one holds it, too."""

import json
import shutil
import subprocess

import pytest

from tests.app.test_damaged_backups import flip_a_byte
from tests.faults.estate import FAR, NEAR, RESOURCE, Estate
from tests.restore_matrix.estate import SilentWatcher, failed_step, proof_of
from tests.servers.postgres import PostgresServer
from understudy.app.installation import Installation
from understudy.app.recoveries import Choice, drill
from understudy.stack.models import Scenario


@pytest.fixture(scope="module")
def backed_up():
    """An estate with one backup in both repositories, and a copy of its directory, while nothing is at work there."""
    with PostgresServer(segment_megabytes=1, fresh=True) as server:
        made = Estate(server, bucket=True)
        server.sql("create table t as select 1 as number")
        made.command("backup", "orders")
        made.installation.receivers[RESOURCE].stop()
        made.s3.stop()
        kept = server.directory / "kept"
        copy(made.directory, kept)
        yield made, kept


@pytest.fixture
def estate(backed_up):
    """As it was after the backup; the bucket's server remembers directories, and is started anew."""
    made, kept = backed_up
    shutil.rmtree(made.directory)
    copy(kept, made.directory)
    made.s3.start()
    made.installation = Installation.open(made.stack_file)
    yield made
    made.installation.receivers[RESOURCE].stop()
    made.s3.stop()


def copy(what, where):
    subprocess.run(["cp", "-a", "--reflink=auto", str(what), str(where)], check=True)


def the_backup(estate, repository=NEAR):
    [only] = estate.installation.repository(repository).backups(RESOURCE).usable
    return only


def drilled(estate, choice=None):
    return drill(estate.installation, Scenario.DATABASE_CORRUPTION, (RESOURCE,), choice or Choice(), SilentWatcher())


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
