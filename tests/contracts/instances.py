"""What every ``Instances`` promises."""

import os
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from tests.contracts.database import assert_checks_change_nothing
from tests.servers.processes import wait_until
from tests.steps.protected import NobodyLooks
from understudy.ports.instance import InstancePlace, StopMode
from understudy.vocabulary.errors import GiveUp, TryAgain

OF_EVERYTHING = (
    """create table ranged (n int, filling text) with (fillfactor = 10)""",
    """insert into ranged select n, repeat('x', 700) from generate_series(1, 20000) n""",
    """create table "odd ""name%s" (id int, dropped int, "Fuß" text, twice int generated always as (id * 2) stored)""",
    """insert into "odd ""name%s" (id, dropped, "Fuß") values (1, 2, 'grün'), (3, 4, null)""",
    """alter table "odd ""name%s" drop column dropped""",
    """create table without_columns ()""",
    """insert into without_columns default values""",
    """create table parted (id int, wide text) partition by range (id)""",
    """create table parted_1 partition of parted for values from (1) to (100)""",
    """create table parted_2 partition of parted for values from (100) to (200)""",
    """insert into parted select n, (select string_agg(md5((n * i)::text), '') from generate_series(1, 300) i)
         from generate_series(1, 150) n""",
    """create materialized view seen as select id from parted where id <= 7""",
    """create materialized view unseen as select id from parted with no data""",
    """create unlogged table unlogged as select 1""",
    """create sequence counter""",
    """create foreign data wrapper nothing""",
    """create server nowhere foreign data wrapper nothing""",
    """create foreign table elsewhere (id int) server nowhere""",
    """select count(lo_from_bytea(0, 'content')) from generate_series(1, 2500)""",
    """alter table parted_1 enable row level security""",
    """alter table parted_1 force row level security""",
)
"""One of each kind of thing that holds rows, and row security in the way."""
ROWS_OF_EVERYTHING = 20_000 + 2 + 1 + 150 + 7


def read_everything(instances, place, database="postgres", workers=2):
    nobody = NobodyLooks()
    return instances.read_logically(place, [database], workers, nobody, nobody)[database]


