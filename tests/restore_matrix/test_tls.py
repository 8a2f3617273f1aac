"""Everything that goes to the database goes through TLS where the connection string demands it. Debian's PostgreSQL 15, SCRAM."""

from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.restore_matrix.estate import RESOURCE, SilentWatcher, dump_of, expect_success
from tests.servers.flavours import Flavour
from tests.servers.processes import wait_until
from understudy.app.recoveries import Choice, drill
from understudy.stack.models import Scenario
from understudy.vocabulary.errors import GiveUp

_WALSENDERS = """
select ssl, application_name from pg_stat_ssl join pg_stat_activity using (pid) where backend_type = 'walsender'
"""


def what_the_receiver_was_told(pid):
    """Its connection string, without the password."""
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return conninfo_to_dict(words[words.index("-d") + 1])


@pytest.mark.debian
def test_the_stream_a_backup_a_drill_and_a_restore_of_a_server_that_takes_tls_and_scram_only(make_estate):
    estate = make_estate(Flavour.DEBIAN_15, tls=True)
    server = estate.server
    key, certificate = server.directory / "server.key", server.directory / "server.crt"
    for name, value in (("ssl", "on"), ("ssl_key_file", str(key)), ("ssl_cert_file", str(certificate))):
        server.sql(f"alter system set {name} = '{value}'")
    url = server.replication_url.replace("sslmode=verify-ca", "sslmode=verify-full")
    estate.reopen(url.replace("@127.0.0.1:", "@another.example:") + "&hostaddr=127.0.0.1")
    with pytest.raises(GiveUp) as refused:
        estate.back_up()
    assert refused.value.code == "tls_failed", "its certificate does not name this host"
    estate.reopen(url)
    server.sql("create table kept as select generate_series(1, 1000) as n")
    estate.back_up_well()
    server.sql("insert into kept values (0)")
    estate.ship()

    receiver = estate.installation.receivers[RESOURCE].facts().pid
    told = what_the_receiver_was_told(receiver)
    assert (told["sslmode"], told["sslrootcert"]) == ("verify-full", str(certificate))
    wait_until(lambda: len(server.sql(_WALSENDERS)) == 1, "the connection of the backup to be gone")
    [(encrypted, name)] = server.sql(_WALSENDERS)
    assert encrypted is True
    assert str(name).startswith("understudy_")

    key.rename(key.with_suffix(".elsewhere"))  # the server's private key is never on another host
    expect_success(drill(estate.installation, Scenario.DATABASE_CORRUPTION, (RESOURCE,), Choice(), SilentWatcher()))
    copy = server.sibling()
    expect_success(estate.restore(Choice(), copy.data))
    key.with_suffix(".elsewhere").rename(key)
    assert dump_of(copy.start()) == dump_of(server)
