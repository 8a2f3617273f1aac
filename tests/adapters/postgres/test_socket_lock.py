"""A server that was killed leaves a lock file beside its socket: it must keep no other one out, and a living one's must."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.adapters.postgres.clusters import clusters
from tests.servers.flavours import give_to_owner
from understudy.adapters.postgres.accounts import Account
from understudy.adapters.postgres.configuration import make_socket_directory
from understudy.ports.instance import InstancePlace
from understudy.vocabulary.errors import GiveUp

__all__ = ["clusters"]


@pytest.mark.parametrize("for_clients", [False, True], ids=["in our directory", "where clients look for it"])
@pytest.mark.parametrize("ended", [True, False], ids=["a process that nobody took note of", "another program since"])
def test_a_socket_lock_of_a_killed_server_whose_id_is_still_borne_does_not_keep_the_next_one_out(clusters, ended, for_clients):
    cluster = clusters()
    owner = Account.choose()
    make_socket_directory(cluster.place, owner)
    directory = Path(cluster.place.socket_directory)
    if for_clients:
        directory = directory.with_name("clients")
        directory.mkdir()
        give_to_owner(directory)
    place = replace(cluster.place, client_socket_directory=str(directory) if for_clients else "")
    bearer = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, **owner.identity)  # PostgreSQL minds its own user's only
    try:
        if ended:
            bearer.kill()
            os.waitid(os.P_PID, bearer.pid, os.WEXITED | os.WNOWAIT)
        lock = directory / f".s.PGSQL.{place.port}.lock"
        lock.write_text(f"{bearer.pid}\n{cluster.data}\n1764000000\n{place.port}\n{directory}\n\n")
        give_to_owner(lock)
        cluster.instances.start(place, {})
        assert cluster.instances.query(place, "select 1") == [("1",)]
    finally:
        bearer.kill()
        bearer.communicate()


def test_a_socket_lock_of_a_running_server_is_left_alone(clusters):
    first, second = clusters(), clusters()
    first.start()
    place = InstancePlace(second.place.directory, first.place.socket_directory, first.place.port, "127.0.0.1")
    lock = Path(place.socket_directory) / f".s.PGSQL.{place.port}.lock"
    before = lock.read_text()
    with pytest.raises(GiveUp) as refused:
        second.start(place=place)
    assert refused.value.code == "port_in_use"
    assert lock.read_text() == before
