"""Services that are stopped, started and checked around what they depend on; and what fails."""

import shutil

import pytest

from tests.app.served import Served, error_of, states
from tests.app.shelf import DOCS, proof_of
from tests.app.shelves import PICS
from tests.cli.commands import assert_refused, understudy
from tests.room import new_path
from understudy.app.measuring import measure
from understudy.app.preflight import check
from understudy.cli.exit_codes import ExitCode
from understudy.judge.preflight import Grade
from understudy.judge.run_measurement import ObjectiveVerdict
from understudy.stack.models import Scenario
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.phases import Phase

APPLICATION = Scenario.APPLICATION_FAILURE
VALUE = "tok-4711"


@pytest.fixture(scope="module")
def pristine():
    directory = new_path("shelf")
    directory.mkdir()
    made = Served(directory)
    made.fill()
    made.back_up_all()
    yield made
    made.close()


@pytest.fixture
def shelf(pristine):
    copy = pristine.copied_to(new_path("shelf"))
    yield copy
    copy.close()


def test_services_are_stopped_before_what_they_stand_on_and_started_after_it_each_priority_measured(shelf):
    shutil.rmtree(shelf.directory / "pics")
    view = shelf.recover()
    assert view.succeeded
    said = shelf.said()
    assert sorted(said[:3]) == ["api/stop", "batch/stop", "web/stop"], "all of them first"
    assert said.index("web/stop") < said.index("api/stop"), "what depends on another one before that"
    assert said.index("api/check") < said.index("web/start")
    assert said[-2:] == ["batch/start", "batch/check"], "what can wait does"
    steps = {step.key: step for step in view.steps}
    assert steps["api/stop"].ended <= steps["docs/provision-target"].started
    assert steps["docs/release-target"].ended <= steps["api/start"].started
    assert steps["pics/release-target"].ended <= steps["web/start"].started

    measured = measure(shelf.installation, view)
    assert measured.met
    assert measured.priorities == {"docs": "P1", "pics": "P1", "api": "P1", "web": "P1", "logs": "P3", "batch": "P3"}
    assert measured.recovery_times["P1"] < measured.recovery_times["P3"]
    assert measured.measurement.phases[Phase.DEPLOY] > measured.measurement.phases[Phase.DETECT] * 0
    web = measured.parts["batch"]
    assert (web.recovery_point, web.tier, web.tier_verdict) == (None, "critical", ObjectiveVerdict.MET)


def test_a_loss_stops_and_starts_what_depends_on_it_and_nothing_else(shelf):
    view = shelf.recover(PICS, scenario=Scenario.STORAGE_LOSS)
    assert view.succeeded
    assert shelf.said() == ["web/stop", "web/start", "web/check"]
    assert shelf.recover(DOCS).succeeded, "who names some in complete_failure wants these alone"
    assert shelf.said() == []


def test_a_failed_application_is_started_again_with_what_depends_on_it(shelf):
    view = shelf.recover("api", scenario=APPLICATION)
    assert view.succeeded
    assert shelf.said() == ["web/stop", "api/stop", "api/start", "api/check", "web/start", "web/check"]
    measured = measure(shelf.installation, view)
    assert measured.met
    assert measured.objectives.rto.total_seconds() == 15 * 60
    proof = proof_of(view, "start")
    assert (proof["exit_code"], proof["output"], proof["output_cut_bytes"]) == (0, "", 0)
    assert "api/start" in proof["ran"]
    assert shelf.recover(scenario=APPLICATION).succeeded
    assert {each.partition("/")[0] for each in shelf.said()} == {"web", "api", "batch"}, "all of them, where none is named"


