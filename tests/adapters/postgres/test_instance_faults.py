"""What LocalInstances says when a server cannot run, or what it holds is damaged: negative controls of each check."""

import os
import shutil
import socket
import subprocess
import sys
from dataclasses import replace

import psycopg
import pytest

from tests.adapters.postgres.clusters import CLOSED, Cluster, clusters, instances_of
from tests.contracts.instances import OF_EVERYTHING, read_everything
from tests.room import new_path
from tests.servers.flavours import Flavour, give_to_owner, programs_of
from tests.servers.processes import wait_until
from understudy.adapters.clock.system import SystemClock
from understudy.adapters.postgres.accounts import Account
from understudy.adapters.postgres.configuration import make_socket_directory
from understudy.adapters.postgres.instances import LocalInstances
from understudy.adapters.postgres.programs import PostgresPrograms
from understudy.ports.instance import InstancePlace, StopMode
from understudy.vocabulary.errors import GiveUp, Refusal

__all__ = ["clusters"]


def failure(cluster, settings=None, place=None):
    with pytest.raises(GiveUp) as refused:
        cluster.start(settings, place=place)
        wait_until(lambda: not cluster.instances.facts(cluster.place).running, "its end")
        cluster.instances.query(cluster.place, "select 1")
    assert refused.value.found and refused.value.expected and refused.value.hint
    return refused.value


@pytest.mark.parametrize("flavour", list(Flavour))
def test_settings_below_what_the_wal_demands_are_named(clusters, flavour):
    cluster = clusters(flavour)
    (cluster.data / "standby.signal").touch()
    error = failure(cluster, {"max_connections": "10"})
    assert error.code == "settings_too_small"
    assert "max_connections = 10" in error.found


def test_a_port_in_use_is_named(clusters):
    cluster = clusters()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        place = InstancePlace(cluster.place.directory, cluster.place.socket_directory, port, "127.0.0.1")
        assert failure(cluster, place=place).code == "port_in_use"


def test_open_permissions_are_named(clusters):
    cluster = clusters()
    cluster.data.chmod(0o777)
    error = failure(cluster)
    assert error.code == "place_denied"
    assert "0777" in error.found or "invalid permissions" in error.found


def test_a_damaged_control_file_is_named(clusters):
    cluster = clusters()
    control = cluster.data / "global" / "pg_control"
    content = bytearray(control.read_bytes())
    content[40] ^= 1
    control.write_bytes(content)
    assert failure(cluster).code == "control_file_corrupted"
    with pytest.raises(GiveUp) as refused:
        cluster.instances.control_data(cluster.place.directory)
    assert refused.value.code == "control_file_corrupted"


def test_a_setting_that_this_major_does_not_know_is_named(clusters):
    assert failure(clusters(), {"no_such_setting": "1"}).code == "setting_rejected"


def test_a_missing_tablespace_is_named_although_postgresql_would_start(clusters):
    cluster = clusters()
    (cluster.data / "pg_tblspc" / "16384").symlink_to(cluster.root / "unmounted")
    error = failure(cluster)
    assert error.code == "tablespace_missing"
    assert str(cluster.root / "unmounted") in error.found


def test_a_missing_library_is_named(clusters):
    assert failure(clusters(), {"shared_preload_libraries": "no_such_library"}).code == "library_missing"


def test_programs_of_another_major_are_refused_before_anything_is_touched(clusters):
    cluster = clusters(Flavour.WHEEL_16)
    before = sorted(path.name for path in cluster.data.iterdir())
    with pytest.raises(GiveUp) as refused:
        instances_of(Flavour.WHEEL_18).start(cluster.place, {}, CLOSED)
    assert refused.value.code == "programs_wrong_major"
    assert before == sorted(path.name for path in cluster.data.iterdir())


