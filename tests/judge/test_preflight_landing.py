from dataclasses import replace

import pytest

from understudy.judge.preflight import Grade
from understudy.judge.preflight_landing import LandingFacts, judge_address, judge_configuration, kept_outside

FACTS = LandingFacts(
    subject="resource orders",
    resource="orders",
    address_to_move=None,
    recovered_url="user=understudy dbname=postgres host=localhost port=5432",
    recovered_reference=None,
    configuration=None,
    unreadable=(),
    ours="/srv/recovered.run",
)
DEBIAN = {
    "data_directory": "/var/lib/postgresql/15/main",
    "config_file": "/etc/postgresql/15/main/postgresql.conf",
    "hba_file": "/etc/postgresql/15/main/pg_hba.conf",
}


def test_an_address_that_a_recovery_would_wait_for_is_a_warning_with_the_line_to_add():
    assert judge_address(FACTS).grade is Grade.OK
    finding = judge_address(replace(FACTS, address_to_move="db.example:5432"))
    assert finding.grade is Grade.WARNING
    assert finding.change == f"in the stack file, below resources.orders.recover: url: {FACTS.recovered_url}"
    behind = judge_address(replace(FACTS, address_to_move="db.example:5432", recovered_reference="env:ORDERS_URL_RECOVERED"))
    assert "recover: url: env:ORDERS_URL_RECOVERED, and behind it user=understudy" in behind.change


def test_a_server_that_understudy_recovered_for_another_stack_is_told_as_that():
    data = "/srv/db-recovered"
    made = {"data_directory": data, "config_file": f"{data}/postgresql.conf", "hba_file": f"{data}.run/pg_hba.conf"}
    finding = judge_configuration(FACTS, made)
    assert finding.grade is Grade.OK
    assert f"Understudy recovered this server, and starts it with files of {data}.run" in finding.found


def test_a_configuration_outside_the_data_directory_is_a_failure_until_a_copy_can_be_read():
    finding = judge_configuration(FACTS, DEBIAN)
    assert finding.grade is Grade.FAILURE
    assert "/etc/postgresql/15/main" in finding.found
    assert finding.change.endswith("below resources.orders.recover: configuration: /etc/understudy/orders")
    named = replace(FACTS, configuration="/etc/understudy/orders")
    assert judge_configuration(named, DEBIAN).grade is Grade.OK
    assert judge_configuration(named, None).grade is Grade.OK
    for settings in (DEBIAN, None):
        finding = judge_configuration(replace(named, unreadable=("pg_hba.conf",)), settings)
        assert finding.grade is Grade.FAILURE
        assert "pg_hba.conf in /etc/understudy/orders" in finding.found


def test_a_server_that_an_earlier_recovery_started_keeps_nothing_outside_but_what_the_next_one_makes_anew():
    recovered = {
        "data_directory": "/srv/recovered",
        "config_file": "/srv/recovered/postgresql.conf",
        "hba_file": f"{FACTS.ours}/pg_hba.conf",
    }
    assert judge_configuration(FACTS, recovered).grade is Grade.OK
    assert judge_configuration(FACTS, recovered | {"hba_file": "/srv/recovered.run-old/pg_hba.conf"}).grade is Grade.FAILURE
    assert judge_configuration(FACTS, recovered | {"config_file": "/etc/recovered/postgresql.conf"}).grade is Grade.FAILURE


@pytest.mark.parametrize(
    ("changes", "outside"),
    [
        ({}, "/etc/postgresql/15/main"),
        ({"config_file": "/var/lib/postgresql/15/main/postgresql.conf"}, "/etc/postgresql/15/main"),
        ({name: f"/var/lib/postgresql/15/main/{name}" for name in ("config_file", "hba_file")}, None),
        ({"config_file": "/var/lib/postgresql/15/main-old/postgresql.conf"}, "/var/lib/postgresql/15/main-old"),
        ({"data_directory": None}, None),
    ],
)
def test_what_lies_outside_is_told_by_its_path(changes, outside):
    assert kept_outside(DEBIAN | changes) == outside
