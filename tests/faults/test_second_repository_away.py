"""A further repository that is away when a backup begins: the first one gets it, and the copy waits."""

import pytest

from tests.faults.estate import FAR, NEAR, RESOURCE
from tests.servers.processes import wait_until
from understudy.vocabulary.errors import UnderstudyError


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


def test_one_that_was_never_there_yet_refuses_the_backup(estate):
    estate.s3.stop()
    waiting = estate.start_command("backup", "orders")
    _, told = waiting.communicate(timeout=120)
    assert waiting.returncode != 0
    assert "store_unreachable" in told
    with pytest.raises(UnderstudyError):
        labels(estate, FAR)
    assert labels(estate, NEAR) == []
