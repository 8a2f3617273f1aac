"""A full backup and three incrementals, applied in place while they stream, against what ``pg_combinebackup`` makes of them."""

import shutil
import subprocess

import pytest

from tests.repository.archives_on_disk import base_backup
from tests.repository.packing_world import Interrupted, PackingWorld, owner_ids
from tests.repository.trees import tree
from tests.servers.flavours import Flavour, give_to_owner, run_as_owner
from understudy.repository.restore_target import RestoreTarget
from understudy.vocabulary.errors import GiveUp

CHANGES = [
    # Growth, a truncated and a shrunken table, a dropped one, a new database with its own directory.
    """insert into grows select id, repeat('g', 200) from generate_series(1, 20000) id;
       truncate emptied; delete from shrinks where id > 5000; vacuum shrinks; drop table dropped;
       update pgbench_accounts set abalance = 1 where aid % 97 = 0; create database passing""",
    # The shrunken table grows again; the database goes.
    """insert into shrinks select id, repeat('s', 300) from generate_series(6000, 30000) id;
       insert into emptied select id, 'x' from generate_series(1, 3000) id;
       create table late as select id, md5(id::text) v from generate_series(1, 5000) id; create index on late (id);
       vacuum full pgbench_branches; drop database passing""",
    """delete from grows where id % 3 = 0; vacuum (freeze) grows; delete from shrinks; vacuum shrinks;
       update spaced set v = 'changed' where id % 50 = 0; insert into unlogged_one select generate_series(1, 1000);
       reindex table late""",
]


@pytest.fixture(scope="module")
def chain():
    """The backups' streams by name, and the directory that ``pg_combinebackup`` made of them."""
    from tests.servers.postgres import PostgresServer

    with PostgresServer(Flavour.WHEEL_18) as server:
        space = server.new_directory("space")
        server.program("pgbench", "-i", "-q", "-s", "2", "postgres")
        server.sql(f"create tablespace space location '{space}'")
        server.sql("""
            create table grows as select id, repeat('g', 200) v from generate_series(1, 5000) id;
            create table shrinks as select id, repeat('s', 300) v from generate_series(1, 30000) id;
            create table emptied as select id, 'x' v from generate_series(1, 3000) id;
            create table dropped as select id from generate_series(1, 3000) id;
            create table spaced tablespace space as select id, repeat('t', 100) v from generate_series(1, 20000) id;
            create unlogged table unlogged_one (id int);
        """)
        streams = {"full": base_backup(server, "full")}
        for number in range(3):
            for statement in CHANGES[number].split(";"):
                server.sql(statement)
            server.program("pgbench", "-n", "-t", "200", "-c", "2", "postgres")
            before = "full" if number == 0 else f"inc{number}"
            streams[f"inc{number + 1}"] = base_backup(server, f"inc{number + 1}", parent=before)
        yield streams, _combined(server, streams)


def _combined(server, streams):
    """What ``pg_combinebackup`` makes of the same archives, extracted: the data directory and the tablespace's."""
    plain = []
    for name, stream in streams.items():
        directory, space = server.new_directory(f"plain-{name}"), server.new_directory(f"plain-{name}-space")
        for archive in stream.directory.glob("*.tar"):
            place = directory if archive.stem == "base" else space
            subprocess.run(["tar", "-xf", str(archive), "-C", str(place)], check=True, **run_as_owner())
        (directory / "pg_tblspc" / stream.tablespace_oid).symlink_to(space)
        (directory / "tablespace_map").unlink()
        shutil.copy(stream.directory / "backup_manifest", directory)
        give_to_owner(directory / "backup_manifest")
        plain.append(directory)
    output, space = server.directory / "combined", server.directory / "combined-space"
    server.program("pg_combinebackup", *map(str, plain), "-o", str(output), "-T", f"{server.directory}/plain-inc3-space={space}")
    return output, space


def _restore(world, streams, target, names, **options):
    parent = None
    for name in names:
        backup = world.sealed(world.pack(streams[name], name, part_bytes=1024 * 1024), name)
        world.unpack(backup, target, parent=parent, **options)
        parent = backup.manifest
    return parent


@pytest.fixture
def world(tmp_path):
    return PackingWorld(tmp_path)


