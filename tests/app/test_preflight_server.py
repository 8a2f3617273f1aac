"""Each finding about a server, with a real server in that state."""

from contextlib import contextmanager

import pytest

from tests.restore_matrix.estate import SilentWatcher
from tests.servers.flavours import REPLICATION_ROLE, Flavour
from tests.servers.postgres import PostgresServer
from tests.servers.processes import wait_until
from understudy.app.backups import back_up
from understudy.app.installation import Installation
from understudy.judge.preflight import Grade, passes

SLOT = "understudy_shop_orders"


@pytest.fixture(scope="module")
def shared():
    """A server that tests of this module only look at, or change and put back."""
    with PostgresServer(Flavour.WHEEL_18, settings={"max_slot_wal_keep_size": "1GB"}) as server:
        yield server


@contextmanager
def changed(server, **settings):
    """Settings that a reload changes, put back afterwards."""

    def reload(wanted):
        server.sql("select pg_reload_conf()")
        wait_until(lambda: all(server.sql(f"show {name}") == [(value,)] for name, value in wanted.items()), "the reload")

    before = {name: server.sql(f"show {name}")[0][0] for name in settings}
    for name, value in settings.items():
        server.sql(f"alter system set {name} = '{value}'")
    reload(settings)
    try:
        yield
    finally:
        for name in settings:
            server.sql(f"alter system reset {name}")
        reload(before)


def take_a_backup(desk):
    assert back_up(Installation.open(desk.stack_file, desk.state), "orders", None, SilentWatcher()).succeeded


def is_ok(finding):
    return finding.grade is Grade.OK


def test_a_server_that_is_ready_passes_and_nothing_is_made_anywhere(shared, desk):
    desk.write(shared, "checks: [{sql: select count(*) from pg_class, at_least: 1}]")
    before = desk.contents()
    findings = [finding for group in desk.check().values() for finding in group]
    assert passes(findings)
    assert [finding for finding in findings if not is_ok(finding)] == []
    assert desk.contents() == before
    assert shared.sql("select * from pg_replication_slots") == []


def test_every_failure_says_what_to_change(desk):
    settings = {"max_replication_slots": "0", "summarize_wal": "off", "wal_level": "minimal", "max_wal_senders": "0"}
    with PostgresServer(settings=settings) as server:
        desk.write(server, "wal: {synchronous: true}")
        findings = [finding for group in desk.check().values() for finding in group]
    failures = {finding.aspect: finding.change for finding in findings if finding.grade is Grade.FAILURE}
    assert failures["wal_level"] == "ALTER SYSTEM SET wal_level = replica; then restart the server"
    assert failures["max_wal_senders"].startswith("ALTER SYSTEM SET max_wal_senders = 10;")
    assert failures["max_replication_slots"].startswith("ALTER SYSTEM SET max_replication_slots = 10;")
    assert f"synchronous_standby_names = 'FIRST 1 ({SLOT})'" in failures["synchronous"]
    assert all(failures.values())
    warnings = {finding.aspect: finding.change for finding in findings if finding.grade is Grade.WARNING}
    assert "ALTER SYSTEM SET summarize_wal = on" in warnings["summarize_wal"]
    assert "max_slot_wal_keep_size" in warnings["max_slot_wal_keep_size"]


def test_a_role_without_replication_is_told_the_statement(shared, desk):
    shared.sql("drop role if exists looker; create role looker login password 'x'; grant pg_monitor to looker")
    desk.write(shared, url=shared.url.replace("postgres:s3cret-of%20the%2Fsuperuser", "looker:x"))
    finding = desk.finding("privileges")
    assert finding.grade is Grade.FAILURE
    assert 'ALTER ROLE "looker" REPLICATION' in finding.change


def test_a_role_that_may_not_look_is_a_warning(shared, desk):
    shared.sql("drop role if exists blind; create role blind login replication password 'x'")
    desk.write(shared, url=shared.url.replace("postgres:s3cret-of%20the%2Fsuperuser", "blind:x"))
    finding = desk.finding("privileges")
    assert finding.grade is Grade.WARNING
    assert 'GRANT pg_monitor TO "blind"' in finding.change


