"""What a restored server must be before it counts as one: room for it, checks that hold, a write read back, whole pages."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.app.desk import desk
from tests.restore_matrix.estate import RESOURCE, SilentWatcher, expect_success, failed_step
from tests.servers import programs
from tests.servers.flavours import Flavour
from tests.steps.protected import Protected, world_of
from understudy.app.carrying_out import carry_out
from understudy.app.recoveries import Choice, plan_restore, restore
from understudy.app.seen import remember_seen
from understudy.ports.instance import InstancePlace
from understudy.records.run import StepState
from understudy.steps.check_pages import CheckPages
from understudy.steps.provision_target import ProvisionTarget
from understudy.steps.verify_database import VerifyDatabase
from understudy.steps.write_and_read_back import WriteAndReadBack
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.evidence import Outcome

__all__ = ["desk"]

_PAGE_BYTES = 8192
_ORDER = "create or replace function in_order(int, int) returns int language sql immutable strict as 'select btint4cmp({})'"
_SORTED_INDEX = """
create operator class sorted for type int using btree as
    operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >, function 1 in_order(int, int);
create table numbers as select generate_series(1, 2000) as n;
create index lying on numbers (n sorted);
"""


def test_a_target_without_room_is_refused_before_anything_is_made_or_fetched(protected):
    installation = protected.installation()
    directory = protected.desk.directory / "too-small"
    plan = plan_restore(installation, "orders", directory, Choice())
    steps = tuple(
        replace(each, step=replace(each.step, bytes_needed=dict.fromkeys(each.step.bytes_needed, 2**62)))
        if isinstance(each.step, ProvisionTarget)
        else each
        for each in plan.steps
    )
    view = carry_out(installation, replace(plan, steps=steps), SilentWatcher())
    assert failed_step(view) == ("provision-target", "target_too_small")
    fetched = next(step for step in view.steps if step.key == "orders/restore-base-backup")
    assert fetched.state is StepState.SKIPPED
    assert list(protected.desk.directory.glob("too-small*")) == []


def test_a_check_that_does_not_hold_fails_the_drill_and_the_sandbox_is_gone(protected):
    protected.installation("checks: [{sql: select count(*) from words, at_least: 2}]")
    desk = protected.desk
    done = programs.run("drill", "database_corruption", "--stack", desk.stack_file, "--state", desk.state)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "check_failed" in done.stdout + done.stderr
    assert list((desk.state / "drills").iterdir()) == []


@pytest.mark.parametrize(
    ("sql", "rule", "bound", "holds"),
    [
        ("select count(*) from words", "at_least", "1", True),
        ("select count(*) from words", "at_least", "2", False),
        ("select count(*) from words", "at_most", "0", False),
        ("select word from words", "equals", "kept", True),
        ("select word from words", "equals", "Kept", False),
        ("select word from words", "at_least", "0", False),
        ("select max(word) from words where false", "equals", "None", False),
        ("select word from words where false", "at_most", "9", False),
    ],
)
def test_a_check_holds_exactly_when_its_rule_does(protected, sql, rule, bound, holds):
    step = VerifyDatabase("orders", protected.place, checks=({"sql": sql, rule: bound},))
    world = world_of(protected.installation())
    if holds:
        assert step.run(world).outcome is Outcome.DONE
        return
    with pytest.raises(GiveUp) as failure:
        step.run(world)
    assert failure.value.code == "check_failed"
    assert sql in failure.value.found


def test_all_bounds_of_a_check_must_hold_and_its_failure_names_all_of_them(protected):
    world, sql = world_of(protected.installation()), "select count(*) from words"

    def check(at_least, at_most):
        bounds = {"sql": sql, "name": "no word was lost", "at_least": at_least, "at_most": at_most}
        return VerifyDatabase("orders", protected.place, checks=(bounds,))

    for at_least, at_most in (("0", "0"), ("2", "3")):
        with pytest.raises(GiveUp) as failure:
            check(at_least, at_most).run(world)
        assert failure.value.code == "check_failed"
        assert failure.value.expected == f"at least {at_least} and at most {at_most}"
        assert failure.value.found == f"no word was lost: '{sql}' answered '1'"
    assert check("1", "1").run(world).proof["checks"] == [{"name": "no word was lost", "sql": sql, "answer": "1"}]


def test_a_check_that_writes_fails_and_has_changed_nothing(protected):
    step = VerifyDatabase("orders", protected.place, checks=({"sql": "delete from words returning 1", "at_least": "1"},))
    with pytest.raises(GiveUp) as failure:
        step.run(world_of(protected.installation()))
    assert failure.value.code == "check_writes"
    assert "changes nothing" in failure.value.expected
    assert protected.server.sql("select word from words") == [("kept",)]


def test_a_collation_of_another_version_is_no_failure_and_the_evidence_says_what_to_rebuild(protected):
    step, world, sql = VerifyDatabase("orders", protected.place), world_of(protected.installation()), protected.server.sql
    sql("create collation sorted (provider = builtin, locale = 'C.UTF-8')")
    sql("create table cities (city text collate sorted primary key)")
    try:
        before = step.run(world)
        sql("update pg_collation set collversion = '0.1' where collname = 'sorted'")
        after = step.run(world)
    finally:
        sql("drop table cities; drop collation sorted")
    assert (before.outcome, after.outcome, before.hint) == (Outcome.DONE, Outcome.DONE, "")
    assert before.proof["databases"]["postgres"]["indexes_to_rebuild"] == []
    assert after.proof["databases"]["postgres"]["indexes_to_rebuild"] == ["public.cities_pkey"]
    assert "REINDEX" in after.hint and "REFRESH VERSION" in after.hint


@pytest.mark.debian
def test_an_index_that_lies_fails_the_verification_where_the_server_has_amcheck(postgres_servers, desk):
    """Its pages are whole and every row is read: only who compares the entries with one another sees it."""
    server = postgres_servers(Flavour.DEBIAN_15)
    protected = Protected(server, desk)
    installation = protected.installation()
    remember_seen(installation.state, RESOURCE, installation.databases[RESOURCE].facts())
    step, world = VerifyDatabase("orders", protected.place), world_of(installation)
    server.sql(_ORDER.format("$1, $2"))
    server.sql(_SORTED_INDEX)
    assert step.run(world).proof["databases"]["postgres"]["amcheck_relations"] is None
    server.sql("create extension amcheck")
    assert int(step.run(world).proof["databases"]["postgres"]["amcheck_relations"]) > 100
    server.sql(_ORDER.format("$2, $1"))
    with pytest.raises(GiveUp) as failure:
        step.run(world)
    assert failure.value.code == "structure_damaged"
    assert "lying" in failure.value.found


def test_a_commit_that_another_connection_does_not_see_fails_the_read_back(protected):
    step, world = WriteAndReadBack("orders", protected.place), world_of(protected.installation())
    assert step.run(world).proof["in_recovery"] == "f"
    protected.server.sql(
        """
        create function swallow() returns event_trigger language plpgsql as $$
        begin
            if to_regclass('understudy_recovery_proof') is not null then
                create or replace rule swallowed as on insert to understudy_recovery_proof do instead nothing;
            end if;
        end $$;
        create event trigger swallowing on ddl_command_end when tag in ('CREATE TABLE') execute function swallow();
        """
    )
    try:
        with pytest.raises(GiveUp) as failure:
            step.run(world)
    finally:
        protected.server.sql("drop event trigger swallowing; drop function swallow(); drop table understudy_recovery_proof")
    assert failure.value.code == "write_not_read_back"
    assert failure.value.found.startswith("0 rows")


def test_a_page_that_disagrees_with_its_checksum_fails_the_copy_also_in_an_index_that_no_dump_reads(protected):
    installation = protected.installation()
    directory = protected.desk.directory / "restored"
    expect_success(restore(installation, "orders", directory, Choice(), SilentWatcher()))
    step = CheckPages("orders", InstancePlace(str(directory), "/nowhere"), label="20261123-030000F")
    assert step.run(world_of(installation)).proof["pages_bad"] == 0
    flip_a_byte_of_a_page(directory / str(protected.server.sql("select pg_relation_filepath('words_pkey')")[0][0]))
    with pytest.raises(GiveUp) as failure:
        step.run(world_of(installation))
    assert failure.value.code == "pages_damaged"
    assert failure.value.found.startswith("1 of ")
    assert failure.value.proof == {"backup": "20261123-030000F"}
    protected.server.program("pg_checksums", "--disable", "-D", str(directory))
    skipped = step.run(world_of(installation))
    assert skipped.outcome is Outcome.SKIPPED
    assert "without data checksums" in skipped.proof["reason"]


def flip_a_byte_of_a_page(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[_PAGE_BYTES + _PAGE_BYTES // 2] ^= 1
    file.write_bytes(content)
