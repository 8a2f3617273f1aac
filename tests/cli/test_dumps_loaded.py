"""Dumps that go into a running server, and into one that a drill makes."""

import json

import pytest

from tests.adapters.dumps.shop import ITEMS, ODD, ORDERS, STOCK, STOCKED, fill_shop
from tests.app.shelf import Shelf
from tests.cli.commands import assert_refused, understudy
from tests.room import new_path
from tests.servers.postgres import PostgresServer

CHECKS = [{"sql": "select count(*) from orders", "equals": str(ORDERS), "database": "shop", "name": "all orders"}]


@pytest.fixture(scope="module")
def source():
    with PostgresServer("debian15") as made:
        fill_shop(made)
        yield made


@pytest.fixture(scope="module")
def kept(source):
    """With a dump in it; only to be copied."""
    directory = new_path("shelf")
    directory.mkdir()
    made = Shelf(directory)
    made.docs.mkdir()
    declare(made, source)
    done = understudy(made, "backup", "accounts")
    assert done.returncode == 0, done.stderr
    yield made
    made.close()


@pytest.fixture
def target():
    with PostgresServer("debian15") as made:
        yield made


def declare(shelf, source, target=None, **settings):
    shelf.secret_file("url", source.url)
    declared = {"kind": "postgres-dump", "url": f"file:{shelf.directory}/url", "checks": CHECKS, **settings}
    if target is not None:
        shelf.secret_file("target", target.url)
        declared["recover"] = {"url": f"file:{shelf.directory}/target"}
    shelf.write(resources=[f"accounts: {json.dumps(declared)}"])


def databases(server):
    return {name for (name,) in server.sql("select datname from pg_database where not datistemplate")}


def test_a_dump_is_loaded_with_roles_settings_rights_and_every_row_and_nothing_is_overwritten(kept, source, target):
    declare(kept, source, target)
    before = target.sql("select rolpassword from pg_authid where rolname = 'postgres'")
    loaded = understudy(kept, "restore", "accounts", "--load", "--yes")
    assert loaded.returncode == 0, loaded.stdout + loaded.stderr
    said = " ".join(loaded.stdout.split())
    assert f"loaded: shop: {ORDERS + STOCKED} rows in 3 tables" in said, said
    assert databases(target) == {"postgres", "shop", ODD}
    for question in (
        "select count(*), min(note), max(note) from orders",
        "select setdatabase::regclass is null, setconfig from pg_db_role_setting where setdatabase = "
        "(select oid from pg_database where datname = 'shop')",
        "select pg_get_userbyid(datdba) from pg_database where datname = 'shop'",
        "select relacl::text from pg_class where relname = 'orders'",
        "select last_value from numbers",
        "select convert_from(lo_get(oid), 'UTF8') from pg_largeobject_metadata",
        "select rolpassword from pg_authid where rolname = 'keeper'",
        "select roleid::regrole::text from pg_auth_members where member = 'keeper'::regrole",
    ):
        assert target.sql(question, db="shop") == source.sql(question, db="shop"), question
    assert target.sql("select rolpassword from pg_authid where rolname = 'postgres'") == before, "who is there stays as they are"
    assert list((kept.state / "loads").iterdir()) == []
    again = understudy(kept, "restore", "accounts", "--load", "--yes")
    assert_refused_in_run(again, "target_not_empty")

    one = ("restore", "accounts", "--load", "--yes", "--into", f"file:{kept.directory}/target")
    renamed = understudy(kept, *one, "--database", "shop", "--as", "yesterday")
    assert renamed.returncode == 0, renamed.stderr
    assert target.sql("select count(*) from orders", db="yesterday") == [(ORDERS,)]
    table = (*one, "--table", f"shop.{STOCK}.{ITEMS}")
    assert_refused_in_run(understudy(kept, *table), "table_exists")
    assert understudy(kept, *table, "--as", ODD).returncode == 0, "into a database that is there"
    assert understudy(kept, *table, "--as", "alone").returncode == 0, "and into one that is made for it"
    for name in (ODD, "alone"):
        rows = target.sql("select n_live_tup from pg_stat_user_tables where relname = 'items ; of'", db=name)
        assert len(rows) == 1, "its rows were counted by the load"
    assert_refused(understudy(kept, "restore", "accounts", "--load", "--yes", "--as", "x"), "part_unusable", 5)
    assert not any("understudy_" in name for name in databases(target))


def assert_refused_in_run(done, code):
    assert done.returncode == 5, done.stdout + done.stderr
    assert code in done.stdout + done.stderr


def test_a_load_whose_checks_fail_leaves_no_database_of_that_name_nor_of_another(kept, source, target):
    declare(kept, source, target, checks=[{**CHECKS[0], "equals": "7"}])
    failed = understudy(kept, "restore", "accounts", "--load", "--yes", "--database", "shop")
    assert failed.returncode == 1 and "check_failed" in failed.stdout + failed.stderr, failed.stdout + failed.stderr
    assert databases(target) == {"postgres"}, "also nothing under a temporary name"


def test_a_drill_loads_a_dump_into_a_server_of_its_own_and_leaves_nothing(kept, source):
    declare(kept, source)
    drilled = understudy(kept, "drill", "storage_loss", "--resource", "accounts")
    said = " ".join(drilled.stdout.split())
    assert drilled.returncode == 0, drilled.stdout + drilled.stderr
    assert f"3 databases, {ORDERS + STOCKED + 1} rows in 4 tables" in said and f"check: all orders: {ORDERS}" in said, said
    assert list((kept.state / "drills").iterdir()) == []
    declare(kept, source, checks=[{**CHECKS[0], "equals": "7"}])
    failed = understudy(kept, "drill", "storage_loss", "--resource", "accounts")
    assert failed.returncode == 1 and "check_failed" in failed.stdout + failed.stderr
    assert list((kept.state / "drills").iterdir()) == []


def test_a_real_recovery_loads_it_and_is_measured(kept, source, target):
    declare(kept, source, target)
    recovered = understudy(kept, "recover", "storage_loss", "--resource", "accounts", "--yes")
    assert recovered.returncode == 0, recovered.stdout + recovered.stderr
    assert target.sql("select count(*) from orders", db="shop") == [(ORDERS,)]
