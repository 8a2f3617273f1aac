"""Databases dumped by real programs, and by programs that do it badly."""

import json
import subprocess
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.adapters.dumps.shop import ODD, ORDERS
from tests.servers.postgres import free_port
from understudy.adapters.dumps.client import DUMP_PROGRAMS, PostgresClient
from understudy.adapters.dumps.dump_collection import DumpCollection, DumpWish
from understudy.adapters.dumps.staging import DumpStaging
from understudy.adapters.dumps.table_of_contents import rows_in, see_file
from understudy.adapters.streams.leftovers import marked
from understudy.ports.dumps import DESCRIPTION, Dump, directory_of_database
from understudy.vocabulary.errors import Cancelled, GiveUp, TryAgain
from understudy.vocabulary.secret import Secret

SHOP = DumpWish(("shop",), jobs=2, count_rows=True)


@pytest.fixture
def collection(server, errand):
    def made(wish=SHOP, programs=None, url=None, errand=errand):
        return DumpCollection(PostgresClient(Secret(url or server.url), errand, programs), wish, errand)

    return made


@pytest.fixture
def programs(server, tmp_path):
    """The real ones, but for a pg_dump that is followed by something in the shell, with what it wrote in ``$out``."""

    def made(afterwards):
        directory = tmp_path / "programs"
        directory.mkdir()
        for name in DUMP_PROGRAMS:
            (directory / name).symlink_to(server.programs / name)
        (directory / "pg_dump").unlink()
        script = f"""#!/bin/sh
        for each; do case "$each" in --file=*) out="${{each#--file=}}";; esac; done
        {server.programs}/pg_dump "$@" || exit
        [ -n "$out" ] || exit 0
        {afterwards}
        """
        (directory / "pg_dump").write_text(script)
        (directory / "pg_dump").chmod(0o755)
        return str(directory)

    return made


def test_what_the_server_holds_is_described_beside_the_dump_and_each_file_says_what_it_is(collection):
    made = collection(DumpWish(None, jobs=2, count_rows=True))
    entries = {entry.key: entry for entry in made.entries()}
    described = b"".join(made.read(entries[DESCRIPTION]))
    dump = Dump.from_json(json.loads(described))
    assert dump == made.dump
    assert {each.name for each in dump.databases} == {"shop", "postgres", ODD}
    shop = next(each for each in dump.databases if each.name == "shop")
    assert (shop.rows, shop.large_objects, shop.properties["owner"]) == (ORDERS + 7, 1, "keeper")
    orders = next(table for table in shop.tables if table.name == "orders")
    assert entries[f"shop/{orders.file}"].attributes["postgres"] == {
        "database": "shop", "schema": "public", "table": "orders", "rows": ORDERS
    }  # fmt: skip
    assert next(each for each in dump.databases if each.name == "postgres").entries == 0
    again = {entry.key: entry.fingerprint for entry in made.entries()}
    same = [key for key in again if again[key] == entries[key].fingerprint and not key.endswith("toc.dat")]
    assert f"shop/{orders.file}" in same and DESCRIPTION in same


@pytest.mark.parametrize(
    ("afterwards", "told"),
    [
        ("for each in $out/[0-9]*.dat; do sed -i 1d $each; done", "holds"),
        ("for each in $out/[0-9]*.dat; do truncate -s 100 $each; done", "is cut off"),
        ("rm $out/[0-9]*.dat", "is cut off"),
        ("truncate -s 200 $out/toc.dat", "cannot read"),
    ],
)
def test_a_dump_that_lacks_rows_or_is_cut_off_is_found(collection, programs, afterwards, told):
    with pytest.raises(GiveUp) as raised:
        list(collection(programs=programs(afterwards)).entries())
    assert raised.value.code in ("dump_incomplete", "dump_damaged")
    assert told in raised.value.found, raised.value


def test_rows_that_were_written_while_it_was_dumped_are_neither_in_it_nor_counted(collection, programs, server):
    psql = f"PGPASSWORD= {server.programs}/psql -q -h {server.socket_directory} -p {server.port} -U postgres -d shop"
    writes = "insert into empty_one values (1)"
    made = collection(programs=programs(f'{psql} -c "{writes}" >&2'))
    try:
        list(made.entries())
        assert next(table for table in made.dump.databases[0].tables if table.name == "empty_one").rows == 0
        assert server.sql("select count(*) from empty_one", db="shop") == [(1,)]
    finally:
        server.sql("truncate empty_one", db="shop")


def test_nothing_is_left_of_a_dump_that_was_given_up_and_nobody_writes_to_it_any_more(collection, programs, errand):
    made = collection(programs=programs("sleep 600"))
    errand.workplace.cancellation.asked.set()
    with pytest.raises(Cancelled):
        list(made.entries())
    assert marked(errand.mark) == ()
    staging = DumpStaging(errand)
    assert staging.directory.stat().st_mode & 0o777 == 0o700
    left = subprocess.Popen(["sleep", "600"], env={"UNDERSTUDY_STREAM": errand.mark})
    staging.discard()
    assert left.wait() != 0
    assert not staging.directory.exists()
    staging.discard()


def test_a_dump_that_takes_too_long_or_has_no_server_or_no_room_is_told_as_that(collection, programs, errand):
    hurried = replace(errand, time_limit=timedelta(seconds=1))
    with pytest.raises(GiveUp, match="dump_timed_out"):
        list(collection(programs=programs("sleep 600"), errand=hurried).entries())
    nobody = f"postgresql://nobody@127.0.0.1:{free_port()}/postgres"
    with pytest.raises(TryAgain, match="database_unreachable"):
        list(collection(url=nobody).entries())
    staging = DumpStaging(errand)
    staging.begin()
    with pytest.raises(GiveUp, match="staging_too_small"):
        staging.require_room(2**62)


def test_a_role_that_sees_a_part_of_the_rows_only_dumps_nothing(collection, server):
    for statement in (
        "create role narrow login password 'narrow'", "grant select on all tables in schema public to narrow",
        "create table kept (id int)", "insert into kept values (1), (2)", "grant select on kept to narrow",
        "alter table kept enable row level security", "create policy narrowed on kept using (id = 1)",
    ):  # fmt: skip
        server.sql(statement, db=ODD)
    try:
        url = f"postgresql://narrow:narrow@127.0.0.1:{server.port}/postgres"
        with pytest.raises(GiveUp, match="dump_failed"):
            list(collection(DumpWish((ODD,), 1, True), url=url).entries())
    finally:
        server.sql("drop table kept; drop owned by narrow; drop role narrow", db=ODD)


def test_names_of_databases_lead_nowhere_and_are_told_apart():
    names = ["shop", "..", ".", "a/b", "a%2Fb", "Ä", "dump.json"]
    directories = [directory_of_database(name) for name in names]
    assert len(set(directories)) == len(names)
    assert not any("/" in each or each in (".", "..") for each in directories)


def test_rows_are_lines_and_a_file_that_does_not_end_as_copy_does_has_none(tmp_path):
    file = tmp_path / "1.dat"
    for content, rows in ((b"\\.\n\n\n", 0), (b"1\n2\n\\.\n\n\n", 2), (b"\n\n\\.\n\n\n", 2), (b"1\n2\n", None), (b"", None)):
        file.write_bytes(content)
        assert rows_in(file, see_file(file)) == rows
