"""LocalInstances against real servers of each build."""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import psycopg
import pytest

from tests.servers.flavours import ClusterOptions, Flavour, give_to_owner, new_cluster, programs_of, run_as_owner
from tests.servers.processes import alive, descendants, kill_tree, wait_until
from understudy.adapters.clock.system import SystemClock
from understudy.adapters.postgres.bootstrap_role import bootstrap_superuser
from understudy.adapters.postgres.instances import LocalInstances
from understudy.adapters.postgres.lock_file import LockFile
from understudy.adapters.postgres.processes import servers_processes
from understudy.adapters.postgres.programs import PostgresPrograms
from understudy.ports.instance import InstancePlace, StopMode
from understudy.vocabulary.errors import GiveUp, Refusal, TryAgain

CLOSED = ("local all all trust", "local replication all trust")
SMALL = {"shared_buffers": "16MB", "huge_pages": "off"}


def instances_of(flavour):
    return LocalInstances(PostgresPrograms(programs_of(flavour), flavour.major), SystemClock())


class Cluster:
    """An initialised data directory, and a place for its server."""

    def __init__(self, flavour, **options):
        self.root = Path(f"/tmp/ust-{secrets.token_hex(4)}")
        self.root.mkdir(mode=0o711)
        give_to_owner(self.root)
        self.flavour = flavour
        self.data = self.root / "data"
        new_cluster(ClusterOptions(flavour, **options), self.data)
        self.place = InstancePlace(str(self.data), str(self.root / "s"))
        self.instances = instances_of(flavour)

    def start(self, settings=None, hba_lines=CLOSED, place=None):
        self.instances.start(place or self.place, SMALL | (settings or {}), hba_lines)

    def wait_until_ready(self):
        wait_until(lambda: self.instances.facts(self.place).accepts_connections, "the server to answer")

    @property
    def postmaster(self):
        return LockFile.read(str(self.data)).pid

    def close(self):
        for pid in servers_processes(str(self.data)):
            kill_tree(pid)
        self.instances.facts(self.place)
        shutil.rmtree(self.root)


@pytest.fixture
def clusters():
    made = []

    def make(flavour=Flavour.WHEEL_18, **options):
        made.append(Cluster(flavour, **options))
        return made[-1]

    yield make
    for cluster in made:
        cluster.close()


@pytest.mark.parametrize("flavour", list(Flavour))
def test_a_server_is_started_asked_promoted_and_stopped(clusters, flavour):
    cluster = clusters(flavour)
    instances, place = cluster.instances, cluster.place
    assert not instances.facts(place).running
    (cluster.data / "standby.signal").touch()
    cluster.start()
    cluster.wait_until_ready()
    standby = instances.facts(place)
    assert (standby.running, standby.in_recovery, standby.replay_paused, standby.timeline) == (True, True, False, 1)
    assert standby.replayed is not None
    instances.promote(place)
    wait_until(lambda: instances.facts(place).in_recovery is False, "the end of recovery")
    assert instances.facts(place).timeline == 2
    instances.promote(place)
    instances.execute(place, ["create table t (id int, note text)", "insert into t values (1, null)"])
    assert instances.query(place, "select id, note, 1.50::numeric, true from t") == [("1", None, "1.50", "t")]
    read = instances.read_logically(place, "postgres")
    assert read.dump_bytes > 500
    assert read == instances.read_logically(place, "postgres")
    instances.execute(place, ["update t set id = 2"])
    assert read.sha256 != instances.read_logically(place, "postgres").sha256
    instances.stop(place, StopMode.FAST)
    assert not instances.facts(place).running
    assert servers_processes(str(cluster.data)) == []
    instances.stop(place, StopMode.FAST)
    control = instances.control_data(place.directory)
    assert control.cluster_state == "shut down"
    assert control.required_settings["max_connections"] == "100"
    assert control.segment_bytes == 16 * 1024 * 1024
    assert control.minimum_recovery_end is None
    looked_at, bad = instances.verify_checksums(place.directory)
    assert looked_at > 1000 and bad == 0