def test_a_cluster_without_a_superuser_that_may_log_in_is_a_failure_because_no_copy_could_be_verified(desk):
    with PostgresServer() as server:
        desk.write(server)
        assert desk.finding("superuser").found == "restored copies are verified as postgres"
        server.sql("create role keeper superuser login; alter role postgres nologin")
        assert desk.finding("superuser").found == "restored copies are verified as keeper"
        with server.connect(user="keeper", autocommit=True) as connection:
            connection.execute("alter role keeper nologin")
        finding = desk.finding("superuser")
    assert finding.grade is Grade.FAILURE
    assert 'ALTER ROLE "postgres" LOGIN' in finding.change


def test_slots_that_are_all_taken_are_a_failure(desk):
    with PostgresServer(settings={"max_replication_slots": "1"}) as server:
        server.sql("select pg_create_physical_replication_slot('other')")
        desk.write(server)
        assert desk.finding("max_replication_slots").grade is Grade.FAILURE
        server.sql("select pg_drop_replication_slot('other')")
        server.sql(f"select pg_create_physical_replication_slot('{SLOT}', true)")
        assert is_ok(desk.finding("max_replication_slots"))
        assert is_ok(desk.finding("slot"))


def test_a_slot_that_lost_its_wal_is_a_failure(desk):
    with PostgresServer(segment_megabytes=1, settings={"max_slot_wal_keep_size": "1MB", "min_wal_size": "2MB"}) as server:
        server.sql(f"select pg_create_physical_replication_slot('{SLOT}', true)")
        server.sql("create table t ()")
        while server.sql("select wal_status from pg_replication_slots") != [("lost",)]:
            server.sql("insert into t select from generate_series(1, 1000); select pg_switch_wal(); checkpoint")
        desk.write(server)
        finding = desk.finding("slot")
    assert finding.grade is Grade.FAILURE
    assert f"pg_drop_replication_slot('{SLOT}')" in finding.change


@pytest.mark.parametrize(
    ("synchronous", "names", "commit", "grade", "change"),
    [
        (True, f"FIRST 1 ({SLOT})", "on", Grade.OK, ""),
        (True, "other", "on", Grade.FAILURE, f"FIRST 2 ({SLOT}, other)"),
        (True, "*", "on", Grade.WARNING, f"FIRST 1 ({SLOT})"),
        (True, f"FIRST 1 ({SLOT})", "remote_apply", Grade.FAILURE, "ALTER SYSTEM SET synchronous_commit = on"),
        (False, "", "on", Grade.OK, ""),
        (False, f"ANY 1 ({SLOT}, other)", "on", Grade.FAILURE, "resources.orders.wal.synchronous: true"),
    ],
)
def test_the_synchronous_mode_must_be_the_same_on_both_sides(shared, desk, synchronous, names, commit, grade, change):
    with changed(shared, synchronous_standby_names=names, synchronous_commit=commit):
        desk.write(shared, f"wal: {{synchronous: {str(synchronous).lower()}}}")
        finding = desk.finding("synchronous")
    assert finding.grade is grade
    assert change in finding.change


def test_a_server_without_checksums_is_a_warning(desk):
    with PostgresServer() as server:
        server.stop()
        server.program("pg_checksums", "--disable", "-D", str(server.data))
        server.start()
        desk.write(server)
        finding = desk.finding("data_checksums")
    assert finding.grade is Grade.WARNING
    assert finding.change.endswith(f"pg_checksums --enable -D {server.data}")


