"""Replay that comes no further says so, and ends at the step's time limit."""

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.steps.protected import NobodyLooks, step_of, world_of
from tests.supervise.owned_clock import OwnedClock
from understudy.adapters.clock.system import SystemClock
from understudy.adapters.files import FileStore
from understudy.app.database_recoveries import Choice, plan_drill
from understudy.ports.instance import InstanceFacts, InstancePlace
from understudy.stack.models import Scenario
from understudy.steps.standstill import Standstill
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import ResourceName

RUN = "stands-still"


def test_a_standstill_counts_from_the_last_look_at_which_anything_had_changed():
    clock = OwnedClock()
    standstill = Standstill(clock, InstancePlace("/srv/pg", "/run/pg"))
    assert standstill.lasts(("0/1", 1)) == timedelta(0)
    clock.wait(60)
    assert standstill.lasts(("0/1", 1)) == timedelta(minutes=1)
    clock.wait(60)
    assert standstill.lasts(("0/1", 2)) == timedelta(0)
    clock.wait(60)
    assert standstill.lasts(("0/1", 2)) == timedelta(minutes=1)
    assert standstill.lasts(("0/2", 2)) == timedelta(0)


def test_a_long_one_is_told_anew_each_minute_and_no_longer_than_it_lasts():
    facts = InstanceFacts(True, False, None, None, None, None, None, ("LOG: its last words",))
    standstill = Standstill(OwnedClock(), InstancePlace("/srv/pg", "/run/pg"))
    assert standstill.reason(timedelta(minutes=4), facts) is None
    said = standstill.reason(timedelta(minutes=5), facts)
    assert said.code == "replay_stalled"
    assert "its last words" in said.found and "/run/pg/server.log" in said.hint
    assert standstill.reason(timedelta(minutes=5, seconds=59), facts) is said
    assert "0:06:00" in standstill.reason(timedelta(minutes=6), facts).found
    assert standstill.reason(timedelta(seconds=1), facts) is None


class HangingStore(FileStore):
    """Neither answers nor fails while WAL is fetched, as a network disk whose server is gone."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.answers = threading.Event()

    def read(self, key, offset=0):
        if threading.current_thread().name.startswith("wal-fetch"):
            self.answers.wait()
        return super().read(key, offset)


class LeapingClock(SystemClock):
    """Real, but for two leaps: ten minutes at the sixth look, and a day and more at the ninth, when the store answers again."""

    def __init__(self, store):
        self._store = store
        self._looks = 0
        self._ahead_seconds = 0.0

    def monotonic_seconds(self):
        self._looks += 1
        if self._looks == 6:
            self._ahead_seconds += 600
        if self._looks == 9:
            self._ahead_seconds += 90_000
            self._store.answers.set()
        return super().monotonic_seconds() + self._ahead_seconds


class Told(NobodyLooks):
    def __init__(self):
        self.reasons = []

    def held_up(self, reason):
        if reason is not None:
            self.reasons.append(str(reason))


def test_replay_that_waits_for_a_store_that_never_answers_says_so_and_ends_at_the_time_limit(protected):
    installation = protected.installation()
    plan = plan_drill(installation, Scenario.DATABASE_CORRUPTION, ResourceName("orders"), Choice())
    store, told = HangingStore(protected.desk.directory / "repository"), Told()
    try:
        for verb in ("provision-target", "restore-base-backup"):
            step_of(plan, verb).run(world_of(installation, RUN))
        world = replace(world_of(installation, RUN), stores={"near": store}, clock=LeapingClock(store), progress=told)
        with pytest.raises(GiveUp) as failure:
            step_of(plan, "replay-wal").run(world)
        step_of(plan, "replay-wal").run(world_of(installation, RUN))
    finally:
        store.answers.set()
        step_of(plan, "remove-sandbox").run(world_of(installation, RUN))
    assert failure.value.code == "replay_stalled"
    assert "nothing was replayed for 1 day, 1:" in failure.value.found
    log = step_of(plan, "replay-wal").place.log_file
    assert log in failure.value.hint
    assert any("nothing was replayed for 0:10:0" in each and log in each for each in told.reasons)
