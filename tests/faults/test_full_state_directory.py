"""The disk of the state directory is full, while the spool and the repository have room: WAL goes on being shipped."""

import json

import pytest

from tests.servers.processes import wait_until
from tests.servers.tiny_disk import filled
from understudy.app.installation import Installation
from understudy.records.run import RunState

LEAP_DAY = "0 3 29 2 *"


@pytest.fixture
def estate_on(make_estate, tiny_file_system):
    """``estate_on(**resource)``: its state lies on a tiny disk, everything else beside it."""

    def make(**resource):
        estate = make_estate(wal={"ship_every": "1s", "spool": "/nowhere/yet"}, **resource)
        stack = json.loads(estate.stack_file.read_text())
        stack["state"]["directory"] = str(tiny_file_system / "state")
        stack["resources"]["orders"]["wal"]["spool"] = str(estate.directory / "state" / "wal" / "orders")
        estate.stack_file.write_text(json.dumps(stack))
        estate.installation = Installation.open(estate.stack_file)
        return estate

    return make


def test_wal_is_shipped_while_it_is_full_and_runs_are_carried_out_once_there_is_room(estate_on, tiny_file_system):
    estate = estate_on()
    estate.serve()
    estate.wait_until_held(estate.write())
    with filled(tiny_file_system):
        told = estate.command("backup", "orders", expect=1)
        assert "state_unwritable" in told.stderr
        estate.wait_until_held(estate.write(3))
        assert estate.serving.poll() is None, estate.log_text()
    estate.command("backup", "orders")
    assert estate.terminate() == 0
    assert "Traceback" not in estate.log_text()


def test_a_run_that_it_cuts_off_is_given_up_wal_is_shipped_and_the_next_serve_goes_on_with_it(estate_on, tiny_file_system):
    estate = estate_on(backup={"full": LEAP_DAY, "max_rate": "5MB/s"})
    records = estate.installation.records
    estate.serve()

    def taking():
        [run] = records.runs(1) or [None]
        return run is not None and any(step.key.endswith("take-base-backup") and step.started for step in records.steps(run.run))

    wait_until(taking, "the base backup to begin")
    with filled(tiny_file_system):
        wait_until(lambda: "WAL goes on being received and shipped" in estate.log_text(), "serve to tell it")
        estate.wait_until_held(estate.write(3))
        assert estate.serving.poll() is None, estate.log_text()
    assert estate.serving.wait(timeout=60) == 1
    assert "state_unwritable" in estate.log_text()
    assert "serve ends here, and its next start resumes what was cut off" in estate.log_text()
    [run] = records.runs(1)
    estate.serve()
    wait_until(lambda: records.run(run.run).state.is_final, "the run to be gone on with")
    assert records.run(run.run).state is RunState.SUCCEEDED
