"""What a drill sees where the server has amcheck: the wheels' builds lack it, so PostgreSQL 15 (Debian) alone."""

import pytest

from tests.restore_matrix.estate import expect_success, failed_step, proof_of
from tests.servers.flavours import Flavour
from understudy.app.recoveries import Choice
from understudy.vocabulary.recovery_target import RecoveryTarget, TargetKind

pytestmark = pytest.mark.debian

ORDER = "create or replace function in_order(int, int) returns int language sql immutable strict as 'select btint4cmp({})'"
INDEX = """
create operator class sorted for type int using btree as
    operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >, function 1 in_order(int, int);
create table numbers as select generate_series(1, 2000) as n;
create index lying on numbers (n sorted);
"""


@pytest.fixture(scope="module")
def estate(make_estate):
    made = make_estate(Flavour.DEBIAN_15)
    made.server.sql(ORDER.format("$1, $2"))
    made.server.sql(f"create extension amcheck; {INDEX}")
    return made


@pytest.fixture(scope="module")
def sound(estate):
    """Whatever is done to the source later, this backup by itself is free of it."""
    return Choice(RecoveryTarget(TargetKind.IMMEDIATE), label=estate.back_up_well().label.text)


def test_a_drill_checks_the_structure_of_the_database_that_has_the_extension_and_says_of_how_many_relations(estate, sound):
    databases = proof_of(expect_success(estate.drill(sound)), "verify-database")["databases"]
    assert int(databases["postgres"]["amcheck_relations"]) > 100
    assert databases["template1"]["amcheck_relations"] is None


def test_a_drill_fails_by_an_index_that_lied_already_when_the_backup_was_taken(estate, sound):
    """As one whose collation sorts otherwise since an upgrade: its pages are whole, every row is read, and queries miss rows."""
    estate.server.sql(ORDER.format("$2, $1"))
    estate.back_up_well()
    view = estate.drill(Choice())
    assert failed_step(view) == ("verify-database", "structure_damaged")
    told = next(step.error for step in view.steps if step.error is not None)
    assert "lying" in told.found
    assert "reindex" in told.hint
    assert list((estate.directory / "state" / "drills").iterdir()) == [], "the sandbox is gone all the same"
