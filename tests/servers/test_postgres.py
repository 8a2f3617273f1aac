import pytest

from tests.servers.flavours import Flavour
from tests.servers.postgres import PostgresServer
from tests.servers.processes import alive, descendants


@pytest.mark.parametrize("flavour", list(Flavour))
def test_a_server_of_each_flavour_starts_answers_and_dies(flavour):
    with PostgresServer(flavour) as server:
        assert server.sql("select current_setting('server_version_num')::int / 10000") == [(flavour.major,)]
        assert server.sql("show data_checksums") == [("on",)]
        doomed = [server.pid, *descendants(server.pid)]
        server.kill_everything()
        assert not any(alive(pid) for pid in doomed)
        server.start()
        server.sql("create table t (id int)")
        server.restart()
        assert server.sql("select count(*) from t") == [(0,)]
    assert not server.directory.exists()


def test_tls_is_demanded_where_it_was_asked_for():
    import psycopg

    with PostgresServer(Flavour.DEBIAN_15, tls=True) as server:
        with psycopg.connect(server.url) as connection:
            assert connection.execute("select ssl from pg_stat_ssl where pid = pg_backend_pid()").fetchall() == [(True,)]
        with pytest.raises(psycopg.OperationalError, match="reject"):
            psycopg.connect(server.url + "&sslmode=disable")


def test_a_standby_follows_and_is_promoted(postgres_servers):
    server = postgres_servers(Flavour.WHEEL_18)
    standby = server.make_standby()
    assert standby.sql("select pg_is_in_recovery()") == [(True,)]
    standby.promote()
    assert standby.sql("select pg_is_in_recovery()") == [(False,)]
