"""What a person sees who keeps a server as dumps: the commands as they are typed."""

import json

import pytest

from tests.adapters.dumps.shop import ITEMS, ODD, ORDERS, STOCK, STOCKED, fill_shop
from tests.app.shelf import Shelf
from tests.cli.commands import assert_refused, understudy
from tests.room import new_path
from tests.servers.flavours import REPLICATION_PASSWORD
from tests.servers.postgres import PostgresServer


@pytest.fixture(scope="module")
def server():
    with PostgresServer("debian15") as made:
        fill_shop(made)
        yield made


@pytest.fixture
def shelf(server):
    directory = new_path("shelf")
    directory.mkdir()
    made = Shelf(directory)
    made.docs.mkdir()
    made.secret_file("url", server.url)
    made.secret_file("poor-url", server.replication_url)
    keep(made)
    yield made
    made.close()


def keep(shelf, **settings):
    declared = {"kind": "postgres-dump", "url": f"file:{shelf.directory}/url", **settings}
    shelf.write(resources=[f"accounts: {json.dumps(declared)}"])


def findings(shelf):
    found = json.loads(understudy(shelf, "check", "--json").stdout)["findings"]
    return {each["aspect"]: each for each in found if each["subject"] == "resource accounts"}


def test_databases_are_dumped_listed_verified_watched_and_come_back_for_stock_tools(shelf, server):
    found = findings(shelf)
    assert f"dumped: {ODD}, postgres, shop" in found["source"]["found"], found
    assert found["schedule"]["grade"] == "warning" and "no snapshots are scheduled" in found["schedule"]["found"]
    taken = understudy(shelf, "backup", "accounts")
    assert taken.returncode == 0, taken.stdout + taken.stderr
    (run,) = shelf.installation.past.runs()
    shown = understudy(shelf, "show", run.run, "--json").stdout
    assert '"rows": 308' in shown and '"role_passwords": true' in shown, shown
    assert list((shelf.state / "runs").rglob("*-dump")) == [], "nothing that was dumped lies there in the clear"
    assert understudy(shelf, "verify", "accounts", "--deep").returncode == 0
    assert "accounts  (postgres-dump, standard)" in understudy(shelf, "status").stdout

    restored = understudy(shelf, "restore", "accounts", "--to", shelf.directory / "found")
    assert restored.returncode == 0, restored.stderr
    there = shelf.directory / "found"
    assert {path.name for path in there.iterdir()} == {"dump.json", "globals.sql", "postgres", "shop", "odd%2F%22name%22%20%25"}
    assert "CREATE ROLE keeper" in (there / "globals.sql").read_text()
    assert b"SCRAM-SHA-256" in (there / "globals.sql").read_bytes()
    there.chmod(0o755)
    for path in (there / "shop", *(there / "shop").iterdir()):
        path.chmod(0o755)
    server.sql("create database again")
    try:
        server.program("pg_restore", "--exit-on-error", "--dbname=again", str(there / "shop"))
        assert server.sql("select count(*) from orders", db="again") == [(ORDERS,)]
        assert server.sql("select convert_from(lo_get(oid), 'UTF8') from pg_largeobject_metadata", db="again") == [
            ("a large object",)
        ]
    finally:
        server.sql("drop database again")
    everything = [path for path in shelf.state.rglob("*") if path.is_file()]
    assert not any(b"s3cret-of" in path.read_bytes() for path in everything), "and no password is written down"


def test_one_database_or_one_table_comes_back_alone(shelf):
    assert understudy(shelf, "backup", "accounts").returncode == 0
    one = understudy(shelf, "restore", "accounts", "--to", shelf.directory / "one", "--database", ODD)
    assert one.returncode == 0, one.stderr
    (directory,) = (shelf.directory / "one").iterdir()
    assert {path.suffix for path in directory.iterdir()} == {".dat"} and (directory / "toc.dat").exists()
    table = understudy(shelf, "restore", "accounts", "--to", shelf.directory / "table", "--table", f"shop.{STOCK}.{ITEMS}")
    assert table.returncode == 0, table.stderr
    files = sorted(path.name for path in (shelf.directory / "table" / "shop").iterdir())
    assert len(files) == 2 and files[1] == "toc.dat"
    assert (shelf.directory / "table" / "shop" / files[0]).read_bytes().count(b"\n") == STOCKED + 3
    to = ("restore", "accounts", "--to", shelf.directory / "none")
    assert_refused(understudy(shelf, *to, "--table", "shop.orders"), "table_missing", 5)
    assert "shop.public.orders" in understudy(shelf, *to, "--table", "shop.orders").stderr
    assert "entry_missing" in understudy(shelf, *to, "--database", "gone").stderr
    assert_refused(understudy(shelf, *to, "--only", "shop"), "only_unusable", 5)
    assert_refused(understudy(shelf, "restore", "docs", "--to", shelf.directory / "none", "--table", "a.b.c"), "part_unusable", 5)


def test_tables_that_did_not_change_are_not_stored_again(shelf, server):
    server.sql("create database large")
    try:
        server.sql("create table filler as select md5(i::text) from generate_series(1, 20000) i", db="large")
        keep(shelf, databases=["large"])
        for _ in range(2):
            assert understudy(shelf, "backup", "accounts").returncode == 0
        first, second = (
            path.stat().st_size for path in sorted((shelf.directory / "near" / "postgres-dump" / "accounts" / "parts").iterdir())
        )
        assert second < first / 50
    finally:
        server.sql("drop database large")


def test_what_keeps_a_server_from_being_dumped_is_told_with_what_to_do(shelf, tmp_path):
    keep(shelf, url=f"file:{shelf.directory}/poor-url", databases=["shop"])
    found = findings(shelf)
    assert "shop.public.orders" not in found["source"]["found"]
    assert "public.orders" in found["rights"]["found"] and found["rights"]["change"].startswith("GRANT pg_read_all_data")
    assert "without their passwords" in found["passwords"]["found"]
    failed = understudy(shelf, "backup", "accounts")
    assert failed.returncode == 1, failed.stdout
    assert "dump_failed" in failed.stdout + failed.stderr and "pg_read_all_data" in failed.stdout + failed.stderr
    assert REPLICATION_PASSWORD not in failed.stdout + failed.stderr
    keep(shelf, databases=["shop", "nowhere"])
    assert "nowhere" in json.dumps(findings(shelf)["source"])
    keep(shelf, programs=str(tmp_path))
    assert "programs_missing" in json.dumps(findings(shelf)["source"])
