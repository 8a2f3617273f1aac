"""One database, or one table, out of a base backup and the WAL behind it."""

import subprocess

import pytest

from tests.app.desk import Desk
from tests.cli.commands import assert_refused, understudy
from tests.servers.postgres import PostgresServer


@pytest.fixture(scope="module")
def desk():
    """A server with two databases, backed up; rows that came behind the backup are in the WAL, and a table is lost since."""
    with PostgresServer(segment_megabytes=1) as server:
        server.sql("create database shop")
        server.sql("create table orders (id int primary key); create table other (id int)", db="shop")
        server.sql("insert into orders select generate_series(1, 100)", db="shop")
        made = Desk()
        made.server = server
        made.write(server)
        done = understudy(made, "backup", "orders")
        assert done.returncode == 0, done.stderr
        server.sql("insert into orders select generate_series(101, 150)", db="shop")
        made.moment = server.sql(
            "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"')"
        )[0][0]
        server.sql("drop table orders", db="shop")
        server.sql("select pg_switch_wal()")
        server.sql("create table behind (id int)", db="shop")
        assert understudy(made, "backup", "orders").returncode == 0, "which ships what is before it"
        yield made
        made.close()


def restore(desk, place, *arguments):
    return understudy(desk, "restore", "orders", "--to", desk.directory / place, *arguments)


def nothing_is_left_aside(desk):
    return list((desk.state / "drills").iterdir()) == []


def test_a_table_that_was_dropped_is_taken_out_of_the_moment_before_and_loaded_by_stock_pg_restore(desk):
    done = restore(desk, "found", "--table", "shop.public.orders", "--time", desk.moment)
    assert done.returncode == 0, done.stdout + done.stderr
    said = " ".join(done.stdout.split())
    assert "150 rows in 1 tables, as many as the server counted" in said and "pg_restore --exit-on-error" in said, said
    assert nothing_is_left_aside(desk)
    (dumped,) = (desk.directory / "found").iterdir()
    desk.server.sql("create database again")
    try:
        programs = desk.server.programs
        subprocess.run(
            [
                programs / "pg_restore",
                "--exit-on-error",
                f"--dbname={desk.server.url.removesuffix('postgres') + 'again'}",
                dumped,
            ],
            check=True,
        )
        assert desk.server.sql("select count(*) from orders", db="again") == [(150,)]
        assert desk.server.sql("select count(*) from pg_indexes where tablename = 'orders'", db="again") == [(1,)]
    finally:
        desk.server.sql("drop database again")


def test_a_whole_database_is_taken_out(desk):
    done = restore(desk, "whole", "--database", "shop")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in (desk.directory / "whole").iterdir()} == {"shop"}
    assert nothing_is_left_aside(desk)


def test_what_is_not_there_leaves_neither_a_copy_nor_a_directory(desk):
    for part, code in (("--table=shop.public.gone", "table_missing"), ("--database=gone", "database_missing")):
        done = restore(desk, "none", part)
        assert done.returncode == 1 and code in done.stdout + done.stderr, done.stdout + done.stderr
        assert not (desk.directory / "none").exists() and nothing_is_left_aside(desk)
    assert_refused(restore(desk, "none", "--table", "orders"), "option_malformed", 2)
    (desk.directory / "taken").mkdir(exist_ok=True)
    (desk.directory / "taken" / "file").touch()
    assert_refused(restore(desk, "taken", "--database", "shop"), "target_not_empty", 5)
