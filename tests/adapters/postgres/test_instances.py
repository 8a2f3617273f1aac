"""LocalInstances against real servers of each build."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import psycopg
import pytest

from tests.adapters.postgres.clusters import CLOSED, clusters
from tests.contracts.instances import InstancesContract, read_everything
from tests.servers.flavours import Flavour, run_as_owner
from tests.servers.processes import alive, descendants, wait_until
from understudy.adapters.postgres.instance_questions import ask_state
from understudy.adapters.postgres.isolation import _launcher, can_cut_off
from understudy.adapters.postgres.processes import servers_processes
from understudy.adapters.postgres.shared_catalogs import databases, superusers
from understudy.ports.instance import StopMode
from understudy.vocabulary.errors import GiveUp

__all__ = ["clusters"]


@pytest.mark.parametrize("flavour", [Flavour.DEBIAN_15, Flavour.WHEEL_18])
class TestLocalInstances(InstancesContract):
    @pytest.fixture
    def clusters(self, clusters, flavour):
        return lambda: clusters(flavour)


def test_nothing_listens_beyond_the_socket_unless_addresses_are_named(clusters):
    cluster = clusters()
    cluster.start(hba_lines=None)  # one that is closed has no network of ours to listen in
    cluster.wait_until_ready()
    listening = subprocess.run(["ss", "-Hlnpt"], capture_output=True, text=True, check=True).stdout
    assert f"pid={cluster.postmaster}," not in listening
    assert cluster.instances.query(cluster.place, "show listen_addresses") == [("",)]


REACHES = "copy (select 1) to program $$bash -c 'cat > /dev/tcp/127.0.0.1/{port}' 2>/dev/null$$"


@pytest.fixture
def what_serves():
    """A port of this host that must not be reached."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(5)
        yield listening


def test_code_in_a_closed_server_reaches_no_port_and_in_an_open_one_it_does(clusters, what_serves):
    """The second half is the control: the same program in the same database, started without the namespace, gets through."""
    if not can_cut_off():
        pytest.skip("this host lets this user make no network namespace")
    cluster = clusters()
    reach = REACHES.format(port=what_serves.getsockname()[1])
    cluster.start()
    cluster.wait_until_ready()
    assert cluster.instances.is_cut_off(cluster.place)
    with pytest.raises(GiveUp, match="program"):
        cluster.instances.query(cluster.place, reach)
    what_serves.setblocking(False)
    with pytest.raises(BlockingIOError):
        what_serves.accept()
    cluster.instances.stop(cluster.place, StopMode.FAST)
    assert cluster.instances.is_cut_off(cluster.place) is None
    cluster.start(hba_lines=None)
    cluster.wait_until_ready()
    assert cluster.instances.is_cut_off(cluster.place) is False
    cluster.instances.query(cluster.place, reach)
    what_serves.accept()[0].close()


def test_who_is_not_root_is_cut_off_where_the_host_allows_it_and_starts_all_the_same_where_not(tmp_path):
    """By the launcher, as an ordinary user; ``--try`` says beforehand what will be."""
    nobody = {"user": 65534, "group": 65534, "extra_groups": ()} if os.geteuid() == 0 else {}
    launcher = ["/usr/bin/python3", *_launcher()[1:]]
    tried = subprocess.run([*launcher, "--try"], check=False, cwd="/", **nobody)
    seen = "import os; print(os.readlink('/proc/self/ns/net'), os.geteuid())"
    done = subprocess.run(
        [*launcher, "/usr/bin/python3", "-c", seen], check=True, capture_output=True, text=True, cwd="/", **nobody
    )
    network, user = done.stdout.split()
    assert int(user) == (65534 if nobody else os.geteuid())
    assert (network != str(Path("/proc/self/ns/net").readlink())) is (tried.returncode == 0)


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
    assert superusers(cluster.place.directory)[0] == "Frau O'Hara"
    assert cluster.instances.query(cluster.place, "select session_user") == [("Frau O'Hara",)]
    cluster.instances.stop(cluster.place, StopMode.FAST)
    cluster.start(hba_lines=None)
    cluster.wait_until_ready()
    assert read_everything(cluster.instances, cluster.place).rows == 0


