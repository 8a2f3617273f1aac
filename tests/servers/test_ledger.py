from tests.servers.ledger import Ledger


def test_what_the_ledger_calls_acknowledged_is_found_after_a_crash(postgres_servers, tmp_path):
    server = postgres_servers()
    with Ledger(server.url, tmp_path / "ledger", connections=4) as ledger:
        ledger.wait_for(50)
        server.kill_everything()
        ledger.wait()
    server.start()
    assert len(ledger.acknowledged()) >= 50
    assert ledger.acknowledged() <= Ledger.found(server.url)
