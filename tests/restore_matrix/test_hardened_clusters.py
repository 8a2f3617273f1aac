"""Clusters that keep their bootstrap superuser out, or have no database postgres. Versions: 15 (Debian) and 18 (wheel)."""

import psycopg
import pytest

from tests.restore_matrix.estate import RESOURCE, SilentWatcher, expect_success, failed_step, proof_of
from tests.servers.flavours import Flavour
from understudy.app.recoveries import Choice, drill
from understudy.stack.models import Scenario


def carried_out(server, database, *statements, role="keeper"):
    with psycopg.connect(
        host=str(server.socket_directory), port=server.port, user=role, dbname=database, autocommit=True
    ) as connection:
        for statement in statements:
            connection.execute(statement)


def drilled(estate):
    return drill(estate.installation, Scenario.DATABASE_CORRUPTION, (RESOURCE,), Choice(), SilentWatcher())


@pytest.mark.parametrize("flavour", [Flavour.DEBIAN_15, Flavour.WHEEL_18])
def test_a_cluster_comes_back_whose_bootstrap_superuser_may_not_log_in_and_that_has_no_database_postgres(make_estate, flavour):
    estate = make_estate(flavour, segment_megabytes=1)
    server = estate.server
    estate.reopen(server.replication_url)
    estate.back_up_well()
    # Behind the backup, so that what lies in its pages is older than what replay makes of it.
    server.sql("create role keeper superuser login")
    server.sql("create database orders")
    estate.reopen(server.replication_url.rpartition("/")[0] + "/orders")
    carried_out(server, "orders", "drop database postgres with (force)", "alter role postgres nologin", "checkpoint")
    carried_out(server, "orders", "create table t as select 1 as id", "insert into t values (2)")
    estate.ship()
    view = expect_success(drilled(estate))
    assert proof_of(view, "verify-database")["databases"]["orders"]["rows"] == 2
    assert set(proof_of(view, "verify-database")["databases"]) == {"orders", "template1"}
    assert proof_of(view, "write-and-read-back")["database"] == "orders"


def test_a_cluster_that_lets_no_superuser_in_is_refused_with_its_words_and_not_waited_for(make_estate):
    estate = make_estate(Flavour.WHEEL_18, segment_megabytes=1)
    server = estate.server
    estate.reopen(server.replication_url)
    estate.back_up_well()
    carried_out(server, "postgres", "alter role postgres nologin", role="postgres")
    estate.ship()
    view = drilled(estate)
    assert failed_step(view) == ("replay-wal", "instance_refuses_us")
    found = next(step.error.found for step in view.steps if step.error is not None)
    assert 'role "postgres" is not permitted to log in' in found
