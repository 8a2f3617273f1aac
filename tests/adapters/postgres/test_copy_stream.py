"""COPY streams of a real server, and how many bytes the socket waits for meanwhile."""

import os
import signal
import socket
from contextlib import closing
from types import SimpleNamespace

import psycopg
import pytest
from psycopg import pq

from tests.servers.flavours import SUPERUSER, Flavour
from tests.servers.postgres import PostgresServer
from understudy.adapters.postgres.backup_framing import command
from understudy.adapters.postgres.connection import text_rows
from understudy.adapters.postgres.copy_stream import CopyStream
from understudy.ports.database import BaseBackupRequest

SLOW_KILOBYTES = 1024
"""In one of the eight looks of a second at which the server sends or waits: half of what the socket waits for."""
END_OF_A_TAR = bytes(1024)


@pytest.fixture(scope="module")
def server():
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="module")
def tls_server():
    with PostgresServer(Flavour.DEBIAN_15, tls=True) as server:
        yield server


def over_socket(server):
    return psycopg.conninfo.make_conninfo(host=str(server.socket_directory), port=server.port, user=SUPERUSER)


def connected(conninfo):
    return closing(psycopg.connect(conninfo, replication="true", autocommit=True, prepare_threshold=None))


def low_water_bytes(connection):
    """How many bytes must have come before the socket counts as readable."""
    with socket.socket(fileno=os.dup(connection.fileno())) as same:
        return same.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)


def begun(connection, **options):
    """A base backup, its COPY about to come."""
    copy = CopyStream(connection)
    copy.send(command(BaseBackupRequest("x", **options), connection.info.server_version))
    assert [copy.result().status for _ in range(2)] == [pq.ExecStatus.TUPLES_OK] * 2
    assert low_water_bytes(connection) == 1
    assert copy.result().status == pq.ExecStatus.COPY_OUT
    return copy


def archives_of(copy):
    """The rest of the COPY: of each archive its bytes, and of the manifest."""
    archives = []
    while (piece := copy.piece()) is not None:
        if piece[0] == ord("d"):
            archives[-1] += piece[1:]
        elif piece[0] != ord("p"):
            archives.append(bytearray())
    return archives


def assert_comes_to_its_end(connection, copy):
    data_directory, manifest = archives_of(copy)
    assert low_water_bytes(connection) == 1
    assert data_directory.endswith(END_OF_A_TAR)
    assert manifest.rstrip().endswith(b"}")
    stop = copy.result()
    assert stop.status == pq.ExecStatus.TUPLES_OK
    assert text_rows(stop)[0][0]
    copy.finish()


def system_identifier(copy):
    """What the same connection answers to the next command."""
    copy.send("IDENTIFY_SYSTEM")
    [(system, *_)] = text_rows(copy.result())
    copy.finish()
    return system


def test_over_tcp_the_socket_waits_for_much_while_a_copy_runs_and_for_a_byte_before_and_afterwards(server):
    with connected(server.replication_url) as connection:
        copy = begun(connection)
        assert low_water_bytes(connection) > 8192, "more than the server sends at once"
        assert_comes_to_its_end(connection, copy)
        assert system_identifier(copy)


def test_over_the_socket_directory_a_backup_comes_to_its_end(server):
    with connected(over_socket(server)) as connection:
        copy = begun(connection)
        assert low_water_bytes(connection) == 1, "sockets of this family know no such mark"
        assert_comes_to_its_end(connection, copy)
        assert system_identifier(copy)


@pytest.mark.debian
def test_over_tls_a_backup_comes_to_its_end(tls_server):
    """libpq may hold bytes that it has decrypted, which the socket does not show."""
    with connected(tls_server.replication_url) as connection:
        assert connection.pgconn.ssl_in_use
        copy = begun(connection)
        assert low_water_bytes(connection) > 8192
        assert_comes_to_its_end(connection, copy)
        assert system_identifier(copy)


def test_what_a_slowed_down_server_sent_last_is_taken_in_although_too_little_comes_to_wake_for(server):
    """The last bytes come to less than the socket waits for, and nothing follows them."""
    with connected(server.replication_url) as connection:
        assert_comes_to_its_end(connection, begun(connection, max_rate_kilobytes=32 * 1024))


@pytest.mark.parametrize("over", ["tcp", "socket"])
def test_a_stream_that_is_cancelled_midway_is_read_to_its_end_and_the_connection_is_of_use_again(server, over):
    with connected(server.replication_url if over == "tcp" else over_socket(server)) as connection:
        copy = begun(connection, max_rate_kilobytes=SLOW_KILOBYTES)
        assert copy.piece() is not None
        connection.cancel_safe(timeout=5)
        copy.discard(patience_seconds=60)
        assert low_water_bytes(connection) == 1
        copy.finish()
        assert system_identifier(copy)


def test_of_a_server_that_sends_nothing_more_no_more_is_waited_for_than_was_asked(server):
    with connected(server.replication_url) as connection:
        copy = begun(connection, max_rate_kilobytes=SLOW_KILOBYTES)
        pid = connection.info.backend_pid
        os.kill(pid, signal.SIGSTOP)
        try:
            copy.discard(patience_seconds=0.1)
            assert low_water_bytes(connection) > 1, "the COPY is not over"
        finally:
            os.kill(pid, signal.SIGCONT)


class Trickle:
    """A connection whose server sends a piece now and then: each is there when it is looked for, and wakes nobody."""

    def __init__(self, pieces):
        self.pgconn, self.nonblocking = self, 0
        self._ends = socket.socketpair()
        self.socket = self._ends[0].fileno()
        self._results = [pq.ExecStatus.COPY_OUT, pq.ExecStatus.COMMAND_OK]
        self._looks = 0
        self.left = pieces

    def is_busy(self):
        return False

    def get_result(self):
        return SimpleNamespace(status=self._results.pop(0)) if self._results else None

    def consume_input(self):
        self._looks += 1

    def get_copy_data(self, _):
        if self.left == 0:
            return -1, None
        if self._looks < 2:
            return 0, None
        self._looks, self.left = 0, self.left - 1
        return 5, memoryview(b"piece")

    def close(self):
        for end in self._ends:
            end.close()


def test_a_cancelled_stream_that_trickles_is_not_taken_for_one_that_has_fallen_silent():
    """No server trickles at will, so this one is played; what is waited for is real."""
    with closing(Trickle(pieces=20)) as connection:
        copy = CopyStream(connection)
        assert copy.result().status == pq.ExecStatus.COPY_OUT
        for _ in range(10):
            copy.piece()
        copy.discard(patience_seconds=0.1)
        assert connection.left == 0


def test_an_error_that_ends_a_copy_is_raised_with_the_servers_words(server):
    with connected(server.replication_url) as connection:
        copy = begun(connection, max_rate_kilobytes=SLOW_KILOBYTES)
        connection.cancel_safe(timeout=5)
        while copy.piece() is not None:
            pass
        with pytest.raises(psycopg.errors.QueryCanceled):
            copy.result()
        assert low_water_bytes(connection) == 1


def test_the_silence_before_a_command_was_cancelled_is_not_counted_against_what_comes_after(server):
    with closing(psycopg.connect(server.url, autocommit=True)) as connection:
        copy = CopyStream(connection)
        copy._idle_seconds = 600.0  # as a server that is busy with something else lets pass
        copy.send("select pg_sleep(0.4)")
        copy.discard(patience_seconds=60)
        assert connection.pgconn.transaction_status == pq.TransactionStatus.IDLE
