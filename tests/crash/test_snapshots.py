"""Snapshots that are taken, restored and let go of, killed everywhere."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.app.shelf import DOCS, FAR, NEAR, Shelf, SilentWatcher, tree
from tests.app.shelves import LOGS, PICS, Shelves
from tests.crash.marching import assert_killed_everywhere, assert_same_story, march, story, undisturbed
from tests.crash.snapshot_scenes import COPY_FIGURES, FIGURES, RESTORED
from tests.room import new_path
from tests.servers.redis import RedisServer
from understudy.app.backups import back_up
from understudy.vocabulary.identifiers import BackupKind

pytestmark = pytest.mark.timeout(600)

SCENES = "tests.crash.snapshot_scenes"
PATIENCE_SECONDS = 500
KEEP_ONE = "keep: {daily: 1, weekly: 0, monthly: 0, manual: 0s, point_in_time: 0s}"
Stages = Callable[[], tuple[Shelf, Shelf]]
LARGE_BYTES = 20 * 2**20
"""It is stored as a part of its own, while it is read."""


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    """With a snapshot of most of what it holds."""
    directory = new_path("shelf")
    directory.mkdir()
    made = Shelf(directory)
    made.write("backup: {part_size: 1MiB}")
    made.fill()
    made.back_up()
    yield made
    made.close()


@pytest.fixture
def stages(shelf: Shelf) -> Iterator[Stages]:
    """Copies of the shelf as it is when they are asked for: one that nobody disturbs, and one that is killed everywhere."""
    made: list[Shelf] = []

    def make() -> tuple[Shelf, Shelf]:
        made.extend(shelf.copied_to(new_path(name)) for name in ("calm", "marched"))
        return made[0], made[1]

    yield make
    for each in made:
        each.close()


def scratch(shelf: Shelf) -> list[Path]:
    return list(shelf.state.glob("runs/*/scratch/*"))


def test_a_snapshot_killed_everywhere_ends_like_one_that_nobody_killed(shelf: Shelf, stages: Stages) -> None:
    (shelf.docs / "large").write_bytes(os.urandom(LARGE_BYTES))
    for number in range(3):
        (shelf.docs / f"new-{number}").write_bytes(os.urandom(1000))
    calm, marched = stages()
    undisturbed(f"{SCENES}:SNAPSHOT", calm.directory)
    points = march(f"{SCENES}:SNAPSHOT", marched.directory, PATIENCE_SECONDS).points
    assert {
        "docs/take-snapshot:collections.docs.entries#1:item#1",
        "docs/take-snapshot:collections.docs.read#2:item#1",
        "docs/take-snapshot:stores.near.put#2:input#1",
        "docs/take-snapshot:stores.near.put#2:after",
        "docs/write-snapshot-manifest:stores.near.put#2:after",
        "docs/copy-snapshot-to-far:stores.far.put#1:input#1",
        "docs/copy-snapshot-to-far:stores.far.put#2:after",
    } <= set(points)
    assert_killed_everywhere(points, marched.directory, only_look={"docs/discard-snapshot-leftovers"})
    assert_same_story(calm.directory, marched.directory, forget=FIGURES | COPY_FIGURES)
    assert story(marched.directory)["state"] == "succeeded"
    for stage in (calm, marched):
        assert len(stage.labels(NEAR)) == len(stage.labels(FAR)) == 2
        assert stage.parts(NEAR) == {part.name for each in stage.snapshots() for part in each.parts}, (
            "and nothing that is of no use"
        )
        assert stage.stored(NEAR) == stage.stored(FAR)
        assert scratch(stage) == []
        for repository in (NEAR, FAR):
            assert stage.restore(f"from-{repository}", repository=repository).succeeded
            assert tree(stage.directory / f"from-{repository}") == tree(stage.docs)


def test_a_restore_of_a_snapshot_killed_everywhere_ends_like_one_that_nobody_killed(shelf: Shelf, stages: Stages) -> None:
    (shelf.docs / "large").write_bytes(os.urandom(LARGE_BYTES))
    shelf.back_up()
    calm, marched = stages()
    undisturbed(f"{SCENES}:RESTORE", calm.directory)
    points = march(f"{SCENES}:RESTORE", marched.directory, PATIENCE_SECONDS).points
    assert {
        "docs/provision-target:targets.docs.claim#1:after",
        "docs/restore-snapshot:targets.docs.write#3:after",
        "docs/restore-snapshot:receipts.write(docs-restored-parts)#1:after",
        "docs/restore-snapshot:receipts.write(docs-restored)#1:before",
        "docs/compare-restored:targets.docs.read_back#1:after",
        "docs/release-target:targets.docs.finish#1:before",
        "docs/release-target:targets.docs.finish#1:after",
    } <= set(points)
    assert_killed_everywhere(points, marched.directory, only_look={"docs/discard-unfinished"})
    assert_same_story(calm.directory, marched.directory, forget=FIGURES)
    assert story(marched.directory)["state"] == "succeeded"
    for stage in (calm, marched):
        assert tree(stage.directory / RESTORED) == tree(stage.docs)
        assert scratch(stage) == []


def keep_a_command(shelf: Shelf) -> None:
    """Each dump and each load leaves a word of itself; a load may be begun anew."""
    dump = "echo dumped >> dumps; cat source"
    load = "echo loaded >> loads; cat > loaded.new; mv loaded.new loaded"
    commands = {"dump": ["sh", "-c", dump], "load": ["sh", "-c", load], "directory": str(shelf.directory), "load_again": True}
    shelf.write(resources=[f"said: {json.dumps({'kind': 'command', **commands})}"])
    (shelf.directory / "source").write_bytes(os.urandom(200_000))


def test_a_dump_killed_everywhere_ends_like_one_that_nobody_killed(shelf: Shelf, stages: Stages) -> None:
    calm, marched = stages()
    for stage in (calm, marched):
        keep_a_command(stage)
        (stage.directory / "source").write_bytes(b"the same")
    undisturbed(f"{SCENES}:DUMP", calm.directory)
    points = march(f"{SCENES}:DUMP", marched.directory, PATIENCE_SECONDS).points
    step = "said/take-snapshot"
    assert {f"{step}:collections.said.entries#1:item#1", f"{step}:collections.said.read#1:item#1"} <= set(points)
    assert_same_story(calm.directory, marched.directory, forget=FIGURES | COPY_FIGURES)
    assert story(marched.directory)["state"] == "succeeded"
    assert (calm.directory / "dumps").read_text() == "dumped\n"
    for stage in (calm, marched):
        assert scratch(stage) == []
        assert len(list((stage.directory / "near" / "command" / "said" / "parts").iterdir())) == 1


def test_a_load_killed_everywhere_ends_like_one_that_nobody_killed(shelf: Shelf, stages: Stages) -> None:
    keep_a_command(shelf)
    assert back_up(shelf.installation, "said", None, SilentWatcher()).succeeded
    calm, marched = stages()
    for stage in (calm, marched):
        keep_a_command(stage)
    undisturbed(f"{SCENES}:LOAD", calm.directory)
    points = march(f"{SCENES}:LOAD", marched.directory, PATIENCE_SECONDS).points
    step = "said/load"
    assert {f"{step}:loaders.said.load#1:{at}" for at in ("before", "after")} <= set(points)
    assert f"{step}:receipts.write(said-loaded)#1:before" in points
    assert_same_story(calm.directory, marched.directory, forget=FIGURES)
    assert story(marched.directory)["state"] == "succeeded"
    assert (calm.directory / "loads").read_text() == "loaded\n"
    for stage in (calm, marched):
        assert (stage.directory / "loaded").read_bytes() == (shelf.directory / "source").read_bytes()
        assert scratch(stage) == []
        assert list((stage.state / "loads").iterdir()) == []


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="Redis is not installed")
def test_a_trial_killed_everywhere_ends_like_one_that_nobody_killed(shelf: Shelf, stages: Stages) -> None:
    declared = "sessions: {kind: redis, url: 'unix:%s'}"
    with RedisServer() as server:
        server.fill(10)
        shelf.write(resources=[declared % server.socket])
        assert back_up(shelf.installation, "sessions", None, SilentWatcher()).succeeded
    calm, marched = stages()
    for stage in (calm, marched):
        stage.write(resources=[declared % "/nowhere/any/more"])
    undisturbed(f"{SCENES}:TRIAL", calm.directory)
    points = march(f"{SCENES}:TRIAL", marched.directory, PATIENCE_SECONDS).points
    assert {f"sessions/try-restored:trials.sessions.try_out#1:{at}" for at in ("before", "after")} <= set(points)
    assert_same_story(calm.directory, marched.directory, forget=FIGURES)
    assert story(marched.directory)["state"] == "succeeded"
    assert story(marched.directory)["steps"]["sessions/try-restored"]["evidence"]["proof"]["keys_loaded"] == 10
    for stage in (calm, marched):
        assert (stage.directory / RESTORED / "dump.rdb").read_bytes().startswith(b"REDIS")
        assert scratch(stage) == []


def test_snapshots_that_are_let_go_of_killed_everywhere_leave_what_nobody_killed_leaves(shelf: Shelf, stages: Stages) -> None:
    (shelf.docs / "new").write_text("new")
    shelf.back_up(BackupKind.FULL)
    shelf.write(KEEP_ONE)
    calm, marched = stages()
    undisturbed(f"{SCENES}:EXPIRY", calm.directory)
    points = march(f"{SCENES}:EXPIRY", marched.directory, PATIENCE_SECONDS).points
    step = "docs/remove-snapshots-from-near"
    assert {f"{step}:stores.near.delete#{call}:{at}" for call in (1, 2) for at in ("before", "after")} <= set(points)
    assert_killed_everywhere(points, marched.directory)
    assert_same_story(calm.directory, marched.directory)
    assert story(marched.directory)["state"] == "succeeded"
    assert calm.stored() == marched.stored()
    for stage in (calm, marched):
        (snapshot,) = stage.snapshots()
        assert stage.parts() == {part.name for part in snapshot.parts}
        assert stage.restore().succeeded


@pytest.fixture
def stacks() -> Iterator[tuple[Shelves, Shelves]]:
    """Three directories that depend on one another, kept: one stack that nobody disturbs, and one that is killed everywhere."""
    directory = new_path("shelf")
    directory.mkdir()
    made = Shelves(directory)
    made.write()
    made.fill()
    made.back_up_all()
    copies = made.copied_to(new_path("calm")), made.copied_to(new_path("marched"))
    made.close()
    yield copies
    for each in copies:
        each.close()


def test_a_recovery_of_several_killed_everywhere_ends_like_one_that_nobody_killed(stacks: tuple[Shelves, Shelves]) -> None:
    calm, marched = stacks
    kept = tree(calm.docs)
    for stage in stacks:
        (stage.docs / "notes.txt").write_text("scribbled over")
        shutil.rmtree(stage.directory / "pics")
    undisturbed(f"{SCENES}:RECOVERY", calm.directory)
    points = march(f"{SCENES}:RECOVERY", marched.directory, PATIENCE_SECONDS).points
    assert {
        "docs/provision-target:places.set_aside#1:after",
        "pics/release-target:targets.pics.finish#1:after",
    } <= set(points)
    assert_same_story(calm.directory, marched.directory, forget=FIGURES)
    assert story(marched.directory)["state"] == "succeeded"
    for stage in stacks:
        assert tree(stage.docs) == kept
        assert [(path / "notes.txt").read_text() for path in stage.directory.glob("docs.before-*")] == ["scribbled over"]
        assert {(stage.directory / name / "one").read_text() for name in (PICS, LOGS)} == {PICS, LOGS}
        assert not list(stage.directory.rglob(".understudy-run*"))
        assert scratch(stage) == []


def test_a_quarantine_killed_everywhere_is_set_once_in_each_repository(shelf: Shelf, stages: Stages) -> None:
    kept = tree(shelf.docs)
    (shelf.docs / "notes.txt").write_text("forged")
    shelf.back_up()
    calm, marched = stages()
    undisturbed(f"{SCENES}:INTRUSION", calm.directory)
    points = march(f"{SCENES}:INTRUSION", marched.directory, PATIENCE_SECONDS).points
    assert {
        "docs/quarantine:receipts.write(docs-quarantine)#1:after",
        "docs/quarantine:stores.near.put#1:after",
        "docs/quarantine:stores.far.put#1:before",
        "docs/quarantine:stores.far.put#1:after",
        "docs/provision-target:places.set_aside#1:after",
    } <= set(points)
    assert_same_story(calm.directory, marched.directory, forget=FIGURES | {"name", "until"})
    assert story(marched.directory)["state"] == "succeeded"
    for stage in (calm, marched):
        assert tree(stage.docs) == kept
        marks = [stage.directory.glob(f"{repository}/quarantine/docs/*.json") for repository in (NEAR, FAR)]
        [near], [far] = marks
        assert near.read_bytes() == far.read_bytes()
        assert [(path / "notes.txt").read_text() for path in stage.directory.glob("docs.quarantined-*")] == ["forged"]


def test_a_drill_of_several_killed_everywhere_leaves_nothing(stacks: tuple[Shelves, Shelves]) -> None:
    calm, marched = stacks
    undisturbed(f"{SCENES}:DRILL", calm.directory)
    points = march(f"{SCENES}:DRILL", marched.directory, PATIENCE_SECONDS).points
    assert {
        "docs/provision-target:places.claim#1:after",
        "logs/remove-sandbox:places.remove#1:before",
        "logs/remove-sandbox:places.remove#1:after",
    } <= set(points)
    assert_same_story(calm.directory, marched.directory, forget=FIGURES)
    assert story(marched.directory)["state"] == "succeeded"
    for stage in stacks:
        assert list((stage.state / "drills").iterdir()) == []
        assert scratch(stage) == []


def test_reading_back_killed_everywhere_reads_each_object_and_ends_like_one_that_nobody_killed(
    shelf: Shelf, stages: Stages
) -> None:
    calm, marched = stages()
    undisturbed(f"{SCENES}:READING", calm.directory)
    points = march(f"{SCENES}:READING", marched.directory, PATIENCE_SECONDS).points
    step = "docs/read-back-from-near"
    assert {f"{step}:readings.note#1:after", f"{step}:stores.near.read#1:item#1", f"{step}:readings.refresh#1:before"} <= set(
        points
    )
    assert_same_story(calm.directory, marched.directory)
    assert story(marched.directory)["state"] == "succeeded"
    for stage in (calm, marched):
        readings = stage.installation.records.readings.of(NEAR, DOCS)
        assert all(each.read for each in readings)