def test_nothing_listens_beyond_the_socket_unless_addresses_are_named(clusters):
    cluster = clusters()
    cluster.start()
    cluster.wait_until_ready()
    listening = subprocess.run(["ss", "-Hlnpt"], capture_output=True, text=True, check=True).stdout
    assert f"pid={cluster.postmaster}," not in listening
    assert cluster.instances.query(cluster.place, "show listen_addresses") == [("",)]


def test_starting_what_runs_already_changes_nothing(clusters):
    cluster = clusters()
    cluster.start()
    first = cluster.postmaster
    cluster.start()
    assert cluster.postmaster == first


def test_a_server_outlives_the_object_that_started_it_and_another_one_stops_it(clusters):
    cluster = clusters()
    cluster.start()
    cluster.wait_until_ready()
    instances_of(cluster.flavour).stop(cluster.place, StopMode.IMMEDIATE)
    assert servers_processes(str(cluster.data)) == []


def test_somebody_elses_live_server_is_neither_adopted_nor_disturbed(clusters):
    cluster = clusters()
    cluster.start()
    other = InstancePlace(cluster.place.directory, str(cluster.root / "o"), 6000)
    with pytest.raises(GiveUp) as refused:
        cluster.start(place=other)
    assert refused.value.code == "place_busy"
    assert alive(cluster.postmaster)


def test_children_of_a_killed_postmaster_are_waited_for(clusters):
    cluster = clusters()
    cluster.start()
    cluster.wait_until_ready()
    place, instances = cluster.place, cluster.instances
    children = descendants(cluster.postmaster)
    os.kill(children[0], signal.SIGSTOP)  # a child that takes its time to notice
    os.kill(cluster.postmaster, signal.SIGKILL)
    wait_until(lambda: set(servers_processes(place.directory)) == {children[0]}, "the other children to end")
    assert instances.facts(place).running
    assert not instances.facts(place).accepts_connections
    os.kill(children[0], signal.SIGCONT)
    cluster.start()
    cluster.wait_until_ready()
    assert not alive(children[0])


def test_a_copied_lock_file_of_nobodys_server_is_no_obstacle(clusters):
    cluster = clusters()
    gone = subprocess.Popen(["true"])
    gone.wait()
    (cluster.data / "postmaster.pid").write_text(f"{gone.pid}\n{cluster.data}\n1700000000\n5432\n/nowhere\n\n0 0\nready   \n")
    cluster.start()
    cluster.wait_until_ready()


def test_a_lock_file_that_names_a_stranger_is_not_followed(clusters):
    cluster = clusters()
    stranger = subprocess.Popen(["sleep", "300"], **run_as_owner())
    try:
        (cluster.data / "postmaster.pid").write_text(f"{stranger.pid}\n{cluster.data}\n1700000000\n5432\n/x\n\n0 0\nready   \n")
        assert not cluster.instances.facts(cluster.place).running
        cluster.instances.stop(cluster.place, StopMode.IMMEDIATE)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_data_directory_without_postgresql_conf_gets_what_its_wal_demands(clusters):
    cluster = clusters(Flavour.DEBIAN_15)
    for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf"):
        (cluster.data / name).unlink()
    cluster.start(hba_lines=None)
    cluster.wait_until_ready()
    assert cluster.instances.query(cluster.place, "show max_connections") == [("100",)]
    assert not (cluster.data / "postgresql.conf").exists()


@pytest.mark.parametrize("flavour", [Flavour.DEBIAN_15, Flavour.WHEEL_18])
def test_the_directorys_own_rules_stay_in_force_and_let_us_in_all_the_same(clusters, flavour):
    cluster = clusters(flavour)
    (cluster.data / "pg_hba.conf").write_text("local all understudy trust\nlocal all all reject\n")
    cluster.start(hba_lines=None)
    cluster.wait_until_ready()
    assert cluster.instances.query(cluster.place, "select 1") == [("1",)]
    with psycopg.connect(host=cluster.place.socket_directory, user="understudy", dbname="postgres") as connection:
        assert connection.execute("select current_user").fetchone() == ("understudy",)
        connection.execute("rollback")
    cluster.instances.execute(cluster.place, ["create role visitor login"])
    with pytest.raises(psycopg.OperationalError, match="reject"):
        psycopg.connect(host=cluster.place.socket_directory, user="visitor", dbname="postgres")


