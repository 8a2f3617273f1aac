"""A warm copy that takes another's place, and a recovery that goes on from it, killed everywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.marching import assert_same_story, march, story, undisturbed
from tests.crash.postgres_scenes import BACKUP_FIGURES, REPLAY_FIGURES, STREAM_FIGURES
from tests.crash.postgres_stage import ORDERS, SilentWatcher, Stage
from understudy.app.warm_copies import seed
from understudy.ports.warm_copies import WarmCopy

pytestmark = pytest.mark.timeout(600)

SCENES = "tests.crash.postgres_scenes"
PATIENCE_SECONDS = 300
WARM_FIGURES = {"replaced", "seeded_by", "verified", "labels"}


def seeded(make_stage: Callable[..., Stage]) -> Stage:
    stage = make_stage(warm_copy=True)
    stage.fill()
    stage.ship()
    assert seed(stage.installation, ORDERS, SilentWatcher()).succeeded
    stage.write_rows(100)
    return stage


def copy_of(stage: Stage) -> WarmCopy:
    copy = stage.installation.warm_copies.read(ORDERS)
    assert copy is not None
    return copy


def test_a_copy_that_takes_anothers_place_killed_everywhere_is_one_copy_and_nothing_else(
    make_stage: Callable[..., Stage],
) -> None:
    calm, marched = seeded(make_stage), seeded(make_stage)
    before = [copy_of(stage).directory for stage in (calm, marched)]
    undisturbed(f"{SCENES}:SEEDING", calm.directory)
    points = march(f"{SCENES}:SEEDING", marched.directory, PATIENCE_SECONDS).points
    for effect in ("install-warm-copy:warm_copies.write", "remove-former-warm-copies:places.remove"):
        assert {f"orders/{effect}#1:before", f"orders/{effect}#1:after"} <= set(points)
    assert_same_story(calm.directory, marched.directory, forget=REPLAY_FIGURES | WARM_FIGURES)
    assert story(marched.directory)["state"] == "succeeded"
    for stage, former in zip((calm, marched), before, strict=True):
        copy = copy_of(stage)
        assert copy.directory != former
        assert copy.former == ()
        beside = {Path(copy.directory).name, Path(copy.staging_directory).name}
        assert {each.name for each in Path(copy.directory).parent.iterdir()} == beside
        stage.assert_protected()


def test_a_recovery_from_the_copy_killed_everywhere_ends_like_one_that_nobody_killed(make_stage: Callable[..., Stage]) -> None:
    calm, marched = seeded(make_stage), seeded(make_stage)
    undisturbed(f"{SCENES}:WARM_RECOVERY", calm.directory)
    points = march(f"{SCENES}:WARM_RECOVERY", marched.directory, PATIENCE_SECONDS).points
    assert "orders/take-warm-copy:places.put_in_place#1:after" in points
    assert_same_story(calm.directory, marched.directory, forget=BACKUP_FIGURES | STREAM_FIGURES | REPLAY_FIGURES | WARM_FIGURES)
    assert story(marched.directory)["state"] == "succeeded"
    for stage in (calm, marched):
        assert stage.sql("select count(*) from ledger") == stage.rows
        assert not Path(copy_of(stage).directory).exists()
        assert stage.rows_set_aside() == [stage.rows], "one directory, and all of the old data in it"
        stage.assert_protected()
