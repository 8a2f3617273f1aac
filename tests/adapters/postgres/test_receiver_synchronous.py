import threading

import pytest

from tests.adapters.postgres.streaming import APPLICATION_NAME, MEGABYTE
from tests.servers.flavours import Flavour, give_to_owner
from tests.servers.ledger import Ledger
from tests.servers.processes import wait_until
from understudy.vocabulary.errors import Refusal


@pytest.mark.parametrize("flavour", [Flavour.WHEEL_18, Flavour.DEBIAN_15])
def test_no_acknowledged_commit_is_missing_from_a_synchronous_spool(postgres_servers, receivers, flavour, tmp_path):
    server = postgres_servers(flavour, settings={"synchronous_standby_names": APPLICATION_NAME})
    receiver = receivers(server, synchronous=True, limit_bytes=256 * MEGABYTE)
    receiver.ensure_running()
    wait_until(lambda: server.sql("select sync_state from pg_stat_replication") == [("sync",)], "a synchronous standby")
    recovered = server.sibling()
    server.program("pg_basebackup", "-D", str(recovered.data), "-X", "none", "-c", "fast", "--no-sync")
    with Ledger(server.url, tmp_path / "ledger") as ledger:
        ledger.wait_for(200)
        server.kill_everything()
        ledger.wait()
    recover_from_spool(receiver, recovered)
    del recovered.settings["synchronous_standby_names"]
    recovered.start()
    assert len(ledger.acknowledged()) >= 200
    assert ledger.acknowledged() <= Ledger.found(recovered.url)


def recover_from_spool(receiver, recovered) -> None:
    """Give a base backup the spool's segments and its tail, padded, and nothing of the dead server's."""
    partial = receiver.spool().partial
    contents = {each: b"".join(receiver.read_segment(each)) for each in receiver.spool().segments}
    contents[partial] = b"".join(receiver.read_tail(partial, 0)).ljust(partial.size_bytes, b"\0")
    for segment, content in contents.items():
        path = recovered.data / "pg_wal" / segment.name
        path.write_bytes(content)
        give_to_owner(path)


def test_commits_wait_while_a_synchronous_receiver_is_dead_and_go_on_when_it_is_back(postgres_servers, receivers):
    server = postgres_servers(settings={"synchronous_standby_names": APPLICATION_NAME})
    receiver = receivers(server, synchronous=True, limit_bytes=256 * MEGABYTE)
    receiver.ensure_running()
    server.sql("create table t (id int)")
    receiver.stop()
    writer = threading.Thread(target=server.sql, args=("insert into t values (1)",))
    writer.start()
    waiting = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'"
    wait_until(lambda: server.sql(waiting) == [(1,)], "the commit to wait")
    assert server.sql("select count(*) from t") == [(0,)]
    receiver.ensure_running()
    writer.join(timeout=60)
    assert server.sql("select count(*) from t") == [(1,)]


def test_a_server_whose_commits_would_wait_for_ever_is_refused(postgres_servers, receivers):
    settings = {"synchronous_standby_names": f"FIRST 1 ({APPLICATION_NAME})", "synchronous_commit": "remote_apply"}
    receiver = receivers(postgres_servers(settings=settings), limit_bytes=256 * MEGABYTE)
    with pytest.raises(Refusal) as refused:
        receiver.ensure_running()
    assert refused.value.code == "remote_apply_never_ends"
    assert "synchronous_commit" in refused.value.hint
