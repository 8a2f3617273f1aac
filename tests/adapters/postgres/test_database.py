import pytest

from tests.contracts.database import DatabaseContract
from tests.servers.flavours import REPLICATION_PASSWORD, REPLICATION_ROLE, Flavour
from tests.told import told_whole
from understudy.adapters.clock.system import SystemClock
from understudy.adapters.postgres.database import PostgresDatabase
from understudy.vocabulary.errors import GiveUp, TryAgain, UnderstudyError
from understudy.vocabulary.identifiers import SystemIdentifier
from understudy.vocabulary.secret import Secret
from understudy.vocabulary.wal import parse_history_file


def database(url, **options):
    return PostgresDatabase(Secret(url), SystemClock(), **options)


class TestPostgresDatabase(DatabaseContract):
    @pytest.fixture(params=list(Flavour))
    def database(self, request, postgres_servers):
        return database(postgres_servers(request.param).url)


@pytest.mark.parametrize("flavour", list(Flavour))
def test_facts_are_what_the_server_says_of_itself(postgres_servers, flavour):
    server = postgres_servers(flavour)
    place = server.new_directory("space")
    server.sql(f"create tablespace space location '{place}'")
    facts = database(server.replication_url).facts()
    assert facts.major == flavour.major
    assert facts.system_identifier == str(server.sql("select system_identifier from pg_control_system()")[0][0])
    assert facts.timeline == 1
    assert not facts.in_recovery
    assert facts.segment_bytes == 16 * 1024 * 1024
    assert facts.data_checksums
    assert database(server.replication_url).size_bytes() > 10_000_000
    assert [(space.name, space.location) for space in facts.tablespaces] == [("space", str(place))]
    assert facts.settings["wal_level"] == "replica"
    assert facts.settings["max_slot_wal_keep_size"] == "-1"
    assert ("summarize_wal" in facts.settings) == (flavour.major >= 17)
    assert facts.wal_flushed.position > 0


def test_a_role_with_replication_only_can_ask_for_facts(postgres_servers):
    server = postgres_servers(Flavour.DEBIAN_15)
    server.sql(f"revoke pg_monitor from {REPLICATION_ROLE}")
    server.sql("revoke connect on database template1 from public")
    facts = database(server.replication_url).facts()
    assert database(server.replication_url).size_bytes() == 0  # it may not ask about template1
    assert facts.settings["max_wal_senders"] == "10"


def test_tls_and_scram_are_used_as_the_connection_string_demands(postgres_servers):
    server = postgres_servers(Flavour.DEBIAN_15, tls=True)
    assert database(server.replication_url).facts().major == 15
    with pytest.raises(GiveUp) as refused:
        database(server.replication_url.replace("verify-ca", "disable")).facts()
    assert refused.value.code == "privilege_missing"
    assert "pg_hba.conf" in refused.value.hint


def test_a_certificate_that_nobody_vouches_for_is_told_as_such(postgres_servers):
    server = postgres_servers(Flavour.DEBIAN_15, tls=True)
    untrusted = refusal_of(server.replication_url.partition("?")[0] + "?sslmode=verify-full&sslrootcert=system")
    assert untrusted.code == "tls_failed"


def test_a_slot_that_reserves_nothing_is_made_again(postgres_servers):
    server = postgres_servers()
    server.sql("select pg_create_physical_replication_slot('empty', false)")
    assert database(server.replication_url).reserve_slot("empty").restart_lsn is not None


def test_a_slot_whose_wal_was_removed_is_called_lost(postgres_servers):
    server = postgres_servers(
        segment_megabytes=1, settings={"max_slot_wal_keep_size": "2MB", "max_wal_size": "4MB", "min_wal_size": "2MB"}
    )
    with_slot = database(server.replication_url)
    with_slot.reserve_slot("late")
    for _ in range(6):
        server.sql("select pg_logical_emit_message(false, 'x', repeat('x', 900000)); select pg_switch_wal()")
    server.sql("checkpoint")
    assert with_slot.slot("late").wal_status == "lost"
    with pytest.raises(GiveUp) as lost:
        with_slot.reserve_slot("late")
    assert lost.value.code == "slot_lost"


def test_all_slots_taken_is_told_with_the_setting_to_raise(postgres_servers):
    server = postgres_servers(settings={"max_replication_slots": "1"})
    with_slots = database(server.replication_url)
    with_slots.reserve_slot("one")
    with pytest.raises(GiveUp) as refused:
        with_slots.reserve_slot("two")
    assert refused.value.code == "slots_exhausted"
    assert "max_replication_slots" in refused.value.hint


