"""Since when a real recovery counts, with ``serve`` beside the server."""

import json
from datetime import UTC, datetime

import pytest

from tests.faults.conftest import make_estate
from tests.faults.estate import RESOURCE, Estate
from tests.servers.postgres import PostgresServer
from tests.servers.processes import wait_until
from understudy.app.exposure_json import watched_from_json
from understudy.app.keeping import EXPOSURE
from understudy.app.measuring import measure
from understudy.app.run_view import view_of
from understudy.judge.disruption import TOLD_JUST_NOW
from understudy.vocabulary.disruption import KnownBy, disruption_from_json

__all__ = ["make_estate"]


def watched(estate):
    seen = estate.installation.records.observed(RESOURCE, EXPOSURE)
    return None if seen is None else watched_from_json(seen.value)


def test_a_recovery_counts_from_when_serve_last_saw_the_server_answer(make_estate):
    estate = make_estate()
    estate.serve()
    estate.command("backup", "orders")
    estate.wait_until_held(estate.write())
    alive = datetime.now(UTC)
    wait_until(lambda: watched(estate).answered > alive, "serve to see the server")
    estate.server.kill_everything()
    gone = datetime.now(UTC)
    wait_until(lambda: watched(estate).silent is not None, "serve to see it gone")
    seen = watched(estate)
    assert alive < seen.answered <= gone <= seen.silent

    # it is remembered by a serve that never saw the server
    estate.kill()
    restarted = datetime.now(UTC)
    estate.serve()
    records = estate.installation.records
    wait_until(lambda: records.observed(RESOURCE, EXPOSURE).at > restarted, "the new one to tell what it sees")
    began = datetime.now(UTC)
    report = estate.directory / "report.json"
    said = estate.command("recover", "database_corruption", "--yes", "--report", str(report)).stdout
    assert f"since {seen.answered.isoformat(timespec='seconds')}, when serve last saw the server answer" in said
    assert f"until {seen.silent.isoformat(timespec='seconds')}" in said

    steps = {step["step"]: step for step in json.loads(report.read_text())["steps"]}
    signed = disruption_from_json(steps["orders/fence-old-server"]["evidence"]["proof"]["disrupted"])
    measured = measure(estate.installation, view_of(estate.installation, records.runs(1)[0].run))
    assert measured.disruption == signed
    assert (signed.at, signed.known_by, signed.latest) == (seen.answered, KnownBy.WATCH, seen.silent)
    assert measured.measurement.recovery_time > began - seen.answered


def test_a_recovery_from_a_server_that_serve_sees_yet_counts_from_the_commands_start(make_estate):
    estate = make_estate()
    estate.serve()
    estate.command("backup", "orders")
    estate.wait_until_held(estate.write())
    wait_until(lambda: watched(estate) is not None and watched(estate).answered is not None, "serve to see the server")
    began = datetime.now(UTC)
    told = json.loads(estate.command("recover", "data_loss", "--yes", "--json").stdout)
    disruption = disruption_from_json(told["measured"]["disruption"])
    assert disruption.known_by is KnownBy.COMMAND
    assert disruption.latest == disruption.at > began


def test_a_recovery_from_a_server_that_lives_counts_from_the_commands_start_although_serve_ended_before(make_estate):
    estate = make_estate()
    estate.serve()
    estate.command("backup", "orders")
    estate.wait_until_held(estate.write())
    wait_until(lambda: watched(estate) is not None and watched(estate).answered is not None, "serve to see the server")
    estate.kill()
    records = estate.installation.records
    seen = records.observed(RESOURCE, EXPOSURE)
    wait_until(lambda: datetime.now(UTC) - seen.at > TOLD_JUST_NOW, "what serve told to be old")
    began = datetime.now(UTC)
    told = json.loads(estate.command("recover", "data_loss", "--yes", "--json").stdout)
    disruption = disruption_from_json(told["measured"]["disruption"])
    assert disruption.known_by is KnownBy.COMMAND
    assert disruption.latest == disruption.at > began
    asked = records.requests.of(records.runs(1)[0].run).asked
    assert disruption_from_json(asked["disruption"]) == disruption


@pytest.mark.parametrize(
    ("since", "words"),
    [
        ("2026-11-23T03:00:00", "found:    --since '2026-11-23T03:00:00'"),
        ("yesterday", "error: option_malformed"),
        ("2999-01-01T00:00:00+00:00", "in the future"),
        ("2001-01-01T00:00:00+00:00", "before the oldest usable backup"),
    ],
)
def test_a_moment_that_cannot_be_is_refused_before_anything_is_touched(backed_up, since, words):
    done = backed_up.command("recover", "database_corruption", "--yes", "--since", since, expect=2)
    assert words in done.stderr
    assert [run.procedure for run in backed_up.installation.records.runs()] == ["backup"]
    assert backed_up.server.sql("select 1") == [(1,)]


@pytest.fixture(scope="module")
def backed_up():
    """For who only asks it for what is refused."""
    with PostgresServer(segment_megabytes=1, fresh=True) as server:
        estate = Estate(server)
        estate.command("backup", "orders")
        yield estate
        estate.close()
