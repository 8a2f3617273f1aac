"""What every ``Database`` promises."""

from datetime import timedelta

import pytest

from understudy.ports.database import BaseBackupRequest, Database
from understudy.vocabulary.errors import GiveUp


def assert_checks_change_nothing(ask):
    """Whatever a check tries, it may not write to the table ``counted``."""
    codes = {
        "insert into counted values (1)": "check_writes",
        "with written as (insert into counted values (1) returning 1) select count(*) from written": "check_writes",
        "do $$ begin set transaction read write; insert into counted values (1); end $$": "database_error",
        "commit; insert into counted values (1)": "database_error",
        "do $$ begin commit; insert into counted values (1); end $$": "database_error",
        "select * from nowhere": "database_error",
    }
    for check, code in codes.items():
        with pytest.raises(GiveUp) as refused:
            ask(check)
        assert (refused.value.code, check) == (code, check), refused.value
        assert refused.value.expected and refused.value.hint


class DatabaseContract:
    """Inherit, and supply ``database``, whose role may do everything that the port names."""

    @pytest.fixture
    def database(self) -> Database:
        raise NotImplementedError

    def test_facts_agree_with_the_cheap_question(self, database):
        facts = database.facts()
        timeline, flushed = database.wal_flushed()
        assert timeline == facts.timeline
        assert flushed >= facts.wal_flushed
        assert facts.observed.tzinfo is not None

    def test_a_slot_is_reserved_at_its_creation_and_returned_when_it_exists(self, database):
        assert database.slot("kept") is None
        made = database.reserve_slot("kept")
        assert made.restart_lsn is not None
        assert made.wal_status == "reserved"
        assert not made.active
        assert database.reserve_slot("kept") == made

    def test_dropping_a_slot_twice_is_dropping_it_once(self, database):
        database.reserve_slot("kept")
        database.drop_slot("kept")
        database.drop_slot("kept")
        assert database.slot("kept") is None

    def test_rows_come_as_text(self, database):
        assert [tuple(row) for row in database.query("select 1, 'a%s', null, true")] == [("1", "a%s", None, "t")]

    def test_a_check_answers_as_text_and_can_change_nothing(self, database):
        database.execute(["create table counted (id int)"])
        limit = timedelta(minutes=1)
        assert [tuple(row) for row in database.ask("select 1, null;", "postgres", limit)] == [("1", None)]
        assert_checks_change_nothing(lambda check: database.ask(check, "postgres", limit))
        assert [tuple(row) for row in database.query("select count(*) from counted")] == [("0",)]

    def test_each_statement_is_a_transaction_of_its_own(self, database):
        database.execute(["create table contract (id int)", "insert into contract values (1)"])
        with pytest.raises(GiveUp) as refused:
            database.execute(["insert into contract values (2)", "insert into nowhere values (1)"])
        assert refused.value.code == "database_error"
        assert "nowhere" in refused.value.found
        assert [tuple(row) for row in database.query("select count(*) from contract")] == [("2",)]

    def test_a_backup_comes_as_archives_then_manifest_then_stop(self, database):
        with database.base_backup(BaseBackupRequest("contract")) as stream:
            sizes = {archive.tablespace_oid: sum(map(len, archive.chunks)) for archive in stream.archives()}
            manifest = b"".join(stream.manifest())
            stop = stream.stop()
        assert set(sizes) == {None, *(each.oid for each in stream.start.tablespaces)}
        assert b'"PostgreSQL-Backup-Manifest-Version"' in manifest
        assert stop.lsn > stream.start.lsn

    def test_the_order_of_reading_is_insisted_on(self, database):
        with database.base_backup(BaseBackupRequest("contract")) as stream:
            with pytest.raises(ValueError, match="before asking for the stop"):
                stream.stop()
            archives = stream.archives()
            next(archives)
            with pytest.raises(ValueError, match="consumed to its end"):
                next(archives)

    def test_the_first_timeline_has_no_history(self, database):
        with pytest.raises(GiveUp) as refused:
            database.timeline_history(1)
        assert refused.value.code == "timeline_history_missing"