@pytest.fixture
def target(tmp_path, chain):
    streams, _ = chain
    oid = int(streams["full"].tablespace_oid)
    places = [tmp_path / "target", tmp_path / "space"]
    for place in places:
        place.mkdir(mode=0o700)
    return RestoreTarget(places[0], {oid: places[1]}, owner_ids())


def test_the_chain_applied_in_place_equals_pg_combinebackup_byte_for_byte(world, chain, target):
    streams, (combined, combined_space) = chain
    _restore(world, streams, target, list(streams))
    (oid,) = target.tablespaces
    links = {f"pg_tblspc/{oid}"}
    expected = tree(combined, without=("backup_manifest", *links))
    assert tree(target.directory, without=tuple(links)) == expected
    assert tree(target.tablespaces[oid]) == tree(combined_space)
    assert (target.directory / "pg_tblspc" / str(oid)).readlink() == target.tablespaces[oid]
    assert b"INCREMENTAL" not in (target.directory / "backup_label").read_bytes()


def test_an_incremental_that_was_interrupted_is_completed_by_applying_it_again(world, chain, target):
    streams, (combined, _) = chain
    parent = _restore(world, streams, target, ["full", "inc1", "inc2"])
    backup = world.sealed(world.pack(streams["inc3"], "inc3", part_bytes=1024 * 1024), "inc3")
    receipts: dict[str, tuple[str, ...]] = {}

    def receipt(name, directories):
        receipts[name] = directories
        if len(receipts) == 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        world.unpack(backup, target, parent=parent, part_done=receipt)
    first = dict(list(receipts.items())[:1])
    unpacked = world.unpack(backup, target, parent=parent, done_parts=first)
    assert unpacked.skipped_parts == 1
    links = (f"pg_tblspc/{next(iter(target.tablespaces))}",)
    assert tree(target.directory, without=links) == tree(combined, without=("backup_manifest", *links))


def test_an_incremental_on_another_parent_is_refused(world, chain, target):
    streams, _ = chain
    parent = _restore(world, streams, target, ["full"])
    backup = world.sealed(world.pack(streams["inc2"], "inc2"), "inc2")
    with pytest.raises(GiveUp, match=r"incremental_(wrong_parent|parent_missing)"):
        world.unpack(backup, target, parent=parent)


def test_an_incremental_without_its_parent_is_refused(world, chain, target):
    streams, _ = chain
    backup = world.sealed(world.pack(streams["inc1"], "inc1"), "inc1")
    with pytest.raises(GiveUp, match="incremental_parent_missing"):
        world.unpack(backup, target)
    assert list(target.directory.iterdir()) == []


def test_a_full_backup_is_refused_as_an_incremental(world, chain, target):
    streams, _ = chain
    parent = _restore(world, streams, target, ["full"])
    backup = world.sealed(world.pack(streams["full"], "again"), "again")
    with pytest.raises(GiveUp, match="incremental_wrong_parent"):
        world.unpack(backup, target, parent=parent)


def test_pages_that_grew_back_without_wal_are_zero_as_on_the_server(world, tmp_path, postgres_servers):
    """Where ``pg_combinebackup`` of 18 brings back pages of the full backup that the server no longer has."""
    server = postgres_servers(Flavour.WHEEL_18, settings={"autovacuum": "off"})
    server.sql("create table t as select id, repeat('s', 300) v from generate_series(1, 30000) id")
    server.sql("vacuum (freeze) t")
    streams = {"full": base_backup(server, "full")}
    server.sql("delete from t where id > 15000")
    server.sql("vacuum t")
    streams["shrunk"] = base_backup(server, "shrunk", parent="full")
    with server.connect() as connection, connection.cursor().copy("copy t from stdin") as copy:
        for number in range(1500):
            copy.write_row((number, "n" * 200))
    streams["grown"] = base_backup(server, "grown", parent="shrunk")
    (tmp_path / "target").mkdir(mode=0o700)
    target = RestoreTarget(tmp_path / "target", owner=owner_ids())
    _restore(world, streams, target, list(streams))
    ((path,),) = server.sql("select pg_relation_filepath('t')")
    live = (server.data / path).read_bytes()
    assert live.endswith(bytes(8192)), "COPY no longer extends by more pages than it fills: find another way to such pages"
    assert (target.directory / path).read_bytes() == live
