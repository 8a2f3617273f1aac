"""A full and an incremental backup of a real server, killed everywhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.crash.marching import assert_killed_everywhere, assert_same_story, march, story, undisturbed
from tests.crash.postgres_scenes import BACKUP_FIGURES, STREAM_FIGURES
from tests.crash.postgres_stage import Stage
from understudy.vocabulary.identifiers import BackupKind

pytestmark = pytest.mark.timeout(600)

SCENES = "tests.crash.postgres_scenes"
PATIENCE_SECONDS = 500
"""Of a march that takes one minute on two idle cores."""
FIGURES = BACKUP_FIGURES | STREAM_FIGURES


def test_a_full_backup_killed_everywhere_ends_like_one_that_nobody_killed(make_stage: Callable[[], Stage]) -> None:
    calm, marched = make_stage(), make_stage()
    undisturbed(f"{SCENES}:FULL_BACKUP", calm.directory)
    points = march(f"{SCENES}:FULL_BACKUP", marched.directory, PATIENCE_SECONDS).points
    assert {
        "orders/start-wal-stream:receivers.orders.ensure_running#1:after",
        "orders/take-base-backup:databases.orders.base_backup#1:entered",
        "orders/take-base-backup:stores.near.put#1:input#2",
        "orders/take-base-backup:stores.near.put#1:after",
        "orders/take-base-backup:receipts.write(orders-backup)#1:after",
        "orders/take-base-backup:databases.orders.base_backup#1:left",
        "orders/await-wal-in-near:stores.near.put#1:after",
        "orders/write-backup-manifest:stores.near.put#1:after",
    } <= set(points)
    assert_killed_everywhere(points, marched.directory)
    assert_same_story(calm.directory, marched.directory, forget=FIGURES)
    assert story(marched.directory)["state"] == "succeeded"
    for stage in (calm, marched):
        stage.assert_backups_whole("F")
        stage.assert_protected()
        assert stage.leftovers() == set()
    assert marched.drill().succeeded


def test_an_incremental_backup_killed_everywhere_ends_like_one_that_nobody_killed(make_stage: Callable[[], Stage]) -> None:
    calm, marched = make_stage(), make_stage()
    for stage in (calm, marched):
        stage.back_up(BackupKind.FULL)
        stage.write_rows(300)
    undisturbed(f"{SCENES}:INCREMENTAL_BACKUP", calm.directory)
    points = march(f"{SCENES}:INCREMENTAL_BACKUP", marched.directory, PATIENCE_SECONDS).points
    assert {
        "run:records.submit:after",
        "orders/take-base-backup:records.begin_step:after",
        "orders/take-base-backup:databases.orders.base_backup#1:entered",
        "orders/take-base-backup:stores.near.put#1:input#1",
        "orders/take-base-backup:stores.near.put#1:after",
        "orders/take-base-backup:receipts.write(orders-backup)#1:after",
        "orders/take-base-backup:databases.orders.base_backup#1:left",
        "orders/take-base-backup:records.conclude_step:after",
        "orders/write-backup-manifest:records.begin_step:after",
        "orders/write-backup-manifest:stores.near.put#1:after",
        "orders/write-backup-manifest:records.conclude_step:after",
        "run:records.finish:after",
    } <= set(points)
    assert_same_story(calm.directory, marched.directory, forget=FIGURES)
    assert story(marched.directory)["state"] == "succeeded"
    for stage in (calm, marched):
        stage.assert_backups_whole("FI")
        stage.assert_protected()
        assert stage.leftovers() == set()
    assert marched.drill().succeeded


def test_a_backup_that_does_not_look_at_what_was_left_behind_is_caught(make_stage: Callable[[], Stage]) -> None:
    """The negative control on a real server: nobody who looks at the run alone sees anything."""
    marched = make_stage()
    points = march("tests.crash.careless_backup_scene", marched.directory, PATIENCE_SECONDS).points
    assert len(points) == 2
    assert story(marched.directory)["state"] == "succeeded"
    (backup,) = marched.backups()
    (found,) = marched.folders().values()
    assert found > {entry.name for entry in backup.entries}
    with pytest.raises(AssertionError):
        marched.assert_backups_whole("F")
