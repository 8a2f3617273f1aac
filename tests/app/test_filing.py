"""Evidence is laid down where a run ends, whoever carries it out and whoever died meanwhile."""

import json
import sqlite3

import pytest

from tests.faults.conftest import make_estate
from tests.faults.estate import FAR, NEAR
from tests.servers.processes import wait_until
from understudy.app.filing import file_outstanding
from understudy.repository.layout import evidence_key
from understudy.repository.sealing import read_sealed
from understudy.vocabulary.sealing import Sealing

__all__ = ["make_estate"]


def newest(estate):
    return next(iter(estate.installation.records.runs(1)), None)


def begun(estate):
    run = newest(estate)
    steps = estate.installation.records.steps(run.run) if run else ()
    return any(step.key.endswith("take-base-backup") and step.started for step in steps)


def is_copied(estate, run, *repositories):
    stores = [estate.installation.stores[name] for name in repositories]
    kept = estate.directory / "state" / "evidence" / f"{run}.json"
    return kept.exists() and all(store.head(evidence_key(run, Sealing.AGE)) is not None for store in stores)


def assert_copies_are_whole(estate, run, *repositories):
    identity = estate.installation.keys.keys.identity
    for name in repositories:
        sealed = read_sealed(
            estate.installation.stores[name], estate.installation.sealer, evidence_key(run, Sealing.AGE), identity
        )
        copy = json.loads(b"".join(sealed))
        assert copy["run"]["state"] == "succeeded"
        assert all(step["evidence"] for step in copy["steps"])
    assert json.loads((estate.directory / "state" / "evidence" / f"{run}.json").read_text())["run"]["state"] == "succeeded"


def test_the_evidence_of_a_run_that_died_with_serve_is_filed_by_the_next(make_estate):
    estate = make_estate(bucket=True, backup={"max_rate": "5MB/s"})
    estate.serve()
    waiting = estate.start_command("backup", "orders")
    wait_until(lambda: begun(estate), "the base backup to begin")
    estate.kill()
    waiting.communicate(timeout=60)
    run = newest(estate).run
    estate.serve()
    wait_until(lambda: is_copied(estate, run, NEAR, FAR), "the copies of the resumed run's evidence")
    assert_copies_are_whole(estate, run, NEAR, FAR)
    wait_until(lambda: f"run {run} has succeeded" in estate.log_text(), "the log to tell the run's ending")
    assert estate.installation.records.filing.outstanding() == ()


def test_the_evidence_of_a_run_whose_command_died_is_filed_by_serve(make_estate):
    estate = make_estate(backup={"max_rate": "5MB/s"})
    estate.serve()
    waiting = estate.start_command("backup", "orders")
    wait_until(lambda: begun(estate), "the base backup to begin")
    waiting.kill()
    waiting.communicate(timeout=60)
    run = newest(estate).run
    wait_until(lambda: is_copied(estate, run, NEAR), "the copies of the evidence")
    assert_copies_are_whole(estate, run, NEAR)


@pytest.mark.parametrize("serving", [True, False])
def test_what_was_not_filed_when_its_process_died_is_filed_by_the_next(make_estate, serving):
    estate = make_estate()
    estate.command("backup", "orders")
    run = newest(estate).run
    with sqlite3.connect(estate.directory / "state" / "state.db") as database:
        database.execute("DELETE FROM observations WHERE kind = 'evidence_filed'")
    (estate.near / evidence_key(run, Sealing.AGE)).unlink()
    if serving:
        estate.serve()
    else:
        estate.command("backup", "orders")
    wait_until(lambda: is_copied(estate, run, NEAR), "the copies of the evidence")
    wait_until(lambda: estate.installation.records.filing.outstanding() == (), "all to be filed")


def test_a_repository_that_is_away_when_evidence_is_filed_gets_it_once_it_is_back(make_estate):
    estate = make_estate()
    estate.command("backup", "orders")
    run = newest(estate).run
    records = estate.installation.records
    with sqlite3.connect(estate.directory / "state" / "state.db") as database:
        database.execute("DELETE FROM observations WHERE kind = 'evidence_filed'")
    (estate.near / evidence_key(run, Sealing.AGE)).unlink()
    estate.unmount()
    assert list(file_outstanding(estate.installation)) == [NEAR]
    assert records.filing.outstanding() == (run,)
    estate.mount()
    assert file_outstanding(estate.installation) == {}
    assert is_copied(estate, run, NEAR)
    assert records.filing.outstanding() == ()
