"""The forecast of a directory that is kept and drilled: from its real evidence, which is set back in time to make a history."""

import json
import os
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from tests.app.shelf import Shelf, SilentWatcher
from tests.cli.commands import understudy
from tests.room import new_path
from understudy.app.forecasting import forecasts
from understudy.app.recoveries import drill
from understudy.judge.forecast import LEAST_DRILLS, Outlook
from understudy.plan.request import Choice
from understudy.stack.models import Scenario


@pytest.fixture
def shelf():
    directory = new_path("shelf")
    directory.mkdir()
    made = Shelf(directory)
    made.write(repositories=["near"])
    made.fill()
    yield made
    made.close()


def grow_and_drill(shelf, times):
    for _ in range(times):
        (shelf.docs / f"more-{len(list(shelf.docs.iterdir()))}").write_bytes(os.urandom(30_000))
        shelf.back_up()
        drill(shelf.installation, Scenario.STORAGE_LOSS, [], Choice(), SilentWatcher())


def set_back(shelf):
    """Each snapshot is a week older than the one after it."""
    now = shelf.installation.clock.now()
    with closing(sqlite3.connect(shelf.state / "state.db")) as database:
        rows = database.execute("SELECT rowid FROM steps WHERE step = 'docs/take-snapshot' ORDER BY rowid DESC").fetchall()
        for weeks, (row,) in enumerate(rows):
            database.execute("UPDATE steps SET ended = ? WHERE rowid = ?", ((now - timedelta(weeks=weeks)).isoformat(), row))
        database.commit()


def test_a_directory_is_forecast_from_its_own_drills_and_snapshots_and_never_from_fewer_than_tell_anything(shelf):
    grow_and_drill(shelf, LEAST_DRILLS - 1)
    [found] = forecasts(shelf.installation)
    assert (found.forecast.outlook, found.forecast.why) == (Outlook.UNKNOWN, "too_few_drills")
    told = understudy(shelf, "forecast")
    assert (told.returncode, "4 of 5 drills" in told.stdout) == (0, True), told.stdout

    grow_and_drill(shelf, 1)
    [found] = forecasts(shelf.installation)
    assert (found.scenario, found.forecast.drills, found.forecast.why) == ("storage_loss", 5, "sizes_of_too_short_a_time")
    assert found.forecast.recovery_seconds.low <= found.forecast.recovery_seconds.likely <= found.forecast.recovery_seconds.high
    assert found.forecast.size_bytes == 5 * 30_000 + 40_000 + len("the lease" + "notes")
    assert not found.is_near(shelf.installation.clock.now())

    set_back(shelf)
    [found] = forecasts(shelf.installation)
    assert found.forecast.why == ""
    assert abs(found.forecast.growth_bytes_per_day.likely - 30_000 / 7) < 1
    shown = json.loads(understudy(shelf, "forecast", "--json").stdout)["forecasts"]
    assert [each["resource"] for each in shown] == ["docs"]
    assert "forecast" not in understudy(shelf, "status").stdout

    with closing(sqlite3.connect(shelf.state / "state.db")) as database:  # what somebody edited ends nobody who looks
        database.execute("UPDATE chain SET record = 'edited' WHERE sequence = (SELECT max(sequence) FROM chain)")
        database.commit()
    assert forecasts(shelf.installation)[0].forecast.drills == 4
    assert understudy(shelf, "status").returncode == 0
