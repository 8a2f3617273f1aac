from collections.abc import Iterator

import pytest

from tests.app.desk import Desk
from tests.restore_matrix.estate import SilentWatcher
from tests.servers.flavours import Flavour
from tests.servers.postgres import PostgresServer
from tests.steps.protected import Protected
from understudy.app.backups import back_up
from understudy.vocabulary.identifiers import BackupKind


@pytest.fixture(scope="module")
def protected() -> Iterator[Protected]:
    """A server with one table and one backup; tests of a module share it, and leave it running."""
    with PostgresServer(Flavour.WHEEL_18) as server:
        server.sql("create table words (word text primary key); insert into words values ('kept')")
        desk = Desk()
        try:
            desk.write(server, url=server.url)
            made = Protected(server, desk)
            assert back_up(made.installation(), "orders", BackupKind.FULL, SilentWatcher()).succeeded
            yield made
        finally:
            desk.close()
