"""Whether a server is where a connection string points to; "cannot be told" is an answer of its own."""

import socket

import pytest

from understudy.adapters.postgres.presence import leads_here, patience_seconds, presence
from understudy.ports.database import Presence


@pytest.fixture
def listening():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield str(server.getsockname()[1])


@pytest.fixture
def closed():
    """A port that was free a moment ago."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return str(server.getsockname()[1])


def test_whatever_takes_a_connection_is_there(listening):
    assert presence({"host": "127.0.0.1", "port": listening}) is Presence.LISTENING


def test_a_port_that_its_host_refuses_is_nobody(closed):
    assert presence({"host": "127.0.0.1", "port": closed}) is Presence.NOBODY


def test_a_socket_that_is_not_there_is_nobody(tmp_path):
    assert presence({"host": str(tmp_path)}) is Presence.NOBODY


def test_one_of_several_hosts_that_listens_is_enough(listening, closed):
    assert presence({"host": "127.0.0.1,127.0.0.1", "port": f"{closed},{listening}"}) is Presence.LISTENING


@pytest.mark.parametrize("parameters", [{}, {"service": "orders"}, {"service": "orders", "host": "127.0.0.1"}, {"port": "5432"}])
def test_a_host_that_is_named_elsewhere_or_nowhere_cannot_be_told(parameters):
    assert presence(parameters) is Presence.UNKNOWN


def test_a_name_that_nobody_resolves_cannot_be_told():
    assert presence({"host": "no-such-host.invalid", "port": "5432"}) is Presence.UNKNOWN


def test_a_port_left_empty_is_the_standard_one(tmp_path):
    assert presence({"host": f"{tmp_path},{tmp_path}", "port": ",5433"}) is Presence.NOBODY


def test_a_host_that_does_not_answer_cannot_be_told():
    with socket.socket() as server, socket.socket() as waiting:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting.connect(server.getsockname())  # its queue is full now, and Linux drops whatever else knocks
        parameters = {"host": "127.0.0.1", "port": str(server.getsockname()[1]), "connect_timeout": "1"}
        assert presence(parameters) is Presence.UNKNOWN


@pytest.mark.parametrize(("named", "seconds"), [("2", 2), (" 30 ", 30), ("0", 5), ("-1", 5), ("", 5), ("soon", 5)])
def test_a_host_is_waited_for_as_long_as_the_connection_string_says_but_never_for_ever(named, seconds):
    assert patience_seconds({"host": "127.0.0.1", "connect_timeout": named}) == seconds


def test_a_host_is_waited_for_some_seconds_where_the_connection_string_says_nothing():
    assert patience_seconds({"host": "127.0.0.1"}) == 5


@pytest.mark.parametrize(
    ("parameters", "here"),
    [
        ({"host": "127.0.0.1", "port": "5432"}, True),
        ({"host": "localhost"}, True),
        ({"host": "192.0.2.1,127.0.0.1", "port": "5432"}, True),
        ({"host": "192.0.2.1,127.0.0.1", "port": "5432,5433"}, False),
        ({"host": "127.0.0.1", "port": "5433"}, False),
        ({"host": "192.0.2.1", "port": "5432"}, False),
        ({"host": "no-such-host.invalid", "port": "5432"}, False),
        ({"host": "db.example", "hostaddr": "127.0.0.1"}, True),
        ({"host": "/var/run/postgresql", "port": "5432"}, True),
        ({"host": "/var/run/postgresql", "port": "5433"}, False),
        ({"service": "orders"}, True),
        ({}, True),
    ],
)
def test_an_address_leads_here_when_it_is_this_hosts_own_and_the_port_is_right(parameters, here):
    assert leads_here(parameters, 5432) is here
