"""Heartbeats by a role that owns nothing: the table was made for it, and it may make none."""

from contextlib import contextmanager
from datetime import timedelta

import pytest

from tests.servers.flavours import REPLICATION_ROLE, Flavour
from tests.servers.postgres import PostgresServer
from tests.servers.processes import wait_until
from understudy.adapters.clock.system import SystemClock
from understudy.adapters.postgres.database import PostgresDatabase
from understudy.supervise.heartbeats import Heartbeats
from understudy.vocabulary.secret import Secret

TABLE = "public.understudy_heartbeat"
MADE_BY_ITS_OWNER = (
    f"create table {TABLE} (only_row boolean primary key default true check (only_row), written timestamptz not null);"
    f"grant select, insert, update on {TABLE} to {REPLICATION_ROLE}"
)
NEWEST = f"select max(written) from {TABLE}"  # noqa: S608


@pytest.fixture(scope="module")
def server():
    """PostgreSQL 15: there ordinary roles have no CREATE on the schema ``public`` from the beginning."""
    with PostgresServer(Flavour.DEBIAN_15) as made:
        assert made.sql(f"select has_schema_privilege('{REPLICATION_ROLE}', 'public', 'CREATE')") == [(False,)]
        yield made


@pytest.fixture(autouse=True)
def no_table(server):
    yield
    server.sql(f"drop table if exists {TABLE}")


@contextmanager
def beating(url, told=lambda _: None):
    beats = Heartbeats(PostgresDatabase(Secret(url), SystemClock()), "postgres", timedelta(milliseconds=50), told)
    beats.start()
    try:
        yield
    finally:
        beats.stop()


def test_a_role_that_may_make_no_table_beats_in_the_one_that_is_there(server):
    server.sql(MADE_BY_ITS_OWNER)
    with beating(server.replication_url):
        wait_until(lambda: server.sql(NEWEST) != [(None,)], "a heartbeat")
        first = server.sql(NEWEST)
        wait_until(lambda: server.sql(NEWEST) != first, "another heartbeat")
    assert server.sql(f"select count(*) from {TABLE}") == [(1,)]  # noqa: S608


def test_the_first_beat_makes_the_table_where_the_role_may(server):
    with beating(server.url):
        wait_until(lambda: server.sql(f"select to_regclass('{TABLE}') is not null") == [(True,)], "the table")
        wait_until(lambda: server.sql(NEWEST) != [(None,)], "a heartbeat")


def test_a_table_that_is_made_later_is_found_and_the_fault_was_told_once(server, caplog):
    caplog.set_level("INFO")
    told = []
    with beating(server.replication_url, told.append):
        wait_until(lambda: "permission denied" in caplog.text, "the fault to be told")
        server.sql(MADE_BY_ITS_OWNER)
        wait_until(lambda: "written again" in caplog.text, "a heartbeat")
        assert server.sql(NEWEST) != [(None,)]
    assert caplog.text.count("permission denied for schema") == 1
    assert caplog.text.count("written again") == 1
    assert "GRANT CREATE ON SCHEMA public TO" in caplog.text
    assert "pg_monitor" not in caplog.text
    assert (told[0].code, told[-1]) == ("privilege_missing", None)


def test_a_right_that_is_taken_away_is_told_with_the_statement_that_gives_it_back(server):
    server.sql(MADE_BY_ITS_OWNER)
    told = []
    with beating(server.replication_url, told.append):
        wait_until(lambda: told == [None], "a heartbeat")
        server.sql(f"revoke update on {TABLE} from {REPLICATION_ROLE}")
        wait_until(lambda: told[-1] is not None, "the fault")
        assert f"GRANT SELECT, INSERT, UPDATE ON {TABLE} TO" in next(each.hint for each in told if each is not None)