def carried_out(cluster, role, database, *statements):
    with psycopg.connect(host=cluster.place.socket_directory, user=role, dbname=database, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize("flavour", [Flavour.DEBIAN_15, Flavour.WHEEL_18])
def test_a_hardened_cluster_is_asked_as_another_superuser_in_another_database(clusters, flavour):
    cluster = clusters(flavour)
    cluster.start()
    cluster.wait_until_ready()
    instances, place = cluster.instances, cluster.place
    instances.execute(place, ["create role keeper superuser login", "create database orders"])
    carried_out(cluster, "keeper", "template1", "drop database postgres", "alter role postgres nologin")
    assert instances.query(place, "select current_user, current_database()") == [("keeper", "template1")]
    carried_out(cluster, "keeper", "orders", "alter database template1 allow_connections false")
    assert cluster.other_instances().query(place, "select current_user, current_database()") == [("keeper", "orders")]
    assert read_everything(instances, place, "orders").rows == 0
    assert instances.check_structure(place, "orders", 1) is None
    instances.stop(place, StopMode.FAST)
    assert superusers(place.directory) == ("keeper", "postgres")
    assert databases(place.directory)[0] == "template1"
    assert "orders" in databases(place.directory)
    for rules in (CLOSED, None):
        cluster.start(hba_lines=rules)
        cluster.wait_until_ready()
        assert instances.query(place, "select current_user") == [("keeper",)]
        instances.stop(place, StopMode.FAST)


def test_nothing_of_our_environment_reaches_the_server(clusters, monkeypatch):
    monkeypatch.setenv("SHOP_PASSWORD", "hunter2")
    monkeypatch.setenv("PGOPTIONS", "-c no_such=1")
    cluster = clusters()
    cluster.start()
    cluster.wait_until_ready()
    environment = Path(f"/proc/{cluster.postmaster}/environ").read_bytes()
    assert b"hunter2" not in environment
    assert b"PGOPTIONS" not in environment


def test_a_link_in_the_place_of_the_request_for_promotion_is_not_followed(clusters, tmp_path):
    cluster = clusters()
    elsewhere = tmp_path / "elsewhere"
    (cluster.data / "standby.signal").touch()
    cluster.start({"hot_standby": "off"})
    (cluster.data / "promote").symlink_to(elsewhere)
    cluster.instances.promote(cluster.place)
    cluster.wait_until_ready()
    assert cluster.instances.facts(cluster.place).in_recovery is False
    assert not elsewhere.exists()


def test_of_the_log_that_the_server_is_said_to_write_only_a_plain_file_of_its_own_user_is_read(clusters, tmp_path):
    cluster = clusters()
    collected, named = cluster.data / "collected.log", cluster.data / "current_logfiles"
    collected.write_text("FATAL: in our own words\n")
    for ours in (collected, named):
        ours.touch()
        os.chown(ours, *cluster.instances.owner)

    def words():
        return cluster.instances.facts(cluster.place).last_words

    named.write_text("stderr collected.log\n")
    assert words() == ("FATAL: in our own words",)
    (cluster.data / "link").symlink_to(collected)
    os.mkfifo(cluster.data / "pipe")
    os.chown(cluster.data / "pipe", *cluster.instances.owner)
    for other in ("/proc/1/environ", "/etc/hostname", "/etc/passwd", "link", "pipe", "absent", "\0"):
        named.write_text(f"stderr {other}\n")
        assert words() == (), other
    named.unlink()
    named.symlink_to("/etc/passwd")
    assert words() == ()
    named.unlink()
    os.mkfifo(named)
    assert words() == ()


def test_a_server_that_is_promoted_between_two_questions_is_asked_again():
    class PromotedMeanwhile:
        asked = 0

        def rows(self, sql):
            self.asked += 1
            if self.asked == 1:
                raise GiveUp("database_error", found="ERROR: recovery is not in progress")
            return [("f", None, None, None, "00000002")]

    found = ask_state(PromotedMeanwhile(), ())
    assert (found.in_recovery, found.timeline) == (False, 2)
