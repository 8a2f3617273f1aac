import pytest

from tests.adapters.postgres.streaming import APPLICATION_NAME, MEGABYTE
from understudy.adapters.clock.system import SystemClock
from understudy.adapters.postgres.database import PostgresDatabase
from understudy.adapters.postgres.receiver import PostgresWalReceiver, ReceiverOptions
from understudy.vocabulary.secret import Secret


@pytest.fixture
def receivers(tmp_path):
    """A factory of receivers that share one small spool; what they started is stopped after the test."""
    made = []

    def make(server, url=None, **options) -> PostgresWalReceiver:
        secret = Secret(url or server.replication_url)
        named = {
            "slot": "understudy",
            "spool_directory": tmp_path / "spool",
            "limit_bytes": 64 * MEGABYTE,
            "application_name": APPLICATION_NAME,
            "programs_directory": str(server.programs),
        } | options
        database = PostgresDatabase(secret, SystemClock())
        made.append(PostgresWalReceiver(secret, lambda: database, SystemClock(), ReceiverOptions(**named)))
        return made[-1]

    yield make
    for receiver in made:
        receiver.stop()


@pytest.fixture
def server(postgres_servers):
    """A server whose WAL segments are 1 MiB."""
    return postgres_servers(segment_megabytes=1)
