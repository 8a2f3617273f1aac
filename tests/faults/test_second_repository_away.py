"""A further repository that is away when a backup begins: the first one gets it, and the copy waits."""

import json
import shutil

import pytest

from tests.faults.estate import FAR, NEAR, RESOURCE
from tests.restore_matrix.stores import BUCKET
from tests.servers.processes import wait_until
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.identifiers import BackupKind


@pytest.fixture
def estate(make_estate):
    return make_estate(bucket=True)


def labels(estate, repository):
    return [backup.label for backup in estate.installation.repository(repository).backups(RESOURCE).usable]


def test_the_first_repository_gets_the_backup_at_once_and_the_other_when_it_is_back(estate):
    estate.command("backup", "orders")
    estate.s3.stop()
    waiting = estate.start_command("backup", "orders", "--full")
    wait_until(lambda: len(labels(estate, NEAR)) == 2, "the backup to count in the first repository")
    assert waiting.poll() is None, "it waits for the other one"
    estate.s3.start()
    printed, _ = waiting.communicate(timeout=120)
    assert waiting.returncode == 0, printed
    assert labels(estate, FAR) == labels(estate, NEAR)


def lose_backups(estate):
    """While the bucket's store is down, which would remember what it listed."""
    for backups in list(estate.directory.glob(f"buckets/{BUCKET}/**/backups")):
        shutil.rmtree(backups)


def test_nothing_incremental_goes_where_what_it_stands_on_is_not_and_a_full_backup_makes_that_repository_whole(estate):
    estate.command("backup", "orders")
    estate.s3.stop()
    waiting = estate.start_command("backup", "orders")
    wait_until(lambda: len(labels(estate, NEAR)) == 2, "the incremental backup to count in the first repository")
    lose_backups(estate)
    estate.s3.start()
    printed, said = waiting.communicate(timeout=120)
    assert waiting.returncode == 0, printed + said
    assert "parent_missing" in said
    full, incremental, anew = labels(estate, NEAR)
    assert (full.kind, incremental.kind, anew.kind) == (BackupKind.FULL, BackupKind.INCREMENTAL, BackupKind.FULL)
    assert labels(estate, FAR) == [anew]
    # Where that is known beforehand, no incremental one is taken in vain.
    estate.s3.stop()
    lose_backups(estate)
    estate.s3.start()
    assert f"{anew}, on which it would stand, is not complete in far" in estate.command("backup", "orders").stdout
    assert labels(estate, FAR) == labels(estate, NEAR)[3:]
    assert estate.installation.records.runs(1)[0].follows is None


def test_one_that_was_never_there_yet_refuses_the_backup(estate):
    estate.s3.stop()
    waiting = estate.start_command("backup", "orders")
    _, told = waiting.communicate(timeout=120)
    assert waiting.returncode != 0
    assert "store_unreachable" in told
    with pytest.raises(UnderstudyError):
        labels(estate, FAR)
    assert labels(estate, NEAR) == []


def test_what_the_other_one_holds_is_listed_while_one_is_away_and_that_is_told(estate):
    estate.command("backup", "orders")
    (label,) = labels(estate, FAR)
    estate.unmount()
    listed = estate.command("backups", expect=1)
    assert label.text in listed.stdout and "far" in listed.stdout
    assert "what near holds of orders is not known" in listed.stderr
    told = json.loads(estate.command("backups", "--json", expect=1).stdout)
    assert [each["repository"] for each in told["usable"]] == ["far"]
    assert [each["repository"] for each in told["away"]] == ["near"]
    assert label.text in estate.command("backups", "orders", "--repository", "far").stdout
    estate.mount()
    estate.s3.stop()
    listed = estate.command("backups", expect=1)
    assert "near" in listed.stdout and "what far holds of orders is not known" in listed.stderr
    estate.command("backups", "--repository", "nowhere", expect=2)


def test_a_repository_that_is_another_than_before_is_not_written_to(estate):
    """As where two disks were exchanged."""
    estate.command("backup", "orders")
    seen = estate.installation.state / "repositories" / NEAR
    known = seen.read_text()
    seen.write_text("0123456789abcdef")
    refused = estate.command("backup", "orders", "--full", expect=5)
    assert "repository_of_another" in refused.stderr and known in refused.stderr
    assert len(labels(estate, NEAR)) == 1
    seen.write_text("")  # what a power cut may leave of it
    estate.command("backup", "orders", "--full")
    assert seen.read_text() == known