def test_programs_that_the_servers_user_may_not_run_are_named(clusters, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root has programs that another user cannot run")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "bin").symlink_to(programs_of(Flavour.WHEEL_18))
    instances = LocalInstances(PostgresPrograms(closed / "bin", 18), SystemClock())
    with pytest.raises(GiveUp) as refused:
        instances.start(clusters().place, {}, CLOSED)
    assert refused.value.code == "programs_unreachable"


def test_a_socket_path_that_is_too_long_is_refused(clusters):
    cluster = clusters()
    with pytest.raises(Refusal) as refused:
        cluster.start(place=InstancePlace(cluster.place.directory, f"/tmp/{'x' * 100}"))
    assert refused.value.code == "socket_path_too_long"


def test_a_socket_directory_that_cannot_be_made_is_named(clusters):
    cluster = clusters()
    with pytest.raises(GiveUp) as refused:
        cluster.start(place=InstancePlace(cluster.place.directory, "/dev/null/s"))
    assert refused.value.code == "socket_directory_unusable"
    assert "/dev/null" in refused.value.found


def test_a_data_directory_that_may_not_be_looked_into_is_never_called_quiet(clusters):
    cluster = clusters()
    if os.geteuid() != 0:
        pytest.skip("root becomes somebody else here")
    script = f"from understudy.adapters.postgres.lock_file import LockFile; LockFile.read({str(cluster.data)!r})"
    command = [sys.executable, "-c", f"import os, understudy.adapters.postgres.lock_file; os.setuid(65534); {script}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "place_denied" in done.stderr


def test_a_page_that_was_changed_is_counted_as_bad(clusters):
    cluster = clusters()
    relation = max((cluster.data / "base" / "1").glob("[0-9]*"), key=lambda path: path.stat().st_size)
    content = bytearray(relation.read_bytes())
    content[5000] ^= 1
    relation.write_bytes(content)
    assert cluster.instances.verify_checksums(cluster.place.directory)[1] == 1


def test_a_row_that_cannot_be_read_fails_the_logical_read(clusters):
    cluster = clusters()
    cluster.start()
    cluster.wait_until_ready()
    instances, place = cluster.instances, cluster.place
    instances.execute(place, ["create table t as select generate_series(1, 5000) n", "checkpoint"])
    path = cluster.data / str(instances.query(place, "select pg_relation_filepath('t')")[0][0])
    instances.stop(place, StopMode.FAST)
    content = bytearray(path.read_bytes())
    content[9000] ^= 1
    path.write_bytes(content)
    cluster.start()
    cluster.wait_until_ready()
    with pytest.raises(GiveUp) as refused:
        read_everything(instances, place)
    assert refused.value.code == "logical_read_failed"
    assert "page" in refused.value.found


@pytest.fixture(scope="module")
def filled():
    """A server with one of each kind of thing that holds rows; its files are damaged and mended while it is stopped."""
    cluster = Cluster(Flavour.WHEEL_18)
    cluster.start()
    cluster.wait_until_ready()
    cluster.instances.execute(cluster.place, [*OF_EVERYTHING, "vacuum", "checkpoint"])
    yield cluster
    cluster.close()


def file_of(cluster, relation):
    cluster.start()
    cluster.wait_until_ready()
    path = cluster.data / str(cluster.instances.query(cluster.place, f"select pg_relation_filepath({relation})")[0][0])
    cluster.instances.stop(cluster.place, StopMode.FAST)
    return path


@pytest.mark.parametrize(
    ("relation", "block", "named"),
    [
        ("'ranged'", -1, "public.ranged from block"),
        ("'parted_2'", 0, "public.parted_2 of"),
        ("'seen'", 0, "public.seen of"),
        ("'counter'", 0, "public.counter of"),
        ("'pg_largeobject'", -1, "large objects from"),
        ("'pg_largeobject_loid_pn_index'", 1, "large objects from"),
        ("(select reltoastrelid from pg_class where relname = 'parted_1')::regclass", -1, "public.parted_1 of"),
        ("'pg_attribute'", -1, "database postgres"),
    ],
)
def test_damage_wherever_rows_lie_fails_the_logical_read_and_is_named(filled, relation, block, named):
    path = file_of(filled, relation)
    sound = path.read_bytes()
    damaged = bytearray(sound)
    damaged[(block % (len(sound) // 8192)) * 8192 + 4000] ^= 1
    path.write_bytes(damaged)
    filled.start()
    filled.wait_until_ready()
    try:
        with pytest.raises(GiveUp) as refused:
            read_everything(filled.instances, filled.place)
    finally:
        filled.instances.stop(filled.place, StopMode.IMMEDIATE)
        path.write_bytes(sound)
    assert refused.value.code == "logical_read_failed"
    assert named in refused.value.found


def test_a_value_that_its_type_cannot_write_fails_the_logical_read_on_sound_pages(clusters):
    cluster = clusters()
    cluster.start()
    cluster.wait_until_ready()
    instances, place = cluster.instances, cluster.place
    instances.execute(place, ["create type mood as enum ('calm', 'awake')", "create table felt as select 'awake'::mood"])
    assert read_everything(instances, place).rows == 1
    instances.execute(place, ["delete from pg_enum where enumlabel = 'awake'"])
    with pytest.raises(GiveUp) as refused:
        read_everything(instances, place)
    assert refused.value.code == "logical_read_failed"
    assert "public.felt" in refused.value.found and "enum" in refused.value.found


def test_bytes_that_are_too_many_as_text_are_no_damage(clusters):
    cluster = clusters()
    cluster.start()
    cluster.wait_until_ready()
    wide = "create table wide as select convert_to(repeat('x', 550000000), 'UTF8') as content"
    cluster.instances.execute(cluster.place, [wide])
    assert read_everything(cluster.instances, cluster.place).rows == 1


def test_text_that_fits_no_encoding_is_no_damage(clusters):
    """In a database of encoding SQL_ASCII any bytes may stand, in names too."""
    cluster = clusters()
    cluster.start()
    cluster.wait_until_ready()
    instances, place = cluster.instances, cluster.place
    instances.execute(place, ["create database bytes encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C' template template0"])
    with psycopg.connect(host=place.socket_directory, user="postgres", dbname="bytes", client_encoding="SQL_ASCII") as connection:
        connection.execute(b"create table \"\xff\" as select '\xfc\x80'::text as word")
    assert read_everything(instances, place, "bytes").rows == 1


@pytest.mark.debian
def test_an_index_that_lies_fails_the_structure_check(clusters):
    cluster = clusters(Flavour.DEBIAN_15)
    cluster.start()
    cluster.wait_until_ready()
    instances, place = cluster.instances, cluster.place
    assert instances.check_structure(place, "postgres", 2) is None
    instances.execute(place, ["create extension amcheck", "create table t as select generate_series(1, 2000) n"])
    instances.execute(place, ["create index on t (n)", "checkpoint"])
    assert int(instances.check_structure(place, "postgres", 2)) > 100
    path = cluster.data / str(instances.query(place, "select pg_relation_filepath('t_n_idx')")[0][0])
    instances.stop(place, StopMode.FAST)
    content = bytearray(path.read_bytes())
    content[8192 + 4000] ^= 1
    path.write_bytes(content)
    cluster.start()
    cluster.wait_until_ready()
    with pytest.raises(GiveUp) as refused:
        instances.check_structure(place, "postgres", 2)
    assert refused.value.code == "structure_damaged"


@pytest.mark.parametrize("which", ["itself", "the one above"])
@pytest.mark.parametrize("how", ["a symbolic link", "of the user with id"])
def test_a_socket_directory_that_somebody_else_made_first_is_refused(clusters, which, how):
    """Below /tmp, a name belongs to whoever comes first."""
    cluster = clusters()
    if os.geteuid() != 0:
        pytest.skip("only root can make what belongs to somebody else")
    above = new_path()
    planted, elsewhere = above / "s" if which == "itself" else above, cluster.root / "elsewhere"
    try:
        if which == "itself":
            above.mkdir()
        if how == "a symbolic link":
            elsewhere.mkdir()
            planted.symlink_to(elsewhere)
        else:
            planted.mkdir()
            os.chown(planted, 12345, 12345)
        with pytest.raises(Refusal) as refused:
            cluster.start(place=InstancePlace(cluster.place.directory, str(above / "s")))
        assert refused.value.code == "socket_directory_foreign"
        assert how in refused.value.found
        assert not elsewhere.exists() or list(elsewhere.iterdir()) == []
    finally:
        if above.is_symlink():
            above.unlink()
        else:
            shutil.rmtree(above)


def test_the_directory_above_a_socket_directory_below_tmp_is_closed_to_others(clusters):
    cluster = clusters()
    above = new_path()
    files = make_socket_directory(InstancePlace(cluster.place.directory, str(above / "s")), Account.choose())
    try:
        assert above.stat().st_mode & 0o777 == 0o700
        assert files.directory.stat().st_mode & 0o777 == 0o700
    finally:
        shutil.rmtree(above)


def test_a_link_planted_where_the_servers_configuration_is_written_is_not_followed(clusters):
    cluster = clusters()
    precious = cluster.root / "precious"
    precious.write_text("kept")
    files = make_socket_directory(cluster.place, Account.choose())
    (files.directory / "pg_hba.conf.new").symlink_to(precious)
    cluster.start()
    cluster.wait_until_ready()
    assert precious.read_text() == "kept"


def test_a_log_that_is_a_link_is_not_followed(clusters):
    cluster = clusters()
    precious = cluster.root / "precious"
    precious.write_text("kept")
    log = cluster.root / "log"
    log.symlink_to(precious)
    with pytest.raises(GiveUp) as refused:
        cluster.start(place=replace(cluster.place, log=str(log)))
    assert refused.value.code == "log_unusable"
    assert precious.read_text() == "kept"


def test_a_log_is_added_to_and_its_last_words_are_those_of_the_newest_start(clusters):
    cluster = clusters()
    log = cluster.root / "log"
    log.write_text("FATAL:  what its predecessor died of\n")
    give_to_owner(log)
    cluster.place = replace(cluster.place, log=str(log))
    cluster.start()
    cluster.wait_until_ready()
    assert log.read_text().startswith("FATAL:  what its predecessor died of\n")
    assert "ready to accept connections" in log.read_text()
    assert not [line for line in cluster.instances.facts(cluster.place).last_words if "predecessor" in line]
    cluster.instances.stop(cluster.place, StopMode.FAST)
    with pytest.raises(GiveUp) as refused:
        cluster.start({"no_such_setting": "1"})
    assert refused.value.code == "setting_rejected"
    assert "no_such_setting" in refused.value.found


def test_a_server_that_lets_no_superuser_in_says_so_and_is_not_waited_for(clusters):
    cluster = clusters()
    cluster.start()
    cluster.wait_until_ready()
    cluster.instances.execute(cluster.place, ["create role keeper superuser nologin", "alter role postgres nologin; checkpoint"])
    facts = cluster.instances.facts(cluster.place)
    assert facts.running and not facts.accepts_connections
    assert 'role "postgres" is not permitted to log in' in facts.refusal
    with pytest.raises(GiveUp) as refused:
        cluster.instances.query(cluster.place, "select 1")
    assert refused.value.code == "instance_refuses_us"
    assert "keeper" in refused.value.found and "ALTER ROLE" in refused.value.hint


def test_a_database_that_allows_no_connections_is_a_fault_and_not_waited_for(clusters):
    cluster = clusters()
    cluster.start()
    cluster.wait_until_ready()
    cluster.instances.execute(cluster.place, ["create database closed allow_connections false"])
    with pytest.raises(GiveUp) as refused:
        cluster.instances.query(cluster.place, "select 1", "closed")
    assert refused.value.code == "database_error"
