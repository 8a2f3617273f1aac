"""Services that are drilled beside the real ones: on copies, in sandboxes, and nothing of it is left."""

import pytest

from tests.app.served import Served, error_of, states
from tests.app.shelf import DOCS, proof_of, tree
from tests.app.shelves import PICS
from tests.cli.commands import assert_refused, understudy
from tests.room import new_path
from tests.servers.processes import alive
from understudy.app.measuring import measure
from understudy.cli.exit_codes import ExitCode
from understudy.judge.run_measurement import ObjectiveVerdict
from understudy.stack.models import Scenario
from understudy.vocabulary.disruption import KnownBy
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.phases import Phase

APPLICATION = Scenario.APPLICATION_FAILURE


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


def assert_clean(shelf):
    assert list((shelf.state / "drills").iterdir()) == []
    assert [pid for pid in shelf.pids() if alive(pid)] == []
    assert shelf.said() == [], "and none of the real commands ran"


def test_everything_is_drilled_on_copies_in_its_order_and_nothing_is_left(shelf):
    before = {name: tree(shelf.directory / name) for name in (DOCS, PICS)}
    view = shelf.drill()
    assert view.succeeded, [each.error for each in view.steps if each.error]
    assert_clean(shelf)
    assert len(shelf.pids()) == 3
    assert {name: tree(shelf.directory / name) for name in before} == before
    assert "notes.txt" in (shelf.directory / "seen").read_text(), "api was checked on the copy of docs"

    steps = {step.key: step for step in view.steps}
    assert steps["docs/release-target"].ended <= steps["api/start"].started
    assert steps["api/check-isolation"].ended <= steps["web/start"].started
    assert steps["web/end-drill"].ended <= steps["api/end-drill"].started, "what stands on it goes first"
    assert steps["api/end-drill"].ended <= steps["docs/remove-sandbox"].started, "and copies last"

    told = {each["UNDERSTUDY_SANDBOX"].rpartition("-")[2]: each for each in shelf.told().values()}
    assert {each["UNDERSTUDY_DRILL"] for each in told.values()} == {"1"}
    assert told["web"]["UNDERSTUDY_PORT_API"] == told["api"]["UNDERSTUDY_PORT"] != told["web"]["UNDERSTUDY_PORT"]
    assert told["api"]["UNDERSTUDY_COPY_DOCS"].startswith(f"{shelf.state}/drills/")
    assert told["web"]["PWD"] == told["web"]["UNDERSTUDY_SANDBOX"]
    measured = measure(shelf.installation, view)
    assert measured.met
    assert Phase.DEPLOY in measured.measurement.phases


def test_a_drilled_application_counts_from_when_its_copies_were_up(shelf):
    view = shelf.drill("batch", scenario=APPLICATION)
    assert view.succeeded
    assert_clean(shelf)
    assert {key.partition("/")[0] for key in states(view)} == {"stack", "logs", "batch"}, "with a copy of what it stands on"
    measured = measure(shelf.installation, view)
    assert list(measured.parts) == ["batch"]
    assert measured.disruption.known_by is KnownBy.COPIES
    assert measured.measurement.recovery_time < view.run.ended - view.began
    assert Phase.RESTORE not in measured.measurement.phases
    assert measured.measurement.verdict is ObjectiveVerdict.MET


def test_without_commands_for_it_a_drill_is_refused_beforehand(shelf):
    shelf.write(api={"drill": None})
    for scenario in (APPLICATION, Scenario.COMPLETE_FAILURE):
        with pytest.raises(Refusal) as refused:
            shelf.drill(scenario=scenario)
        assert refused.value.code == "drill_undeclared"
        assert "services.api.drill" in refused.value.expected
    assert shelf.said() == []
    assert not (shelf.directory / "pids").exists()
    assert_refused(
        understudy(shelf, "drill", "application_failure", "--service", "web"), "drill_undeclared", ExitCode.PREREQUISITE
    )


def test_a_check_that_fails_fails_the_drill_and_nothing_is_left(shelf):
    shelf.write(api={"drill": shelf.drill_commands(check={"run": ["false"], "time_limit": "1s"})})
    view = shelf.drill("web", scenario=APPLICATION)
    assert error_of(view, "api/check").error.code == "check_failed"
    assert states(view)["web/start"] == "skipped"
    assert not measure(shelf.installation, view).met
    assert_clean(shelf)


def test_what_its_own_stop_leaves_is_ended_and_fails_the_drill(shelf):
    shelf.write(batch={"drill": shelf.drill_commands(stop={"run": ["true"]})})
    view = shelf.drill("batch", scenario=APPLICATION)
    assert not view.succeeded
    failed = error_of(view, "batch/end-drill").error
    assert failed.code == "processes_left" and str(shelf.pids()[0]) in failed.found
    assert_clean(shelf)

    shelf.write(batch={"drill": shelf.drill_commands(stop={"run": ["sh", "-c", "echo no; exit 1"]})})
    assert error_of(shelf.drill("batch", scenario=APPLICATION), "batch/end-drill").error.code == "drill_stop_failed"
    assert_clean(shelf)

    shelf.write(batch={"drill": shelf.drill_commands(stop={"run": ["sh", "-c", "kill $(cat pid)"]})})
    view = shelf.drill("batch", scenario=APPLICATION)
    assert view.succeeded
    assert proof_of(view, "end-drill")["stopped"]["exit_code"] == 0
    assert_clean(shelf)


def test_one_that_has_its_hands_in_what_serves_is_noticed(shelf):
    shelf.write(batch={"drill": shelf.drill_commands(start=f"exec 7>> {shelf.docs}/notes.txt;")})
    view = shelf.drill("batch", scenario=APPLICATION)
    failed = error_of(view, "batch/check-isolation").error
    assert failed.code == "drill_touched_production"
    assert f"{shelf.docs}/notes.txt" in failed.found
    assert_clean(shelf)


def test_what_hides_from_its_start_is_found_in_the_sandbox(shelf):
    hidden = f"env -i setsid sh -c 'echo $$ >> {shelf.directory}/pids; exec sleep 1000' >/dev/null 2>&1 &"
    shelf.write(batch={"drill": shelf.drill_commands(start=hidden)})
    view = shelf.drill("batch", scenario=APPLICATION)
    assert view.succeeded
    assert len(shelf.pids()) == 2
    assert_clean(shelf)


def test_a_drill_of_data_starts_no_service(shelf):
    assert shelf.drill(DOCS, scenario=Scenario.STORAGE_LOSS).succeeded
    assert not (shelf.directory / "pids").exists()
    assert shelf.said() == []
