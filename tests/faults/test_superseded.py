"""Two control planes: one serves, another takes its repository over, and the first one writes there no more."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.estate import NEAR, RESOURCE, Estate
from tests.servers.processes import alive, wait_until
from understudy.app.installation import Installation
from understudy.records.run import RunState

SUPERSEDED = "controller_superseded"
BUSY = 4


@contextmanager
def successor_of(estate: Estate) -> Iterator[Estate]:
    """The same database and repository from another state directory, with a slot of its own; it serves nothing yet."""
    other = copy.copy(estate)
    stack = json.loads(estate.stack_file.read_text())
    state = estate.directory / "successor"
    state.mkdir(mode=0o711)
    shutil.copy(estate.installation.state / "signing.key", state)
    stack["state"]["directory"] = str(state)
    stack["resources"][RESOURCE]["wal"]["slot"] = "successor"
    stack["resources"][RESOURCE].pop("backup", None)
    other.stack_file = estate.directory / "successor.yaml"
    other.stack_file.write_text(json.dumps(stack))
    other.installation = Installation.open(other.stack_file)
    other.serving = None
    other.log = estate.directory / "successor.log"
    try:
        yield other
    finally:
        if other.serving is not None:
            other.kill()
        other.installation.receivers[RESOURCE].stop()


def test_an_old_control_plane_ships_nothing_more_once_another_took_over(make_estate):
    old = make_estate()
    old.serve()
    old.wait_until_held(old.write(2))
    with successor_of(old) as new:
        new.command("backup", "orders", "--full", "--take-over")
        old.write(2)
        shown = old.wait_for(lambda seen: NEAR in seen.shipping_faults, "the fault of the repository")
        assert shown.shipping_faults[NEAR].code == SUPERSEDED
        assert shown.receiving_fault is None

        last = old.write(3)
        wait_until(lambda: last in old.installation.receivers[RESOURCE].spool().segments, "the old receiver to go on")
        assert SUPERSEDED in old.command("backup", "orders", expect=BUSY).stderr
        assert not old.holds(last)
        assert old.installation.repository(NEAR).backups(RESOURCE).usable[-1:] == tuple(
            new.installation.repository(NEAR).backups(RESOURCE).usable
        )
        receiver = old.receiver_pid
        assert old.terminate() == 0
        assert alive(receiver)
        assert not old.holds(last)

        new.serve()
        new.wait_until_held(last)


def test_a_backup_that_was_under_way_when_another_took_over_is_not_signed(make_estate):
    old = make_estate(backup={"max_rate": "5MB/s"})
    old.serve()
    waiting = old.start_command("backup", "orders", "--full")
    records = old.installation.records

    def taking() -> bool:
        [run] = records.runs(1) or [None]
        return run is not None and any(step.key.endswith("take-base-backup") and step.started for step in records.steps(run.run))

    wait_until(taking, "the base backup to begin")
    with successor_of(old) as new:
        new.command("backup", "orders", "--full", "--take-over")
        waiting.communicate(timeout=120)
        assert waiting.returncode != 0
        [run] = records.runs(1)
        assert run.state is RunState.FAILED
        assert SUPERSEDED in {step.error.code for step in records.steps(run.run) if step.error is not None}
        [only] = new.installation.repository(NEAR).backups(RESOURCE).usable
        assert only.run == new.installation.records.runs(1)[0].run
