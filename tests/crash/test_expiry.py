"""Retention, killed everywhere."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.crash import expiry_scene
from tests.crash.expiry_scene import KILLED, NEWEST, PROVEN, STAYING_SEGMENTS, labels_in, segments_in, stock
from tests.crash.marching import assert_killed_everywhere, assert_same_story, march, story, undisturbed
from tests.crash.test_marching_kill import files, receipts
from understudy.plan.retention import decide_retention

SCENE = "tests.crash.expiry_scene"


def test_retention_killed_everywhere_ends_like_one_that_nobody_killed(tmp_path: Path) -> None:
    calm, marched = tmp_path / "calm", tmp_path / "marched"
    calm.mkdir()
    stock(calm)
    shutil.copytree(calm, marched)
    undisturbed(SCENE, calm)
    points = march(SCENE, marched).points
    steps = ("orders/remove-backups-from-near", f"orders/remove-wal-of-{expiry_scene.SYSTEM}-from-near")
    assert {f"{step}:stores.near.delete#{call}:{at}" for step in steps for call in (1, 2) for at in ("before", "after")} <= {
        *points
    }
    assert_killed_everywhere(points, marched)
    assert_same_story(calm, marched)
    assert story(marched)["state"] == "succeeded"
    assert receipts(marched) == receipts(calm)
    assert files(marched / "store") == files(calm / "store")
    assert files(marched / "spool") == files(calm / "spool")
    assert len([*(marched / "spool" / "wal").iterdir()]) == 1
    assert labels_in(marched) == [PROVEN, NEWEST]
    assert tuple(segments_in(marched)) == STAYING_SEGMENTS
    left = files(marched / "store")
    assert not any(KILLED in path for path in left)
    gone = {f"{number:02X}" for number in range(3, 18)} - {f"{number:02X}" for number in STAYING_SEGMENTS}
    assert not any(f"0000000{number}." in path for path in left for number in gone)
    assert not decide_retention(expiry_scene.RULES, expiry_scene.facts_of(marched)).removes