def test_a_tablespace_without_a_place_in_a_recovery_is_a_failure(desk):
    with PostgresServer() as server:
        server.sql(f"create tablespace fast location '{server.new_directory('fast')}'")
        desk.write(server)
        finding = desk.finding("tablespaces")
        assert finding.grade is Grade.FAILURE
        assert "resources.orders.recover.tablespaces: fast: /" in finding.change
        desk.write(server, f"recover: {{directory: {desk.directory}/r, programs: {server.programs}, "
                           f"tablespaces: {{fast: {desk.directory}/fast}}}}")  # fmt: skip
        assert is_ok(desk.finding("tablespaces"))


def test_a_tablespace_that_was_made_after_the_newest_backup_is_warned_of_until_there_is_another(desk):
    with PostgresServer() as server:
        desk.write(server, url=server.url)
        server.sql(f"create tablespace early location '{server.new_directory('early')}'")
        assert "tablespaces_backed_up" not in desk.check(), "that there is no backup yet is told elsewhere"
        take_a_backup(desk)
        assert is_ok(desk.finding("tablespaces_backed_up"))
        server.sql(f"create tablespace late location '{server.new_directory('late')}'")
        finding = desk.finding("tablespaces_backed_up")
        assert finding.grade is Grade.WARNING
        assert "late" in finding.found and str(server.directory / "late") in finding.found and "early" not in finding.found
        assert finding.change == "understudy backup orders"
        take_a_backup(desk)
        assert is_ok(desk.finding("tablespaces_backed_up"))


def test_a_server_that_does_not_answer_leaves_the_rest_of_the_check_standing(desk):
    with PostgresServer() as server:
        desk.write(server)
    found = desk.check()
    assert found["connection"][0].grade is Grade.FAILURE
    assert {"recipients", "repository", "spool"} <= set(found)


def test_a_wrong_password_is_named_and_not_shown(shared, desk):
    desk.write(shared, url=shared.url.replace("s3cret", "wrongsecret"))
    finding = desk.finding("password")
    assert finding.grade is Grade.FAILURE
    assert "wrongsecret" not in repr(finding)


@pytest.mark.parametrize(
    ("sql", "grade"),
    [
        ("select 1", Grade.OK),
        ("select count(*) from nowhere", Grade.FAILURE),
        ("select 1, 2", Grade.FAILURE),
        ("create table made_by_a_check ()", Grade.FAILURE),
        ("commit; create table made_by_a_check ()", Grade.FAILURE),
    ],
)
def test_the_operators_checks_are_asked_read_only(shared, desk, sql, grade):
    desk.write(shared, f'checks: [{{sql: "{sql}", at_least: 1}}]', url=shared.url)
    assert desk.finding("checks").grade is grade
    assert shared.sql("select to_regclass('made_by_a_check')") == [(None,)]


def test_a_check_that_this_role_may_not_read_is_told_the_grant_first(shared, desk):
    shared.sql("drop table if exists guarded; create table guarded ()")
    desk.write(shared, "checks: [{sql: select count(*) from guarded, at_least: 1}]")
    change = desk.finding("checks").change
    assert change.startswith(f"as its owner or a superuser: GRANT SELECT ON guarded TO {REPLICATION_ROLE}; or in the stack file,")


def test_where_the_urls_secret_is_missing_nothing_is_said_of_where_it_leads(shared, desk):
    desk.write(shared)
    (desk.directory / "url").unlink()
    found = desk.check()
    assert [found[aspect][0].grade for aspect in ("url", "recover_address")] == [Grade.FAILURE, Grade.FAILURE]


def test_a_heartbeat_that_could_not_be_written_is_a_failure(shared, desk):
    desk.write(shared, "heartbeat: {}")
    assert desk.finding("heartbeat").grade is Grade.FAILURE
    desk.write(shared, "heartbeat: {}", url=shared.url)
    assert is_ok(desk.finding("heartbeat"))
    assert shared.sql("select to_regclass('public.understudy_heartbeat')") == [(None,)]


def test_programs_of_another_major_version_are_refused(shared, desk):
    desk.write(shared, programs=shared.programs.parent.parent / "pginstall" / "bin")
    found = desk.check()
    for aspect in ("programs_receiving", "programs_restoring"):
        assert found[aspect][0].grade is Grade.FAILURE
        assert "programs_wrong_major" in found[aspect][0].found


