import uuid
from datetime import timedelta

import pytest

from tests.adapters.dumps.shop import fill_shop
from tests.adapters.streams.conftest import Cancelling, Told
from tests.servers.postgres import PostgresServer
from understudy.adapters.clock.system import SystemClock
from understudy.adapters.streams.workplace import Errand, Workplace


@pytest.fixture(scope="package")
def server():
    with PostgresServer("debian15") as made:
        fill_shop(made)
        yield made


@pytest.fixture
def errand(tmp_path):
    workplace = Workplace(f"run-{uuid.uuid4()}", tmp_path / "scratch", SystemClock(), Told(), Cancelling())
    return Errand(workplace, "accounts", timedelta(seconds=60))
