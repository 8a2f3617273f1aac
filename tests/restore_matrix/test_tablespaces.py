"""Tablespaces that the source dropped or made after the backup: what the WAL of that does in a copy. PostgreSQL 15 and 18."""

import pytest

from tests.restore_matrix.estate import expect_success, failed_step, files_in
from tests.servers.flavours import Flavour
from understudy.app.recoveries import Choice
from understudy.vocabulary.recovery_target import RecoveryTarget, TargetKind


class History:
    """One tablespace that was dropped after the backup, and then another that was made."""

    def __init__(self, estate):
        self.estate, server = estate, estate.server
        server.sql(f"create tablespace early location '{server.new_directory('early')}'")
        server.sql("create table orders tablespace early as select generate_series(1, 500) n")
        estate.back_up_well()
        server.sql("drop table orders")
        server.sql("drop tablespace early")
        self.between = estate.ship()
        self.late = server.new_directory("late")
        server.sql(f"create tablespace late location '{self.late}'")
        server.sql("create table prices tablespace late as select generate_series(1, 500) n")
        estate.ship()


@pytest.fixture(scope="module", params=[Flavour.WHEEL_18, Flavour.DEBIAN_15])
def history(make_estate, request):
    return History(make_estate(request.param, settings={"autovacuum": "off"}))


def test_a_copy_never_writes_into_a_tablespace_that_the_source_made_after_the_backup(history):
    """Its WAL names the source's own path, where on this host the live files lie."""
    estate = history.estate
    estate.server.sql("checkpoint")  # so that the source itself has nothing left to write
    before = files_in(history.late)
    view = estate.drill(Choice(label=estate.backups()[0].label.text))
    assert failed_step(view) == ("replay-wal", "tablespace_not_in_backup")
    told = next(step.error for step in view.steps if step.error is not None)
    assert str(history.late) in told.found
    assert "take a new backup" in told.hint
    assert files_in(history.late) == before != {}
    assert list((estate.directory / "state" / "drills").iterdir()) == []
    estate.back_up_well()
    expect_success(estate.drill(Choice()))


def test_a_tablespace_that_the_source_dropped_after_the_backup_is_gone_from_the_copy_which_can_make_others(history):
    copy = history.estate.server.sibling()
    target = RecoveryTarget(TargetKind.LSN, str(history.between))
    expect_success(history.estate.restore(Choice(target, tablespaces={"early": str(copy.directory / "early")}), copy.data))
    assert list((copy.data / "pg_tblspc").iterdir()) == []
    copy.start()
    assert copy.sql("select spcname from pg_tablespace where spcname in ('early', 'late')") == []
    copy.sql(f"create tablespace later location '{copy.new_directory('later')}'")