@pytest.mark.debian
@pytest.mark.parametrize("tls", [False, True])
def test_a_missing_pg_hba_line_is_given_with_user_and_address(desk, tls):
    with PostgresServer(Flavour.DEBIAN_15, tls=tls) as server:
        desk.write(server)
        assert is_ok(desk.finding("replication"))
        server.add_hba_lines_first("host replication all 127.0.0.1/32 reject")
        finding = desk.finding("pg_hba")
        assert finding.grade is Grade.FAILURE
        kind = "hostssl" if tls else "host"
        line = f"{kind} replication {REPLICATION_ROLE} 127.0.0.1/32 scram-sha-256"
        assert finding.change.endswith(line)
        server.add_hba_lines_first(line)
        assert is_ok(desk.finding("replication"))


@pytest.mark.debian
def test_a_server_before_17_has_no_incrementals_to_wait_for(desk):
    with PostgresServer(Flavour.DEBIAN_15) as server:
        desk.write(server)
        assert is_ok(desk.finding("summarize_wal"))
        desk.write(server, "backup: {full: 0 3 * * sun, incremental: 0 3 * * mon-sat}")
        assert desk.finding("summarize_wal").grade is Grade.WARNING
        assert is_ok(desk.finding("version"))


@pytest.fixture(scope="module")
def without_create():
    """PostgreSQL 15: there ordinary roles have no CREATE on the schema ``public`` from the beginning."""
    with PostgresServer(Flavour.DEBIAN_15) as server:
        assert server.sql(f"select has_schema_privilege('{REPLICATION_ROLE}', 'public', 'CREATE')") == [(False,)]
        yield server


@pytest.mark.parametrize(
    ("granted", "grade"),
    [
        ("select, insert, update", Grade.OK),
        ("select, insert", Grade.FAILURE),
        ("insert, update", Grade.FAILURE),
        ("select, update", Grade.FAILURE),
    ],
)
def test_a_heartbeats_table_that_is_there_needs_each_privilege_and_no_other(without_create, desk, granted, grade):
    without_create.sql(
        f"drop table if exists understudy_heartbeat; create table understudy_heartbeat "
        f"(only_row boolean primary key default true check (only_row), written timestamptz not null); "
        f"grant {granted} on understudy_heartbeat to {REPLICATION_ROLE}"
    )
    desk.write(without_create, "heartbeat: {}")
    finding = desk.finding("heartbeat")
    assert finding.grade is grade
    assert (
        is_ok(finding) or f"GRANT SELECT, INSERT, UPDATE ON public.understudy_heartbeat TO {REPLICATION_ROLE}" in finding.change
    )


def test_a_heartbeats_table_that_is_absent_needs_create(without_create, desk):
    without_create.sql("drop table if exists understudy_heartbeat")
    desk.write(without_create, "heartbeat: {}")
    finding = desk.finding("heartbeat")
    assert finding.grade is Grade.FAILURE
    assert f"GRANT CREATE ON SCHEMA public TO {REPLICATION_ROLE}" in finding.change


def test_an_address_that_leads_elsewhere_than_a_recovery_lands_is_a_warning_with_the_line_to_add(shared, desk):
    recover = f"directory: {desk.directory}/recovered, port: {shared.port + 1}, programs: {shared.programs}"
    desk.write(shared, f"recover: {{{recover}}}")
    finding = desk.finding("recover_address")
    assert finding.grade is Grade.WARNING
    assert finding.found.startswith(f"127.0.0.1:{shared.port}, the url,")
    behind = f"host=localhost port={shared.port + 1} user={REPLICATION_ROLE} dbname=postgres"
    assert f"recover: url: file:{desk.directory}/url-recovered, and behind it {behind}" in finding.change
    assert "ss word" not in finding.change
    desk.write(shared, f"recover: {{{recover}, url: '{behind}'}}")
    assert is_ok(desk.finding("recover_address"))
