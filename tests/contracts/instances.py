"""What every ``Instances`` promises."""

import re
from datetime import timedelta

import pytest

from tests.contracts.database import assert_checks_change_nothing
from tests.servers.processes import wait_until
from understudy.ports.instance import InstancePlace, StopMode
from understudy.vocabulary.errors import GiveUp, TryAgain


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
        read = instances.read_logically(place, "postgres")
        assert read.dump_bytes > 500
        assert read == instances.read_logically(place, "postgres")
        instances.execute(place, ["update t set id = 2"])
        assert read.sha256 != instances.read_logically(place, "postgres").sha256
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
