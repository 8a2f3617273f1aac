"""A state directory that fails is told as what it is, and ends none of what is kept going for a resource."""

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest

from tests.records.cast import submission, succeeded
from tests.servers.postgres import PostgresServer
from understudy.adapters.clock.system import SystemClock
from understudy.app.installation import Installation
from understudy.app.keeping import Keeping
from understudy.app.repositories import prepare_repository
from understudy.app.seen import remember_seen
from understudy.runner.runner import Runner
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import RepositoryName, ResourceName, RunId, StepKey

NEAR, ORDERS = RepositoryName("near"), ResourceName("orders")
STEP = StepKey("orders/write-backup-manifest")


@pytest.fixture(scope="module")
def server():
    with PostgresServer() as made:
        yield made


@pytest.fixture
def installation(desk, server):
    desk.write(server, url=server.url)
    return Installation.open(desk.stack_file, desk.state)


def damage_records(state):
    """Under a process that has them open, and that remembers nothing of what it read, because another one wrote since."""
    with closing(sqlite3.connect(state / "state.db")) as other:
        other.execute("UPDATE controller SET id = id")
        other.commit()
        for name in ("state.db", "state.db-wal"):
            os.truncate(state / name, 0)


def test_what_it_is_to_remember_and_cannot_is_told_as_its_own_fault_and_not_as_the_spools(installation):
    (installation.state / "repositories" / "near").mkdir(parents=True)
    (installation.state / "seen").write_text("")
    with pytest.raises(GiveUp) as told:
        remember_seen(installation.state, ORDERS, installation.databases[ORDERS].facts())
    assert told.value.code == "state_unwritable"
    (installation.state / "repositories" / "near").rmdir()
    (installation.state / "repositories").rmdir()
    (installation.state / "repositories").write_text("")
    with pytest.raises(GiveUp) as told:
        prepare_repository(installation, NEAR)
    assert told.value.code == "state_unwritable"
    assert str(installation.state / "repositories") in told.value.found


def test_records_that_cannot_be_read_end_neither_the_exposure_nor_the_shipping(installation):
    records = installation.records
    records.submit(submission("r1", steps=(STEP,)))
    records.conclude_step(RunId("r1"), STEP, succeeded(proof={"label": "20261123-030000F"}))
    keeping = Keeping(installation, Runner(installation.state, records, SystemClock(), installation.world_for), ORDERS)
    assert keeping._newest_backup_begun() == datetime(2026, 11, 23, 3, tzinfo=UTC)
    remember_seen(installation.state, ORDERS, installation.databases[ORDERS].facts())
    damage_records(installation.state)
    assert keeping._newest_backup_begun() is None
    with pytest.raises(GiveUp) as told:
        keeping._shipper(NEAR)()
    assert told.value.code in ("state_damaged", "state_unwritable")