def test_a_standby_is_asked_too_and_its_timeline_changes_with_promotion(postgres_servers):
    server = postgres_servers()
    standby = server.make_standby()
    asked = database(standby.replication_url)
    assert asked.facts().in_recovery
    assert asked.wal_flushed()[0] == 1
    assert [row.state for row in database(server.replication_url).standbys()] == ["streaming"]
    standby.promote()
    timeline, flushed = asked.wal_flushed()
    assert timeline == 2
    [fork] = parse_history_file(asked.timeline_history(timeline).decode())
    assert fork.parent == 1
    assert fork.at <= flushed


def test_another_cluster_at_the_address_is_refused_by_every_kind_of_connection(postgres_servers):
    asked = database(postgres_servers().url, expected_system=SystemIdentifier("7000000000000000001"))
    for call in (asked.facts, asked.wal_flushed, lambda: asked.query("select 1"), lambda: asked.timeline_history(2)):
        with pytest.raises(GiveUp) as refused:
            call()
        assert refused.value.code == "system_identifier_changed"
        assert "7000000000000000001" in refused.value.expected


def refusal_of(url) -> UnderstudyError:
    with pytest.raises(UnderstudyError) as refused:
        database(url).facts()
    return refused.value


def test_refused_connections_say_what_to_change_and_never_show_the_password(postgres_servers):
    server = postgres_servers()
    wrong = refusal_of(f"host=127.0.0.1 port={server.port} user={REPLICATION_ROLE} dbname=postgres password=Wr0ng-word")
    assert told_whole(wrong) == "password_rejected"
    assert "Wr0ng" not in str(wrong)
    assert refusal_of(server.replication_url.replace("/postgres", "/absent")).code == "database_missing"
    server.sql(f"alter role {REPLICATION_ROLE} noreplication")
    unprivileged = refusal_of(server.replication_url)
    assert unprivileged.code == "privilege_missing"
    assert "REPLICATION" in unprivileged.hint
    server.sql(f"alter role {REPLICATION_ROLE} replication")
    server.add_hba_lines_first(f"local all {REPLICATION_ROLE} peer")
    peer = refusal_of(f"host={server.socket_directory} port={server.port} user={REPLICATION_ROLE} dbname=postgres")
    assert told_whole(peer) == "peer_rejected"
    assert "pg_hba.conf" in peer.expected
    server.add_hba_lines_first("host replication all 127.0.0.1/32 reject")
    closed = refusal_of(server.replication_url)
    assert closed.code == "privilege_missing"
    assert f"host replication {REPLICATION_ROLE} 127.0.0.1/32 scram-sha-256" in closed.hint
    server.kill_everything()
    gone = refusal_of(server.replication_url)
    assert isinstance(gone, TryAgain)
    assert gone.code == "database_unreachable"
    assert not any(REPLICATION_PASSWORD in str(error) for error in (wrong, unprivileged, closed, gone))


def test_a_malformed_connection_string_is_not_repeated():
    with pytest.raises(GiveUp) as refused:
        database("host=127.0.0.1 password='Wr0ng-word")
    assert refused.value.code == "connection_string_malformed"
    assert "Wr0ng" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_no_free_wal_sender_is_a_passing_fault_with_the_setting_to_raise(postgres_servers):
    server = postgres_servers(settings={"max_wal_senders": "0"})
    refused = refusal_of(server.replication_url)
    assert isinstance(refused, TryAgain)
    assert refused.code == "wal_senders_exhausted"
    assert "max_wal_senders" in refused.hint


def test_a_kept_connection_that_the_server_closed_is_opened_again(postgres_servers):
    server = postgres_servers()
    asked = database(server.replication_url)
    asked.wal_flushed()
    server.restart()
    assert asked.wal_flushed()[0] == 1
    server.kill_everything()
    with pytest.raises(TryAgain):
        asked.wal_flushed()
    server.start()
    assert asked.wal_flushed()[0] == 1
    asked.close()


def test_queries_answer_in_text_and_statements_commit_one_by_one(postgres_servers):
    server = postgres_servers()
    server.sql("create database other")
    asked = database(server.url)
    asked.execute(["create table t (id int, word text)", "insert into t values (1, 'a%s'), (2, null)"], "other")
    assert list(asked.query("select id, word, true from t order by id", "other")) == [("1", "a%s", "t"), ("2", None, "t")]
    with pytest.raises(GiveUp) as refused:
        asked.execute(["insert into t values (3, 'kept')", "insert into nowhere values (1)"], "other")
    assert refused.value.code == "database_error"
    assert "nowhere" in refused.value.found
    assert list(asked.query("select count(*) from t", "other")) == [("3",)]
