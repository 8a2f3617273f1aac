"""A server with a small shop in it, and what stands beside a shop: odd names, large objects, a second database, roles."""

from tests.servers.postgres import PostgresServer

ODD = 'odd/"name" %'
STOCK, ITEMS = 'Old "Stock"', "items ; of"
ORDERS, STOCKED = 300, 7


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def fill_shop(server: PostgresServer) -> None:
    for statement in (
        "create role keeper login password 'keeper''s own'",
        "create role readers",
        "grant readers to keeper",
        "create database shop owner keeper",
        f"create database {quoted(ODD)}",
        "alter database shop set statement_timeout = '90s'",
    ):
        server.sql(statement)
    items = f"{quoted(STOCK)}.{quoted(ITEMS)}"
    rows = f"generate_series(1, {ORDERS}) i"
    statements = f"""
        create table orders (id int primary key, note text);
        insert into orders select i, 'line one' || chr(10) || 'tab' || chr(9) || i from {rows};
        create table empty_one (id int);
        create schema {quoted(STOCK)};
        create table {items} (id int);
        insert into {items} select generate_series(1, {STOCKED});
        create materialized view totals as select count(*) from orders;
        create view seen as select id from orders;
        create sequence numbers;
        select nextval('numbers');
        grant select on orders to readers;
        select lo_from_bytea(0, 'a large object');
    """  # noqa: S608 - names of the tests' own
    server.sql(statements, db="shop")
    server.sql("create table t (id int); insert into t values (1)", db=ODD)
