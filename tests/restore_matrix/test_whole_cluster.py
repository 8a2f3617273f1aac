"""A cluster with some of everything that PostgreSQL can hold. Versions: 15 (Debian) over S3, 18 (wheel) over file."""

import json
import re

import pytest

from tests.restore_matrix.estate import dump_of, failed_step, proof_of
from tests.restore_matrix.stores import StoreKind
from tests.servers.flavours import Flavour
from understudy.app.recoveries import Choice
from understudy.vocabulary.errors import Refusal

BOOKS = 'books "and" spaces'
PREPARED = "order 7, waiting for the bank"

SETUP = """
create role clerk login password 'Fußgängerübergang';
create role auditor nologin;
grant clerk to auditor;
alter role clerk set search_path = public;
"""
CONTENTS = """
create schema archive authorization clerk;
create table orders (id int, placed date not null, note text, primary key (id, placed)) partition by range (placed);
create table orders_2025 partition of orders for values from ('2025-01-01') to ('2026-01-01') tablespace fast;
create table orders_2026 partition of orders for values from ('2026-01-01') to ('2027-01-01');
create index on orders (note);
insert into orders select i, date '2025-06-01' + i, repeat(md5(i::text), 20) from generate_series(1, 400) i;
create unlogged table sessions (id int primary key);
insert into sessions select generate_series(1, 100);
create materialized view totals as select placed, count(*) from orders group by placed;
create table pictures (name text, content oid);
insert into pictures values ('logo', lo_from_bytea(0, decode(repeat('00ff7e', 3000), 'hex')));
create type mood as enum ('calm', 'awake at three in the morning');
create function worth(int) returns int language sql as 'select $1 * 2';
"""
QUERY_OF_PICTURE = "select md5(lo_get(content)) from pictures"


SOURCES = {"18-file": (Flavour.WHEEL_18, StoreKind.FILE), "15-s3": (Flavour.DEBIAN_15, StoreKind.S3)}


@pytest.fixture(scope="module")
def estates(make_estate):
    """Filled once for each source."""
    made = {}

    def estate(source):
        if source not in made:
            made[source] = filled(make_estate(*SOURCES[source]))
        return made[source]

    return estate


def filled(made):
    server = made.server
    place = server.new_directory("fast")
    server.sql(SETUP)
    server.sql(f"create tablespace fast owner clerk location '{place}'")
    server.sql(f'create database "{BOOKS.replace(chr(34), chr(34) * 2)}" owner clerk')
    server.sql(CONTENTS, db=BOOKS)
    with server.connect(BOOKS, autocommit=True) as connection:
        connection.execute("begin")
        connection.execute("insert into orders values (7007, '2026-07-07', 'prepared')")
        connection.execute(f"prepare transaction '{PREPARED}'")
    made.back_up_well()
    server.sql("insert into orders values (1000, '2026-03-03', 'after the backup, in memory of WAL alone')", db=BOOKS)
    server.sql("create table in_space (id int) tablespace fast; insert into in_space values (1)", db=BOOKS)
    made.ship()
    return made


def without_locations(dump):
    return re.sub(r"^(CREATE TABLESPACE .* LOCATION) .*$", r"\1", dump, flags=re.MULTILINE)


@pytest.mark.parametrize("source", SOURCES)
def test_everything_comes_back_but_the_rows_of_unlogged_tables(estates, source):
    estate = estates(source)
    copy = estate.server.sibling()
    place = copy.directory / "fast"
    view = estate.restore(Choice(tablespaces={"fast": str(place)}), copy.data)
    assert view.succeeded
    hint = next(step.evidence.hint for step in view.steps if step.key == "orders/verify-database")
    assert "1 unlogged table" in hint
    pages = proof_of(view, "check-pages")
    assert int(str(pages["pages_checked"])) > 0
    assert pages["pages_bad"] == 0
    copy.start()
    assert without_locations(dump_of(copy)) == without_locations(dump_of(estate.server))
    assert copy.sql("select count(*) from sessions", db=BOOKS) == [(0,)]
    assert estate.server.sql("select count(*) from sessions", db=BOOKS) == [(100,)]
    assert copy.sql(QUERY_OF_PICTURE, db=BOOKS) == estate.server.sql(QUERY_OF_PICTURE, db=BOOKS)
    assert any(place.iterdir())
    assert copy.sql("select pg_tablespace_location(oid) from pg_tablespace where spcname = 'fast'") == [(str(place),)]
    assert copy.sql("select gid from pg_prepared_xacts") == [(PREPARED,)]
    copy.sql(f"commit prepared '{PREPARED}'", db=BOOKS)
    assert copy.sql("select note from orders where id = 7007", db=BOOKS) == [("prepared",)]


def test_a_tablespace_that_nothing_maps_is_refused_before_anything_is_touched(estates):
    estate = estates("18-file")
    with pytest.raises(Refusal) as refused:
        estate.restore(Choice(), estate.directory / "never")
    assert refused.value.code == "tablespace_unmapped"
    assert "fast" in refused.value.hint
    assert not (estate.directory / "never").exists()


def test_a_copy_is_not_put_where_a_real_recovery_puts_its_tablespaces(estates):
    """Started beside the recovered server, it would write into that one's files."""
    estate = estates("18-file")
    before = estate.stack_file.read_text()
    stack = json.loads(before)
    stack["resources"]["orders"]["recover"]["tablespaces"] = {"fast": str(estate.server.directory / "fast-recovered")}
    estate.stack_file.write_text(json.dumps(stack))
    estate.reopen()
    try:
        with pytest.raises(Refusal) as refused:
            estate.restore(Choice(), estate.directory / "never")
    finally:
        estate.stack_file.write_text(before)
        estate.reopen()
    assert refused.value.code == "tablespace_unmapped"
    assert "--tablespace fast=" in refused.value.hint
    assert not (estate.directory / "never").exists()


def test_two_restores_never_share_a_tablespace_directory(estates):
    """The map of a drill on the same host must not lead into production."""
    estate = estates("18-file")
    view = estate.restore(Choice(tablespaces={"fast": str(estate.server.directory / "fast")}), estate.server.sibling().data)
    assert failed_step(view) == ("provision-target", "target_not_empty")
    assert estate.server.sql("select count(*) from orders_2025", db=BOOKS) != [(0,)]