class InstancesContract:
    """Inherit, and supply ``clusters``: a factory of initialised data directories with a place and ``Instances`` for each."""

    @pytest.fixture
    def clusters(self):
        raise NotImplementedError

    def test_a_server_is_started_asked_promoted_and_stopped(self, clusters):
        cluster = clusters()
        instances, place = cluster.instances, cluster.place
        assert not instances.facts(place).running
        (cluster.data / "standby.signal").touch()
        cluster.start()
        cluster.wait_until_ready()
        standby = instances.facts(place)
        assert (standby.running, standby.in_recovery, standby.replay_paused, standby.timeline) == (True, True, False, 1)
        assert standby.replayed is not None
        instances.promote(place)
        wait_until(lambda: instances.facts(place).in_recovery is False, "the end of recovery")
        assert instances.facts(place).timeline == 2
        instances.promote(place)
        instances.execute(place, ["create table t (id int, note text)", "insert into t values (1, null)"])
        assert instances.query(place, "select id, note, 1.50::numeric, true from t") == [("1", None, "1.50", "t")]
        read = read_everything(instances, place)
        assert (read.relations, read.rows) == (1, 1)
        assert read == read_everything(instances, place)
        instances.execute(place, ["insert into t values (2)", "alter table t add more text"])
        again = read_everything(instances, place)
        assert (again.relations, again.rows) == (1, 2)
        assert again.definitions_sha256 != read.definitions_sha256
        instances.stop(place, StopMode.FAST)
        assert not instances.facts(place).running
        assert not cluster.is_at_work()
        instances.stop(place, StopMode.FAST)
        control = instances.control_data(place.directory)
        assert control.cluster_state == "shut down"
        assert control.required_settings["max_connections"] == "100"
        assert control.segment_bytes == 16 * 1024 * 1024
        assert control.minimum_recovery_end is None
        looked_at, bad = instances.verify_checksums(place.directory)
        assert looked_at > 0 and bad == 0

    def test_starting_what_runs_already_changes_nothing(self, clusters):
        cluster = clusters()
        cluster.start()
        cluster.wait_until_ready()
        since = cluster.instances.query(cluster.place, "select pg_postmaster_start_time()")
        cluster.start()
        assert cluster.instances.query(cluster.place, "select pg_postmaster_start_time()") == since

    def test_a_person_starts_the_open_server_again_with_one_line_that_needs_nothing_of_ours(self, clusters):
        cluster = clusters()
        clients = cluster.root / "clients"
        clients.mkdir()
        os.chown(clients, *cluster.instances.owner)
        cluster.place = replace(cluster.place, client_socket_directory=str(clients), log=str(cluster.root / "log"))
        cluster.start(hba_lines=None)
        cluster.wait_until_ready()
        line = cluster.instances.command_to_start(cluster.place, {"work_mem": "7 MB"})
        cluster.instances.stop(cluster.place, StopMode.FAST)
        shutil.rmtree(cluster.place.socket_directory)
        subprocess.run(["/bin/sh", "-c", line], check=True, cwd="/", env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        with psycopg.connect(host=str(clients), port=cluster.place.port, user="postgres", dbname="postgres") as connection:
            assert connection.execute("show work_mem").fetchone() == ("7MB",)
        assert cluster.instances.facts(cluster.place).running

    def test_a_server_outlives_the_object_that_started_it_and_another_one_stops_it(self, clusters):
        cluster = clusters()
        cluster.start()
        cluster.wait_until_ready()
        cluster.other_instances().stop(cluster.place, StopMode.IMMEDIATE)
        assert not cluster.is_at_work()

    def test_somebody_elses_live_server_is_neither_adopted_nor_disturbed(self, clusters):
        cluster = clusters()
        cluster.start()
        other = InstancePlace(cluster.place.directory, str(cluster.root / "o"), 6000)
        with pytest.raises(GiveUp) as refused:
            cluster.start(place=other)
        assert refused.value.code == "place_busy"
        assert cluster.is_at_work()

    def test_a_statement_that_the_server_refuses_is_reported_with_its_words(self, clusters):
        cluster = clusters()
        cluster.start()
        cluster.wait_until_ready()
        with pytest.raises(GiveUp) as refused:
            cluster.instances.query(cluster.place, "select * from nowhere")
        assert refused.value.code == "database_error"
        assert re.search('relation "nowhere" does not exist', refused.value.found)
        with pytest.raises(GiveUp) as refused:
            cluster.instances.query(cluster.place, "select 1", "no_such_database")
        assert refused.value.code == "database_error"

    def test_a_check_answers_as_text_and_can_change_nothing(self, clusters):
        cluster = clusters()
        cluster.start()
        cluster.wait_until_ready()
        instances, place, limit = cluster.instances, cluster.place, timedelta(minutes=1)
        instances.execute(place, ["create table counted (id int)"])
        assert instances.ask(place, "select 1, null;", "postgres", limit) == [("1", None)]
        assert_checks_change_nothing(lambda check: instances.ask(place, check, "postgres", limit))
        assert instances.query(place, "select count(*) from counted") == [("0",)]
        with pytest.raises(GiveUp) as refused:
            instances.ask(place, "select count(*) from generate_series(1, 10000000000)", "postgres", timedelta(milliseconds=50))
        assert refused.value.code == "check_too_slow"

    def test_every_row_of_every_database_is_read_whatever_holds_it(self, clusters):
        cluster = clusters()
        cluster.start()
        cluster.wait_until_ready()
        instances, place, nobody = cluster.instances, cluster.place, NobodyLooks()
        instances.execute(place, ['create database "it\'s = other"'])
        for database in ("postgres", "it's = other"):
            instances.execute(place, OF_EVERYTHING, database)
        names = ["it's = other", "postgres", "template1"]
        read = instances.read_logically(place, names, 3, nobody, nobody)
        assert list(read) == names
        assert [read[name].rows for name in names] == [ROWS_OF_EVERYTHING, ROWS_OF_EVERYTHING, 0]
        found = read["postgres"]
        assert (found.relations, found.large_objects, found.foreign_tables) == (7, 2500, 1)
        assert found.relation_bytes > 20_000 * 8192
        clients = "select count(*) from pg_stat_activity where backend_type = 'client backend'"
        wait_until(lambda: instances.query(place, clients) == [("1",)], "the readers' connections to be gone")

    def test_a_server_that_does_not_answer_yet_is_tried_again(self, clusters):
        cluster = clusters()
        (cluster.data / "standby.signal").touch()
        cluster.start({"hot_standby": "off"})
        with pytest.raises(TryAgain) as passing:
            cluster.instances.query(cluster.place, "select 1")
        assert passing.value.code == "instance_starting"
        facts = cluster.instances.facts(cluster.place)
        assert facts.running and not facts.accepts_connections
        cluster.instances.promote(cluster.place)
        cluster.wait_until_ready()
        assert cluster.instances.facts(cluster.place).in_recovery is False
