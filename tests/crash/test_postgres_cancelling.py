"""A person stops what is under way: it ends, cleans up after itself, and can be started again at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, cast

from tests.crash.postgres_scenes import RESTORED
from tests.crash.postgres_stage import NEAR, ORDERS, PERSON, SilentWatcher, Stage
from tests.servers.processes import wait_until
from understudy.app.database_recoveries import plan_drill, plan_in_place, plan_restore
from understudy.app.recoveries import Choice, recover, restore
from understudy.plan.plan import Plan
from understudy.ports.object_store import ObjectStore
from understudy.ports.running import Cancellation, Progress
from understudy.ports.world import World
from understudy.records.run import RunState, StepState
from understudy.runner.runner import Runner
from understudy.stack.models import Scenario
from understudy.vocabulary.errors import Cancelled
from understudy.vocabulary.identifiers import BackupKind, RunId

BUSY = 4
CANCELLED = 130


class StoreWithAPersonBeside:
    """Passes everything on; in the middle of the first part that is read, the person asks for the run's end."""

    def __init__(self, store: ObjectStore, ask: Callable[[], None], cancellation: Cancellation) -> None:
        self._store = store
        self._ask = ask
        self._cancellation = cancellation

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def read(self, key: str, offset: int = 0) -> Iterator[bytes]:
        for piece in self._store.read(key, offset):
            yield piece
            if key.endswith(".tar.zst.age"):
                self._ask()
                wait_until(self._is_heard, "the cancellation")

    def _is_heard(self) -> bool:
        try:
            self._cancellation.raise_if_requested()
        except Cancelled:
            return True
        return False


def cancelled_while_restoring(stage: Stage, plan: Plan) -> RunId:
    installation = stage.installation
    records = installation.records

    def world_for(run: RunId, progress: Progress, cancellation: Cancellation) -> World:
        world = installation.world_for(run, progress, cancellation)
        store = StoreWithAPersonBeside(world.stores[NEAR], lambda: records.request_cancel(run, PERSON), cancellation)
        return dataclasses.replace(world, stores={NEAR: cast(ObjectStore, store)})

    with Runner(installation.state, records, installation.clock, world_for) as runner:
        run = runner.submit(plan, PERSON)
        state = runner.wait(run)
    states = {each.key: each.state for each in records.steps(run)}
    assert (state, states["orders/restore-base-backup"]) == (RunState.CANCELLED, StepState.CANCELLED)
    assert records.holds() == ()
    return run


def test_a_backup_that_is_cancelled_midway_leaves_nothing_and_the_next_one_succeeds(make_stage: Callable[[], Stage]) -> None:
    stage = make_stage()
    stage.limit_backups("1MB/s")
    backup = stage.start("backup", "orders")
    run = stage.wait_for_step("orders/take-base-backup", lambda step: step.progress is not None and step.progress.done > 0)
    assert stage.sql("select count(*) from pg_stat_progress_basebackup") == 1

    code, printed = stage.call("backup", "orders")
    assert (code, "controller_busy" in printed) == (BUSY, True), printed

    code, printed = stage.call("cancel", run)
    assert (code, "cancelled" in printed) == (0, True), printed
    printed, _ = backup.communicate(timeout=60)
    assert backup.returncode == CANCELLED, printed
    assert stage.installation.records.run(run).state is RunState.CANCELLED
    assert stage.folders() == {}
    wait_until(lambda: stage.sql("select count(*) from pg_stat_progress_basebackup") == 0, "the backup to end on the server")

    stage.limit_backups("1GB/s")
    stage.back_up(BackupKind.FULL)
    stage.assert_backups_whole("F")
    stage.assert_protected()


def test_a_restore_that_is_cancelled_midway_leaves_nothing_and_the_next_one_succeeds(make_stage: Callable[[], Stage]) -> None:
    stage = make_stage()
    stage.fill()
    target = stage.directory / RESTORED
    cancelled_while_restoring(stage, plan_restore(stage.installation, ORDERS, target, Choice()))
    assert stage.leftovers() == set()
    stage.assert_protected()
    assert restore(stage.installation, ORDERS, target, Choice(), SilentWatcher()).succeeded
    assert stage.leftovers() == {RESTORED}
    stage.assert_protected()


def test_a_drill_that_is_cancelled_midway_leaves_nothing_and_the_next_one_succeeds(make_stage: Callable[[], Stage]) -> None:
    stage = make_stage()
    stage.fill()
    cancelled_while_restoring(stage, plan_drill(stage.installation, Scenario.DATABASE_CORRUPTION, ORDERS, Choice()))
    assert stage.leftovers() == set()
    stage.assert_protected()
    assert stage.drill().succeeded
    assert stage.leftovers() == set()


def test_a_drill_whose_process_was_killed_is_cancelled_by_the_next_process(make_stage: Callable[[], Stage]) -> None:
    stage = make_stage()
    stage.fill()
    drill = stage.start("drill", "database_corruption")
    run = stage.wait_for_step("orders/replay-wal", lambda step: step.started is not None)
    drill.kill()
    drill.communicate()
    assert stage.leftovers() != set()
    code, printed = stage.call("cancel", run)
    assert (code, "cancelled" in printed) == (0, True), printed
    assert stage.leftovers() == set()
    stage.assert_protected()


def test_a_recovery_that_is_cancelled_midway_leaves_nothing_and_the_next_one_succeeds(make_stage: Callable[[], Stage]) -> None:
    stage = make_stage()
    stage.fill()
    stage.destroy_server()
    scenario = Scenario.DATABASE_CORRUPTION
    cancelled_while_restoring(stage, plan_in_place(stage.installation, scenario, ORDERS, Choice()))
    assert stage.servers() == []
    assert not stage.server.data.exists()
    assert stage.leftovers() == set()
    assert recover(stage.installation, scenario, (ORDERS,), Choice(), SilentWatcher(), approved_by=PERSON).succeeded
    stage.assert_backups_whole("FIF")
    stage.assert_protected()
