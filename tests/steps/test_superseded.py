"""What a step does in a repository that another controller took over since the run began: nothing more."""

import pytest

from tests.steps.protected import step_of, world_of
from understudy.app.backups import plan_next_backup
from understudy.steps.copy_backup import CopyBackup
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import BackupKind


@pytest.fixture
def taken(protected):
    """A base backup with its WAL, unsigned; the repository has gone to somebody else meanwhile, and comes back after the test."""
    installation = protected.installation()
    plan = plan_next_backup(installation, "orders", BackupKind.FULL)
    world = world_of(installation, run=f"by-hand-{plan.id}")
    step_of(plan, "take-base-backup").run(world)
    repository = installation.repository("near")
    repository.claim_epoch("somebody-else", installation.clock.now())
    yield plan, world, repository
    repository.claim_epoch(installation.records.controller_id(), installation.clock.now())
    installation.receivers["orders"].stop()


def signed(repository):
    return {backup.label for backup in repository.backups("orders").usable}


def test_a_superseded_controller_signs_no_backup_and_does_when_the_repository_is_its_own_again(taken):
    plan, world, repository = taken
    before = signed(repository)
    for step in (step_of(plan, "write-backup-manifest"), CopyBackup("orders", "near", "near")):
        with pytest.raises(Refusal) as refused:
            step.run(world)
        assert refused.value.code == "controller_superseded"
    assert signed(repository) == before
    repository.claim_epoch(world.controller, world.clock.now())
    step_of(plan, "write-backup-manifest").run(world)
    assert len(signed(repository)) == len(before) + 1


def test_a_superseded_controller_ships_no_wal(taken, protected):
    plan, world, _ = taken
    kept = {each.key for each in world.stores["near"].list("postgres/")}
    world.receivers["orders"].ensure_running()
    protected.server.sql("select pg_switch_wal()")
    with pytest.raises(Refusal) as refused:
        step_of(plan, "await-wal-in-near").run(world)
    assert refused.value.code == "controller_superseded"
    assert {each.key for each in world.stores["near"].list("postgres/")} == kept
