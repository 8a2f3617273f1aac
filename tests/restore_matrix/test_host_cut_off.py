"""The database's host loses its network under load, and lives on behind the cut: what no killed process can show."""

import pytest

from tests.restore_matrix.estate import RESOURCE, Estate, end_recovered_server
from tests.restore_matrix.test_no_commit_lost import WRITERS
from tests.servers.flavours import Flavour
from tests.servers.isolated_host import IsolatedHost
from tests.servers.ledger import Ledger
from tests.servers.postgres import PostgresServer

pytestmark = pytest.mark.skipif(bool(IsolatedHost.why_not()), reason=IsolatedHost.why_not() or "-")


def test_no_acknowledged_commit_is_lost_when_the_host_is_cut_off_and_its_server_lives_on(tmp_path):
    with IsolatedHost() as host, PostgresServer(Flavour.WHEEL_18, fresh=True, host=host) as server:
        here = server.sibling()
        here.host = None
        address = tmp_path / "here"
        address.write_text(server.url.replace(host.address, "127.0.0.1"))
        address.chmod(0o600)
        place = {
            "directory": str(here.data),
            "port": str(server.port),
            "programs": str(server.programs),
            "url": f"file:{address}",
        }
        estate = Estate.around(server, resource={"recover": place})
        # A host that is gone is asked several times, and does not even refuse: two seconds each instead of ten.
        (estate.directory / "url").write_text(f"{server.url}?connect_timeout=2")
        try:
            estate.command("backup", "orders")
            server.sql("alter system set synchronous_standby_names = '*'")
            server.sql("select pg_reload_conf()")
            # Without it a client waits for minutes for a host that is gone.
            ledger = Ledger(f"{server.url}?tcp_user_timeout=1000", tmp_path / "ledger", WRITERS).start()
            ledger.wait_for(WRITERS * 100)
            host.cut_off()
            ledger.wait()
            assert server.sql("select count(*) > 0 from understudy_ledger") == [(True,)], "the old server lives on"

            refused = estate.command("recover", "data_loss", "--yes", check=False)
            assert refused.returncode != 0
            assert "old_server_not_fenced" in refused.stdout + refused.stderr

            estate.command("recover", "data_loss", "--yes", "--override-fence", "the one who pulled the plug")
            acknowledged, found = ledger.acknowledged(), Ledger.found(address.read_text())
            assert len(acknowledged) >= WRITERS * 100
            assert acknowledged - found == set()
            assert RESOURCE in estate.command("backups").stdout
        finally:
            estate.close()
            end_recovered_server(here)