def test_a_check_that_fails_fails_the_recovery_with_what_it_said_and_keeps_back_what_depends_on_it(shelf):
    shelf.secret_file("token", VALUE)
    words = "echo checked >> said; echo no answer with $TOKEN; exit 7"
    check_of_api = shelf.command(words, environment={"TOKEN": f"file:{shelf.directory}/token"}, time_limit="2s", every="1s")
    shelf.write(api={"check": check_of_api})
    view = shelf.recover(scenario=APPLICATION)
    assert not view.succeeded
    failed = error_of(view, "api/check")
    assert failed.error.code == "check_failed"
    assert "ended with 7; it said: no answer with ***; still so after 2 s" in failed.error.found
    assert failed.evidence.proof["output"] == "no answer with ***\n"
    assert states(view)["web/start"] == "skipped" and states(view)["batch/check"] == "succeeded"
    assert shelf.said().count("checked") >= 1
    measured = measure(shelf.installation, view)
    assert not measured.met
    assert VALUE not in "".join(path.read_text(errors="replace") for path in shelf.state.rglob("*") if path.is_file())


def test_a_check_succeeds_once_it_does(shelf):
    words = "echo tried >> said; test $(grep -c tried said) -ge 3"
    shelf.write(api={"check": shelf.command(words, every="1s")})
    assert shelf.recover("api", scenario=APPLICATION).succeeded
    assert shelf.said().count("tried") == 3


def test_a_stop_that_fails_leaves_what_the_service_writes_into_untouched(shelf):
    shelf.write(api={"stop": shelf.command("echo it hangs; exit 1")})
    before = (shelf.docs / "notes.txt").stat().st_ino
    view = shelf.recover()
    assert error_of(view, "api/stop").error.code == "command_failed"
    assert states(view)["docs/provision-target"] == "skipped"
    assert (shelf.docs / "notes.txt").stat().st_ino == before
    assert states(view)["logs/release-target"] == "succeeded", "it depends on nothing of that"


def test_what_a_service_lacks_refuses_before_anything_is_stopped(shelf):
    missing = shelf.command("true", environment={"TOKEN": f"file:{shelf.directory}/nowhere"})
    shelf.write(api={"start": {"run": ["no-such-program"]}, "check": missing})
    with pytest.raises(Refusal) as refused:
        shelf.recover(scenario=APPLICATION)
    assert refused.value.code == "service_not_ready"
    assert "program_missing" in refused.value.found and "secret_missing" in refused.value.found
    assert shelf.said() == []
    found = {(each.subject, each.aspect): each.grade for each in check(shelf.stack_file, shelf.state).findings}
    assert found["service api", "start"] is found["service api", "check"] is Grade.FAILURE
    assert found["service web", "commands"] is Grade.OK
    shelf.write(api={"stop": None})
    found = {(each.subject, each.aspect): each.grade for each in check(shelf.stack_file, shelf.state).findings}
    assert found["service api", "stop"] is Grade.WARNING


def test_at_the_command_line(shelf):
    done = understudy(shelf, "recover", "application_failure", "--service", "api", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "start services" in done.stdout
    shown = " ".join(understudy(shelf, "recover", "application_failure", "--service", "nowhere").stderr.split())
    assert "no_such_service" in shown and "one of web, api, batch" in shown
    assert_refused(understudy(shelf, "recover", "storage_loss", "--resource", "api"), "no_such_resource", ExitCode.USAGE)


def test_budgets_are_reported_and_to_miss_one_fails_nothing(shelf):
    shelf.write(batch={"start": shelf.command("sleep 1.1")})
    short = "objectives: {complete_failure: {rto: 1h, rpo: 5m, phases: {deployment: 1s}}}"
    shelf.stack_file.write_text(f"{shelf.stack_file.read_text()}{short}\n")
    done = understudy(shelf, "drill", "complete_failure", "--junit", shelf.directory / "calm.xml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "seconds.budget.restore" in (shelf.directory / "calm.xml").read_text()
    done = understudy(shelf, "recover", "complete_failure", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    told = " ".join(done.stdout.split())
    assert "of 1.00 s: MISSED" in told and "of 20 min 00 s: met" in told
    run = shelf.installation.past.runs(1)[0].run
    page = shelf.directory / "page.html"
    assert understudy(shelf, "evidence", "report", run, "--to", page).returncode == 0
    assert "What each part of it was given" in page.read_text()
