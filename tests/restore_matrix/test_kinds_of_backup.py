"""Full or incremental, from a primary or a standby, throttled or not: what is planned, what is recorded, what comes back."""

import shutil

import pytest

from tests.restore_matrix.estate import dump_of, expect_success, failed_step, proof_of
from tests.restore_matrix.stores import StoreKind
from tests.servers.flavours import Flavour, give_to_owner
from tests.servers.processes import wait_until
from understudy.app.recoveries import Choice
from understudy.vocabulary.identifiers import BackupKind


def test_a_full_backup_and_two_incrementals_come_back_as_one(make_estate):
    estate = make_estate(Flavour.WHEEL_18, StoreKind.S3)
    server = estate.server
    server.sql("create table t as select i, repeat(md5(i::text), 10) as filler from generate_series(1, 5000) i")
    server.sql("create table doomed as select i from generate_series(1, 1000) i")
    full = estate.back_up_well()
    server.sql("update t set filler = 'changed' where i % 7 = 0; drop table doomed; create table new_one (id int)")
    first = estate.back_up_well()
    server.sql("delete from t where i > 4000; insert into new_one values (1)")
    server.sql("vacuum t")
    second = estate.back_up_well(BackupKind.INCREMENTAL)
    server.sql("insert into new_one values (2)")
    estate.ship()
    assert [each.kind for each in (full, first, second)] == [BackupKind.FULL, BackupKind.INCREMENTAL, BackupKind.INCREMENTAL]
    assert (first.parent, second.parent) == (full.label, first.label)
    assert max(first.plain_bytes, second.plain_bytes) < full.plain_bytes
    copy = server.sibling()
    view = expect_success(estate.restore(Choice(), copy.data))
    labels = [full.label.text, first.label.text, second.label.text]
    assert list(proof_of(view, "restore-base-backup")["labels"]) == labels
    assert dump_of(copy.start()) == dump_of(server)
    older = server.sibling()
    view = expect_success(estate.restore(Choice(label=first.label.text), older.data))
    assert list(proof_of(view, "restore-base-backup")["labels"]) == labels[:2]
    assert dump_of(older.start()) == dump_of(server)


@pytest.mark.parametrize(("flavour", "words"), [(Flavour.DEBIAN_15, "PostgreSQL 15"), (Flavour.WHEEL_16, "PostgreSQL 16")])
def test_an_incremental_backup_of_a_server_that_has_none_is_planned_as_a_full_one_with_the_reason(make_estate, flavour, words):
    estate = make_estate(flavour)
    estate.back_up_well()
    view = expect_success(estate.back_up(BackupKind.INCREMENTAL))
    proof = proof_of(view, "take-base-backup")
    assert proof["kind"] == "full"
    assert words in str(proof["reason"])


def test_an_incremental_backup_that_the_server_refuses_is_replanned_as_a_full_one_with_the_server_s_reason(make_estate):
    estate = make_estate(Flavour.WHEEL_18, segment_megabytes=1)
    estate.back_up_well()
    lose_wal_summaries(estate)
    view = expect_success(estate.back_up(BackupKind.INCREMENTAL))
    proof = proof_of(view, "take-base-backup")
    assert proof["kind"] == "full"
    assert "summaries" in str(proof["reason"])
    assert [each.kind for each in estate.backups()] == [BackupKind.FULL, BackupKind.FULL]


def lose_wal_summaries(estate):
    """And the WAL that new ones could be made of."""
    server = estate.server
    first = min(each.start_lsn for each in estate.backups())
    server.sql("create table wal_filler (t text)")

    def gone():
        server.sql("insert into wal_filler values (repeat('x', 100))")
        server.sql("select pg_switch_wal()")
        server.sql("checkpoint")
        oldest = server.sql("select min(name) from pg_ls_waldir() where name ~ '^[0-9A-F]{24}$'")[0][0]
        return int(str(oldest)[16:], 16) > first.position // 2**20 + 1

    wait_until(gone, "the server to give up the WAL of the first backup")
    server.stop()
    shutil.rmtree(server.data / "pg_wal" / "summaries")
    (server.data / "pg_wal" / "summaries").mkdir(mode=0o700)
    give_to_owner(server.data / "pg_wal" / "summaries")
    server.start()


def test_a_backup_of_a_standby_comes_back(make_estate):
    primary = make_estate(Flavour.WHEEL_16).server
    primary.sql("create table t as select generate_series(1, 1000) as i")
    standby = primary.make_standby()
    estate = make_estate(server=standby)
    backup = estate.back_up_well()
    assert backup.kind is BackupKind.FULL
    primary.sql("insert into t values (0)")
    position = primary.sql("select pg_current_wal_lsn()::text")[0][0]
    wait_until(lambda: standby.sql(f"select pg_last_wal_replay_lsn() >= '{position}'") == [(True,)], "the standby to follow")
    estate.ship()
    copy = standby.sibling()
    expect_success(estate.restore(Choice(), copy.data))
    assert dump_of(copy.start()) == dump_of(primary)


def test_a_backup_of_a_standby_on_which_nothing_happens_any_more_is_finished_and_comes_back(make_estate):
    """Its WAL ends with a record whose last bytes are zeros, which no tail holds; and no other record will come."""
    primary = make_estate(Flavour.WHEEL_16).server
    primary.sql("create table t as select generate_series(1, 1000) as i")
    standby = primary.make_standby()
    kept = dump_of(primary)
    position = primary.sql("select pg_current_wal_lsn()::text")[0][0]
    wait_until(lambda: standby.sql(f"select pg_last_wal_replay_lsn() >= '{position}'") == [(True,)], "the standby to follow")
    primary.stop()
    estate = make_estate(server=standby)
    backup = estate.back_up_well()
    assert estate.archive().contents().reaches(backup.timeline) < backup.stop_lsn, "the case that this is about"
    assert "without a hole" in estate.command("verify", "orders").stdout
    assert dump_of(estate.restored(Choice())) == kept


def test_a_throttled_backup_tells_the_server_its_limit_and_is_complete(make_estate):
    estate = make_estate(
        Flavour.DEBIAN_15, settings={"log_replication_commands": "on"}, resource={"backup": {"max_rate": "64MiB/s"}}
    )
    estate.server.sql("create table t as select generate_series(1, 1000) as i")
    estate.back_up_well()
    assert "MAX_RATE 65536" in estate.server.log_text()
    estate.ship()
    assert dump_of(estate.restored(Choice())) == dump_of(estate.server)


def test_a_page_that_is_broken_on_the_server_makes_no_backup(make_estate):
    """Negative control of the checksums that the server compares while it sends."""
    estate = make_estate(Flavour.WHEEL_18)
    server = estate.server
    server.sql("create table t as select i, repeat('x', 500) from generate_series(1, 500) i; checkpoint")
    path = server.data / str(server.sql("select pg_relation_filepath('t')")[0][0])
    server.stop()
    content = bytearray(path.read_bytes())
    content[8192 + 4000] ^= 0x40
    path.write_bytes(content)
    server.start()
    assert failed_step(estate.back_up()) == ("take-base-backup", "source_corrupt")
    assert estate.backups() == ()