def test_the_superuser_is_found_whatever_its_name(clusters):
    cluster = clusters()
    cluster.start()
    cluster.wait_until_ready()
    rename = [
        "create role helper superuser login",
        "set role helper",
        'alter role postgres rename to "Frau O\'Hara"',
        "checkpoint",
    ]
    with psycopg.connect(host=cluster.place.socket_directory, user="postgres", dbname="postgres", autocommit=True) as connection:
        connection.execute(rename[0])
    with psycopg.connect(host=cluster.place.socket_directory, user="helper", dbname="postgres", autocommit=True) as connection:
        for statement in rename[2:]:
            connection.execute(statement)
    assert bootstrap_superuser(cluster.place.directory) == "Frau O'Hara"
    assert cluster.instances.query(cluster.place, "select session_user") == [("Frau O'Hara",)]
    cluster.instances.stop(cluster.place, StopMode.FAST)
    cluster.start(hba_lines=None)
    cluster.wait_until_ready()
    assert cluster.instances.read_logically(cluster.place, "postgres").dump_bytes > 500


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
        instances.read_logically(place, "postgres")
    assert refused.value.code == "logical_read_failed"
    assert "page" in refused.value.found


@pytest.mark.debian
def test_an_index_that_lies_fails_the_structure_check(clusters):
    cluster = clusters(Flavour.DEBIAN_15)
    cluster.start()
    cluster.wait_until_ready()
    instances, place = cluster.instances, cluster.place
    assert instances.check_structure(place, "postgres") is None
    instances.execute(place, ["create extension amcheck", "create table t as select generate_series(1, 2000) n"])
    instances.execute(place, ["create index on t (n)", "checkpoint"])
    assert int(instances.check_structure(place, "postgres")) > 100
    path = cluster.data / str(instances.query(place, "select pg_relation_filepath('t_n_idx')")[0][0])
    instances.stop(place, StopMode.FAST)
    content = bytearray(path.read_bytes())
    content[8192 + 4000] ^= 1
    path.write_bytes(content)
    cluster.start()
    cluster.wait_until_ready()
    with pytest.raises(GiveUp) as refused:
        instances.check_structure(place, "postgres")
    assert refused.value.code == "structure_damaged"


def test_a_statement_that_the_server_refuses_is_reported_with_its_words(clusters):
    cluster = clusters()
    cluster.start()
    cluster.wait_until_ready()
    with pytest.raises(GiveUp) as refused:
        cluster.instances.query(cluster.place, "select * from nowhere")
    assert refused.value.code == "database_error"
    assert re.search('relation "nowhere" does not exist', refused.value.found)
    with pytest.raises(GiveUp) as refused:
        cluster.instances.query(cluster.place, "select 1", "no_such_database")
    assert refused.value.code == "database_error"


def test_a_server_that_does_not_answer_yet_is_tried_again(clusters):
    cluster = clusters()
    (cluster.data / "standby.signal").touch()
    cluster.start({"hot_standby": "off"})
    with pytest.raises(TryAgain) as passing:
        cluster.instances.query(cluster.place, "select 1")
    assert passing.value.code == "instance_starting"
    facts = cluster.instances.facts(cluster.place)
    assert facts.running and not facts.accepts_connections
    cluster.instances.promote(cluster.place)
    cluster.wait_until_ready()
    assert cluster.instances.facts(cluster.place).in_recovery is False


def test_nothing_of_our_environment_reaches_the_server(clusters, monkeypatch):
    monkeypatch.setenv("SHOP_PASSWORD", "hunter2")
    monkeypatch.setenv("PGOPTIONS", "-c no_such=1")
    cluster = clusters()
    cluster.start()
    cluster.wait_until_ready()
    environment = Path(f"/proc/{cluster.postmaster}/environ").read_bytes()
    assert b"hunter2" not in environment
    assert b"PGOPTIONS" not in environment
