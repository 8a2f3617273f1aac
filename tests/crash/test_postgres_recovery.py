"""A drill, a restore and a real recovery of full backup, incremental backup, WAL and tail, killed everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.crash.marching import assert_killed_everywhere, assert_same_story, march, story, undisturbed
from tests.crash.postgres_scenes import BACKUP_FIGURES, REPLAY_FIGURES, RESTORED, STREAM_FIGURES
from tests.crash.postgres_stage import Stage

pytestmark = pytest.mark.timeout(600)

SCENES = "tests.crash.postgres_scenes"
PATIENCE_SECONDS = 500
"""Of a march that takes one minute on two idle cores."""
NOTHING_TO_DISCARD = {"orders/discard-unfinished"}
ADDRESS_LEADS_HERE = {"orders/check-address"}
BESIDE_A_LIVING_SERVER = {
    "orders/fence-old-server:receipts.write(orders-fenced)#1:after",
    "orders/fence-old-server:instances.orders.stop#1:before",
    "orders/fence-old-server:instances.orders.stop#1:after",
    "orders/ship-remaining-wal:receipts.write(orders-old-server-wal)#1:after",
    "orders/ship-remaining-wal:stores.near.put#1:after",
    "orders/provision-target:places.set_aside#1:before",
    "orders/provision-target:places.set_aside#1:after",
}
"""What nothing but an old server that is there gives to do."""


def filled(make_stage: Callable[[], Stage]) -> tuple[Stage, Stage]:
    calm, marched = make_stage(), make_stage()
    for stage in (calm, marched):
        stage.fill()
    return calm, marched


def answers(stage: Stage) -> Sequence[object]:
    """What the restored database answered to the stack file's checks."""
    steps = story(stage.directory)["steps"]
    return [each["answer"] for each in steps["orders/verify-database"]["evidence"]["proof"]["checks"]]


def test_a_drill_killed_everywhere_ends_like_one_that_nobody_killed(make_stage: Callable[[], Stage]) -> None:
    calm, marched = filled(make_stage)
    for stage in (calm, marched):
        stage.ship()
    undisturbed(f"{SCENES}:DRILL", calm.directory)
    points = march(f"{SCENES}:DRILL", marched.directory, PATIENCE_SECONDS).points
    assert_killed_everywhere(points, marched.directory)
    assert_same_story(calm.directory, marched.directory, forget=REPLAY_FIGURES)
    assert story(marched.directory)["state"] == "succeeded"
    for stage in (calm, marched):
        assert answers(stage) == [str(stage.rows)]
        stage.assert_backups_whole("FI")
        stage.assert_protected()
        assert stage.leftovers() == set()


def test_a_restore_killed_everywhere_ends_like_one_that_nobody_killed(make_stage: Callable[[], Stage]) -> None:
    calm, marched = filled(make_stage)
    for stage in (calm, marched):
        stage.ship()
    undisturbed(f"{SCENES}:RESTORE", calm.directory)
    points = march(f"{SCENES}:RESTORE", marched.directory, PATIENCE_SECONDS).points
    receipts = [f"orders-restored-{backup.label}" for backup in marched.backups()]
    assert_killed_everywhere(points, marched.directory, NOTHING_TO_DISCARD)
    assert {f"orders/restore-base-backup:receipts.write({each})#1:after" for each in receipts} <= set(points)
    assert_same_story(calm.directory, marched.directory, forget=REPLAY_FIGURES)
    assert story(marched.directory)["state"] == "succeeded"
    for stage in (calm, marched):
        assert answers(stage) == [str(stage.rows)]
        stage.assert_backups_whole("FI")
        stage.assert_protected()
        assert stage.leftovers() == {RESTORED}
    assert names(marched.directory / RESTORED) == names(calm.directory / RESTORED)


def test_a_database_taken_out_and_killed_everywhere_is_there_whole_and_nothing_else_is(make_stage: Callable[[], Stage]) -> None:
    calm, marched = filled(make_stage)
    for stage in (calm, marched):
        stage.ship()
    undisturbed(f"{SCENES}:PART_TAKEN_OUT", calm.directory)
    points = march(f"{SCENES}:PART_TAKEN_OUT", marched.directory, PATIENCE_SECONDS).points
    assert {f"orders/take-out:part_dumpers.orders.dump#1:{at}" for at in ("before", "after")} <= set(points)
    assert_same_story(calm.directory, marched.directory, forget=REPLAY_FIGURES)
    assert story(marched.directory)["state"] == "succeeded"
    for stage in (calm, marched):
        assert stage.leftovers() == {RESTORED}
    assert names(marched.directory / RESTORED) == names(calm.directory / RESTORED)


def test_a_recovery_killed_everywhere_ends_like_one_that_nobody_killed(make_stage: Callable[[], Stage]) -> None:
    """Of a server that runs and holds what nobody received: it is stopped, that is taken, and its data are set aside once."""
    calm, marched = filled(make_stage)
    for stage in (calm, marched):
        stage.write_unreceived()
    undisturbed(f"{SCENES}:RECOVERY", calm.directory)
    points = march(f"{SCENES}:RECOVERY", marched.directory, PATIENCE_SECONDS).points
    assert_killed_everywhere(points, marched.directory, NOTHING_TO_DISCARD | ADDRESS_LEADS_HERE)
    assert set(points) >= BESIDE_A_LIVING_SERVER
    assert_same_story(calm.directory, marched.directory, forget=BACKUP_FIGURES | STREAM_FIGURES | REPLAY_FIGURES)
    assert story(marched.directory)["state"] == "succeeded"
    for stage in (calm, marched):
        assert answers(stage) == [str(stage.rows)]
        stage.assert_backups_whole("FIF")
        stage.assert_protected()
        fence = story(stage.directory)["steps"]["orders/fence-old-server"]["evidence"]["proof"]
        assert fence["stopped_here"] is True
        assert stage.rows_set_aside() == [stage.rows], "one directory, and all of the old data in it"
        aside = {each.name for each in stage.server.directory.glob("data.before-*")}
        assert stage.leftovers() - aside == {str(each) for each in stage.socket_directories()} | {"data.run", "data.log"}


def names(directory: Path) -> set[str]:
    return {each.name for each in directory.iterdir()}
