"""The marching kill finds every point of a toy, and catches a step that does its work twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.crash.marching import assert_killed_everywhere, assert_same_story, march, story, undisturbed
from tests.records.cast import submission, succeeded
from understudy.adapters.clock.system import SystemClock
from understudy.records.records import Records
from understudy.vocabulary.identifiers import RunId, StepKey


def files(directory: Path) -> dict[str, bytes]:
    return {str(each.relative_to(directory)): each.read_bytes() for each in sorted(directory.rglob("*")) if each.is_file()}


def receipts(directory: Path) -> dict[str, object]:
    (run,) = (directory / "state" / "runs").iterdir()
    return {each.name: json.loads(each.read_text()) for each in sorted((run / "receipts").iterdir())}


@pytest.fixture
def stages(tmp_path: Path) -> tuple[Path, Path]:
    calm, marched = tmp_path / "calm", tmp_path / "marched"
    calm.mkdir()
    marched.mkdir()
    return calm, marched


def test_a_run_killed_everywhere_ends_like_one_that_nobody_killed(stages: tuple[Path, Path]) -> None:
    calm, marched = stages
    undisturbed("tests.crash.toy_scene", calm)
    points = march("tests.crash.toy_scene", marched).points
    assert_killed_everywhere(points, marched)
    assert_same_story(calm, marched)
    assert story(marched)["state"] == "succeeded"
    assert files(marched / "shelf") == files(calm / "shelf")
    assert receipts(marched) == receipts(calm)
    assert len(points) == len(set(points))
    assert {
        "toy/shelve:before",
        "toy/shelve:stores.shelf.put#1:before",
        "toy/shelve:stores.shelf.put#1:input#2",
        "toy/shelve:stores.shelf.put#1:after",
        "toy/shelve:receipts.write(parts)#1:before",
        "toy/shelve:after",
        "toy/shelve:records.conclude_step:after",
        "toy/digests:stores.shelf.read#1:item#1",
        "toy/tidy:stores.shelf.delete#1:after",
        "run:records.take_over:after",
        "run:records.finish:before",
        "run:records.finish:after",
    } <= set(points)


def test_a_step_that_does_its_work_twice_is_caught(stages: tuple[Path, Path]) -> None:
    calm, marched = stages
    undisturbed("tests.crash.careless_scene", calm)
    assert_killed_everywhere(march("tests.crash.careless_scene", marched).points, marched)
    assert receipts(calm) == {"count.json": {"n": 1}}
    assert receipts(marched) != receipts(calm)
    with pytest.raises(AssertionError):
        assert_same_story(calm, marched)


def test_a_process_that_fails_by_itself_is_told_from_one_that_was_killed(stages: tuple[Path, Path]) -> None:
    (stages[1] / "state").write_text("a file where the directory should be")
    with pytest.raises(AssertionError, match="Traceback"):
        march("tests.crash.toy_scene", stages[1])


def test_a_step_at_which_no_process_was_killed_is_told(tmp_path: Path) -> None:
    """The negative control: a march that killed only at the records would pass everything else."""
    records = Records(tmp_path / "state", SystemClock())
    records.submit(submission(steps=("shelve", "seal", "tidy")))
    for step in ("shelve", "seal"):
        records.begin_step(RunId("r1"), StepKey(step))
        records.conclude_step(RunId("r1"), StepKey(step), succeeded())
    records.close()
    of_a_step = ("records.begin_step:after", "before", "put#1:before", "after", "records.conclude_step:after")
    points = [f"run:records.{what}:{at}" for what in ("submit", "finish") for at in ("before", "after")]
    points += [f"{step}:{point}" for step in ("shelve", "seal") for point in of_a_step]
    assert_killed_everywhere(points, tmp_path)
    for lacking in points:
        with pytest.raises(AssertionError, match=lacking.partition(":")[0]):
            assert_killed_everywhere([each for each in points if each != lacking], tmp_path)
