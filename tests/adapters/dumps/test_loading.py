"""What is loaded is counted, and roles are taken statement by statement."""

from dataclasses import replace

import pytest

from understudy.adapters.dumps.client import PostgresClient
from understudy.adapters.dumps.dump_collection import DumpCollection, DumpWish
from understudy.adapters.dumps.globals_file import created_roles, role_statements, statements, tablespaces
from understudy.adapters.dumps.loading import LoadingServer
from understudy.adapters.dumps.staging import DumpStaging
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.secret import Secret

GLOBALS = """--
\\restrict abc
SET client_encoding = 'UTF8';

CREATE ROLE keeper;
ALTER ROLE keeper WITH LOGIN PASSWORD 'a;
b''s';
CREATE ROLE "odd ""one";
COMMENT ON ROLE keeper IS 'said;
--';
CREATE TABLESPACE fast OWNER postgres LOCATION '/srv/fast';
GRANT readers TO keeper GRANTED BY postgres;
\\unrestrict abc
"""


@pytest.fixture
def dumped(server, errand):
    """One database, as it lies on the disk, and what is known of it."""
    client = PostgresClient(Secret(server.url), errand, None)
    collection = DumpCollection(client, DumpWish(("shop",), 2, True), errand)
    list(collection.entries())
    yield collection.dump.databases[0], DumpStaging(errand).path("shop"), LoadingServer(client, errand, 2, ())
    for name in ("t0",):
        LoadingServer(client, errand, 2, ()).discard(name)


def test_a_load_that_holds_fewer_rows_or_large_objects_than_were_dumped_is_found(dumped):
    database, directory, loading = dumped
    assert loading.load(directory, database, "t0", whole=True, table=None)["rows"] == database.rows
    tables = tuple(replace(each, rows=each.rows + (each.name == "orders")) for each in database.tables)
    for wrong in (replace(database, tables=tables), replace(database, large_objects=2)):
        with pytest.raises(GiveUp, match="rows_missing"):
            loading.load(directory, wrong, "t0", whole=False, table=None)


def test_a_database_of_that_name_that_holds_something_stays_and_an_empty_one_gives_way(dumped, server):
    database, directory, loading = dumped
    loading.load(directory, database, "t0", whole=False, table=None)
    server.sql("create database taken")
    try:
        server.sql("create type only_a_type as enum ('a')", db="taken")
        with pytest.raises(GiveUp, match="target_not_empty"):
            loading.put_in_place("t0", "taken", None)
        server.sql("drop type only_a_type", db="taken")
        for _ in range(2):
            loading.put_in_place("t0", "taken", None)
        assert loading.count_table("taken", next(each for each in database.tables if each.name == "orders")) > 0
        assert not loading.has("t0")
    finally:
        server.sql("drop database taken")


def test_statements_end_where_their_strings_do_and_those_of_roles_that_are_there_are_left_out():
    found = list(statements(GLOBALS))
    assert [each.split()[0] for each in found] == ["SET", "CREATE", "ALTER", "CREATE", "COMMENT", "CREATE", "GRANT"]
    assert created_roles(GLOBALS) == ["keeper", 'odd "one']
    assert tablespaces(GLOBALS) == ["fast"]
    taken = [each.about for each in role_statements(GLOBALS, {"keeper"})]
    assert taken == ['the role odd "one', "that keeper is a member of readers"]
    assert "PASSWORD" not in " ".join(each.about for each in role_statements(GLOBALS, ()))
