"""A backup that is copied into a bucket, and a restore out of it, killed everywhere that touches the bucket."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.crash.marching import assert_same_story, march, story, undisturbed
from tests.crash.postgres_scenes import BACKUP_FIGURES, REPLAY_FIGURES, RESTORED, STREAM_FIGURES
from tests.crash.postgres_stage import FAR, NEAR, Stage
from understudy.vocabulary.identifiers import BackupKind

pytestmark = pytest.mark.timeout(600)

SCENES = "tests.crash.postgres_scenes"
PATIENCE_SECONDS = 500
COPY_FIGURES = {"bytes_copied", "objects_copied", "objects_there_already"}
"""How much the last attempt still had to copy."""


def contents(stage: Stage, repository: str) -> dict[str, int]:
    """Keys and sizes of all that lies in backups' folders there."""
    found = stage.installation.stores[repository].list("postgres/orders/")
    return {each.key: each.size_bytes for each in found if "/backups/" in each.key}


def test_a_backup_copied_into_a_bucket_killed_everywhere_ends_like_one_that_nobody_killed(
    make_stage: Callable[..., Stage],
) -> None:
    calm, marched = make_stage(bucket=True), make_stage(bucket=True)
    undisturbed(f"{SCENES}:COPIED_BACKUP", calm.directory)
    points = march(f"{SCENES}:COPIED_BACKUP", marched.directory, PATIENCE_SECONDS).points
    assert {
        "orders/await-wal-in-far:stores.far.put#1:input#1",
        "orders/await-wal-in-far:stores.far.put#1:after",
        "orders/copy-backup-to-far:stores.near.read#1:item#1",
        "orders/copy-backup-to-far:stores.far.put#1:before",
        "orders/copy-backup-to-far:stores.far.put#1:input#2",
        "orders/copy-backup-to-far:stores.far.put#1:after",
        "orders/copy-backup-to-far:stores.far.put#2:after",
        "orders/copy-backup-to-far:stores.far.read#1:item#1",
        "orders/copy-backup-to-far:records.conclude_step:after",
    } <= set(points)
    assert_same_story(calm.directory, marched.directory, forget=BACKUP_FIGURES | STREAM_FIGURES | COPY_FIGURES)
    assert story(marched.directory)["state"] == "succeeded"
    for stage in (calm, marched):
        stage.assert_backups_whole("F", NEAR)
        stage.assert_backups_whole("F", FAR)
        assert contents(stage, FAR) == contents(stage, NEAR)
        stage.assert_protected()
        assert stage.leftovers() == set()


def test_a_restore_out_of_a_bucket_killed_everywhere_ends_like_one_that_nobody_killed(make_stage: Callable[..., Stage]) -> None:
    calm, marched = make_stage(bucket=True), make_stage(bucket=True)
    for stage in (calm, marched):
        stage.back_up(BackupKind.FULL)
        stage.write_rows(300)
        stage.server.sql("select pg_switch_wal()")
        stage.write_rows(400)
        stage.ship()
    undisturbed(f"{SCENES}:RESTORE_FROM_BUCKET", calm.directory)
    points = march(f"{SCENES}:RESTORE_FROM_BUCKET", marched.directory, PATIENCE_SECONDS).points
    assert {
        "orders/restore-base-backup:stores.far.read#1:item#1",
        "orders/replay-wal:stores.far.read#1:item#1",
    } <= set(points)
    assert_same_story(calm.directory, marched.directory, forget=REPLAY_FIGURES)
    assert story(marched.directory)["state"] == "succeeded"
    for stage in (calm, marched):
        (check,) = story(stage.directory)["steps"]["orders/verify-database"]["evidence"]["proof"]["checks"]
        assert check["answer"] == str(stage.rows)
        stage.assert_protected()
        assert stage.leftovers() == {RESTORED}
