"""Services that are stopped, started, checked and drilled, killed everywhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.app.served import Served
from tests.crash.marching import assert_same_story, march, story, undisturbed
from tests.room import new_path
from tests.servers.processes import alive

pytestmark = pytest.mark.timeout(600)

SCENES = "tests.crash.snapshot_scenes"
PATIENCE_SECONDS = 500
FIGURES = {"took_seconds", "free_bytes"}


@pytest.fixture
def stages() -> Iterator[tuple[Served, Served]]:
    """One that nobody disturbs, and one that is killed everywhere."""
    directory = new_path("shelf")
    directory.mkdir()
    made = Served(directory)
    made.fill()
    made.back_up_all()
    copies = made.copied_to(new_path("calm")), made.copied_to(new_path("marched"))
    made.close()
    for each in copies:
        acts = {what: each.command(f"echo batch/{what} >> said", repeatable=True) for what in ("stop", "start")}
        # Twice as once: where the first one was killed behind its work, the dead process may have been reaped, or not yet.
        drill = each.drill_commands(stop={"run": ["sh", "-c", "test ! -e pid || { kill $(cat pid); rm pid; }"]})
        each.write(batch={**acts, "drill": drill})
    yield copies
    for each in copies:
        each.close()


def test_services_killed_everywhere_end_like_ones_that_nobody_killed(stages: tuple[Served, Served]) -> None:
    calm, marched = stages
    undisturbed(f"{SCENES}:SERVICES", calm.directory)
    points = march(f"{SCENES}:SERVICES", marched.directory, PATIENCE_SECONDS).points
    command = "batch/start:commands.batch/start.carry_out#1"
    assert {f"{command}:before", f"{command}:after", "batch/start:receipts.write(batch-start-ended)#1:before"} <= set(points)
    assert_same_story(calm.directory, marched.directory, forget=FIGURES)
    assert story(marched.directory)["state"] == "succeeded"
    assert calm.said() == ["batch/stop", "batch/start", "batch/check"]
    said = marched.said()
    assert [*dict.fromkeys(said)] == ["batch/stop", "batch/start", "batch/check"]
    assert said == sorted(said, key=["batch/stop", "batch/start", "batch/check"].index), "nothing again once the next had begun"


def test_a_drill_of_services_killed_everywhere_leaves_nothing(stages: tuple[Served, Served]) -> None:
    calm, marched = stages
    undisturbed(f"{SCENES}:SERVICE_DRILL", calm.directory)
    points = march(f"{SCENES}:SERVICE_DRILL", marched.directory, PATIENCE_SECONDS).points
    assert {
        "batch/start:commands.batch/drill-start.carry_out#1:after",
        "batch/end-drill:commands.batch/drill-stop.carry_out#1:after",
        "batch/remove-sandbox:places.remove#1:after",
    } <= set(points)
    assert story(marched.directory)["state"] == "succeeded"
    assert {name: step["state"] for name, step in story(marched.directory)["steps"].items()} == {
        name: step["state"] for name, step in story(calm.directory)["steps"].items()
    }
    for stage in stages:
        assert list((stage.state / "drills").iterdir()) == []
        assert [pid for pid in stage.pids() if alive(pid)] == []
        assert stage.said() == []
