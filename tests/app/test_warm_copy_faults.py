"""A warm copy that cannot be: nothing is replaced by it, nothing is left of it, and a recovery does without."""

import shutil
from pathlib import Path

from tests.restore_matrix.conftest import make_estate
from tests.restore_matrix.estate import RESOURCE, SilentWatcher, expect_success, failed_step
from understudy.app.recoveries import recover
from understudy.app.warm_copies import look_at_warm_copies, seed
from understudy.plan.request import Choice
from understudy.stack.models import Scenario
from understudy.vocabulary.identifiers import BackupKind, Person

__all__ = ["make_estate"]

NOBODY = SilentWatcher()


def test_a_copy_from_a_damaged_backup_replaces_nothing_and_leaves_nothing(make_estate):
    estate = make_estate(resource={"warm_copy": {}})
    estate.back_up_well()
    expect_success(seed(estate.installation, RESOURCE, NOBODY))
    sound = estate.installation.warm_copies.read(RESOURCE)
    newer = estate.back_up_well(BackupKind.FULL)
    part = next(estate.repository_directory.rglob(f"{newer.label}/{newer.parts[0].name}"))
    part.chmod(0o600)
    part.write_bytes(bytes(100) + part.read_bytes()[100:])
    assert failed_step(seed(estate.installation, RESOURCE, NOBODY))[0] == "restore-base-backup"
    assert estate.installation.warm_copies.read(RESOURCE) == sound
    beside = {each.name for each in Path(sound.directory).parent.iterdir()}
    assert beside == {Path(sound.directory).name, Path(sound.staging_directory).name}
    assert look_at_warm_copies(estate.installation, None)[RESOURCE].usable


def test_where_the_copy_does_not_come_up_a_base_backup_is_restored_and_nothing_is_lost(make_estate):
    estate = make_estate(resource={"warm_copy": {}})
    estate.server.sql("create table words (word text); insert into words values ('kept')")
    estate.back_up_well()
    expect_success(seed(estate.installation, RESOURCE, NOBODY))
    copy = estate.installation.warm_copies.read(RESOURCE)
    shutil.rmtree(Path(copy.directory) / "pg_wal")
    estate.server.sql("insert into words values ('late')")
    estate.ship()
    estate.server.kill_everything()
    view = recover(estate.installation, Scenario.DATA_LOSS, (), Choice(), NOBODY, approved_by=Person("anna"))
    expect_success(view)
    assert failed_step(view.follows)[0] == "replay-wal"
    restored = next(step for step in view.steps if step.key.endswith("/restore-base-backup"))
    assert "the warm copy is not used: a run before failed with it" in restored.evidence.hint
    assert estate.server.sql("select word from words order by word") == [("kept",), ("late",)]
    assert estate.installation.warm_copies.read(RESOURCE).taken_by == view.follows.run.run
