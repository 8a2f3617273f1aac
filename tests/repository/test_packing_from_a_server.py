"""The whole way with nothing in between: ``BASE_BACKUP`` through the adapter, sealed parts, a target, a server that starts."""

import os
from contextlib import contextmanager

import pytest

from tests.repository.packing_world import Listener, PackingWorld, owner_ids
from tests.servers.flavours import Flavour
from understudy.adapters.clock.system import SystemClock
from understudy.adapters.postgres.database import PostgresDatabase
from understudy.ports.database import BaseBackupRequest
from understudy.repository.restore_target import RestoreTarget
from understudy.repository.sealing import read_sealed
from understudy.vocabulary.errors import Cancelled
from understudy.vocabulary.secret import Secret

MEGABYTE = 1024 * 1024


@pytest.fixture
def world(tmp_path):
    return PackingWorld(tmp_path)


@contextmanager
def database_of(server):
    database = PostgresDatabase(Secret(server.replication_url), SystemClock())
    try:
        yield database
    finally:
        database.close()


def back_up(world, database, label, parent=None):
    """Its label and what was packed; ``parent`` is such a pair."""
    manifest = []
    if parent is not None:
        key = f"backups/{parent[0]}/{parent[1].server_manifest.name}"
        manifest = list(read_sealed(world.store, world.sealer, key, world.identity))
    request = BaseBackupRequest(label, incremental=parent is not None, parent_manifest=manifest)
    with database.base_backup(request) as stream:
        return label, world.pack(stream, label, part_bytes=4 * MEGABYTE)


@pytest.mark.parametrize("flavour", list(Flavour))
def test_a_database_lost_after_its_backups_starts_again_with_every_row(world, postgres_servers, flavour):
    server = postgres_servers(flavour)
    server.sql(f"create tablespace space location '{server.new_directory('space')}'")
    server.sql("create table t tablespace space as select generate_series(1, 200000) id")
    with database_of(server) as database:
        taken = [back_up(world, database, "full")]
        if flavour.major >= 17:
            server.sql("update t set id = -id where id % 1000 = 0")
            server.sql("create table late as select generate_series(1, 10) id")
            taken.append(back_up(world, database, "inc", taken[0]))
    (oid,) = {part.tablespace_oid for part in taken[0][1].parts} - {None}
    expected = server.sql("select count(*), sum(id) from t")
    server.sql("select pg_switch_wal()")
    wal = {path.name: path.read_bytes() for path in (server.data / "pg_wal").glob("0*") if path.is_file()}
    server.kill_everything()
    server.destroy()
    server.data.mkdir(mode=0o700)
    target = RestoreTarget(server.data, {oid: server.new_directory("moved")}, owner_ids())
    if target.owner is not None:
        os.chown(server.data, *target.owner)
    parent = None
    for label, packed in taken:
        backup = world.sealed(packed, label)
        world.unpack(backup, target, parent=parent)
        parent = backup.manifest
    for name, content in wal.items():
        with target.open_file(f"pg_wal/{name}") as descriptor:
            os.write(descriptor, content)
    server.start()
    assert server.sql("select count(*), sum(id) from t") == expected
    if len(taken) > 1:
        assert server.sql("select count(*) from late") == [(10,)]


def test_a_cancelled_backup_is_over_on_the_server_too(world, postgres_servers):
    server = postgres_servers(Flavour.WHEEL_18)
    server.sql("create table t as select generate_series(1, 200000) id")
    listener = Listener(cancel_at_bytes=4 * MEGABYTE)
    with (
        database_of(server) as database,
        pytest.raises(Cancelled),
        database.base_backup(BaseBackupRequest("doomed")) as stream,
    ):
        world.pack(stream, "doomed", listener=listener)
    assert server.sql("select count(*) from pg_stat_progress_basebackup") == [(0,)]
