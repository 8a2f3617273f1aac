"""Several directories lost at once, drilled and brought back together, by the functions that the command line calls."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.app.junit_file import read_junit
from tests.app.shelf import DOCS, FAR, NEAR, SilentWatcher, proof_of, tree
from tests.app.shelves import LOGS, PICS, Shelves
from tests.room import new_path
from understudy.adapters.places import LocalPlaces
from understudy.app.backups import back_up
from understudy.app.installation import Installation
from understudy.app.junit import suite_of, write_junit
from understudy.app.measuring import measure
from understudy.app.preflight import check
from understudy.app.run_view import views_by_resource
from understudy.app.snapshot_status import snapshot_status
from understudy.judge.preflight import Grade
from understudy.judge.recovery_point import RecoveryPointSource
from understudy.judge.run_measurement import ObjectiveVerdict
from understudy.records.run import RunState
from understudy.stack.models import Scenario
from understudy.vocabulary.disruption import Disruption, KnownBy
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import Person
from understudy.vocabulary.recovery_target import RecoveryTarget, TargetKind


@pytest.fixture(scope="module")
def pristine():
    directory = new_path("shelf")
    directory.mkdir()
    made = Shelves(directory)
    made.fill()
    made.back_up_all()
    yield made
    made.close()


@pytest.fixture
def shelf(pristine):
    copy = pristine.copied_to(new_path("shelf"))
    yield copy
    copy.close()


def begins_and_ends(view, name):
    own = [step for step in view.steps if step.key.startswith(f"{name}/")]
    return own[0].started, next(step for step in own if step.key.endswith("/release-target")).ended


def test_all_of_it_comes_back_in_its_order_and_what_stood_there_is_set_aside(shelf):
    before = {name: tree(shelf.directory / name) for name in (DOCS, PICS, LOGS)}
    shutil.rmtree(shelf.directory / "pics")
    (shelf.docs / "notes.txt").write_text("scribbled over")
    view = shelf.recover()
    assert view.succeeded
    assert {name: tree(shelf.directory / name) for name in before} == before
    [aside] = proof_of(view, "provision-target")["set_aside"]
    assert (shelf.directory / aside / "notes.txt").read_text() == "scribbled over"
    (docs_began, docs_back), (pics_began, pics_back), (logs_began, _) = (
        begins_and_ends(view, each) for each in (DOCS, PICS, LOGS)
    )
    assert docs_began < docs_back <= pics_began < pics_back <= logs_began

    measured = measure(shelf.installation, view)
    assert measured.met
    assert list(measured.parts) == [DOCS, PICS, LOGS]
    assert measured.priorities == {DOCS: "P2", PICS: "P2", LOGS: "P3"}
    assert measured.recovery_times["P2"] < measured.recovery_times["P3"] == measured.measurement.recovery_time
    assert measured.measurement.recovery_time >= max(part.measurement.recovery_time for part in measured.parts.values())
    snapshot = shelf.snapshots()[-1]
    assert measured.parts[DOCS].recovery_point.source is RecoveryPointSource.SNAPSHOT
    assert measured.parts[DOCS].recovery_point.at == snapshot.start_time


def test_a_drill_brings_all_of_it_up_beside_what_serves_and_leaves_nothing(shelf):
    before = {name: tree(shelf.directory / name) for name in (DOCS, PICS, LOGS)}
    view = shelf.drill()
    assert view.succeeded
    assert proof_of(view, "compare-restored")["contents"] == 4
    assert {name: tree(shelf.directory / name) for name in before} == before
    assert list((shelf.state / "drills").iterdir()) == []
    assert not list(shelf.directory.glob("*before*"))
    assert measure(shelf.installation, view).met
    read = as_junit(shelf, view)
    assert read.failed == []
    assert set(read.cases) > {"stack/check-prerequisites", "docs/restore-snapshot", "logs/restore-snapshot", *OBJECTIVES}
    assert read.properties["resource.pics"] == "tier standard"
    assert "seconds.recovery_time.P3" in read.properties


OBJECTIVES = (
    "objective: recovery time", "objective: docs: recovery time", "objective: pics: recovery point",
    "objective: logs: recovery time of tier standard",
)  # fmt: skip


def as_junit(shelf, view):
    file = shelf.directory / "junit.xml"
    write_junit(file, suite_of(shelf.installation, Scenario.COMPLETE_FAILURE, view))
    return read_junit(file)


def test_a_drill_that_fails_leaves_nothing_either(shelf):
    for repository in (NEAR, FAR):
        shelf.damage(DOCS, repository)
    view = shelf.drill()
    assert not view.succeeded
    assert list((shelf.state / "drills").iterdir()) == []
    read = as_junit(shelf, view)
    assert {"docs/restore-snapshot", *(f"objective: {each}recovery time" for each in ("", "docs: ", "pics: "))} < {*read.failed}
    assert read.cases["pics/restore-snapshot"] == "skipped", "it was not reached"
    assert read.cases["logs/restore-snapshot"] is None
    assert read.cases["objective: logs: recovery time"] is None, "it came back all the same"


def test_where_a_snapshot_is_damaged_only_that_resource_is_tried_again_with_what_waits_for_it(shelf):
    shelf.damage(DOCS, NEAR)
    view = shelf.recover()
    assert view.succeeded
    assert view.follows.run.state is RunState.FAILED
    assert {step.key.partition("/")[0] for step in view.steps} == {"stack", DOCS, PICS}
    views = views_by_resource(view)
    assert proof_of(views[DOCS], "restore-snapshot")["repository"] == FAR
    assert proof_of(views[LOGS], "restore-snapshot")["repository"] == NEAR
    assert views[LOGS].run.run == view.follows.run.run, "which came back at once"
    assert views[LOGS].succeeded
    measured = measure(shelf.installation, view)
    assert measured.met
    assert list(measured.parts) == [DOCS, PICS, LOGS]
    assert measured.parts[DOCS].measurement.recovery_time > view.run.submitted - view.follows.run.submitted
    assert view.steps[0].approval.by == "anna", "who has agreed already is not asked again"


def test_what_cannot_be_brought_back_keeps_back_what_depends_on_it_and_nothing_else(shelf):
    for repository in (NEAR, FAR):
        shelf.damage(DOCS, repository)
    (shelf.directory / "logs" / "one").write_text("changed")
    view = shelf.recover()
    assert not view.succeeded
    assert (shelf.directory / "logs" / "one").read_text() == LOGS
    assert (shelf.directory / "pics" / "one").read_text() == PICS, "it was not touched"
    assert not list(shelf.directory.glob("pics.before*"))
    measured = measure(shelf.installation, view)
    assert not measured.met
    times = {name: part.measurement.recovery_time for name, part in measured.parts.items()}
    assert times[DOCS] is None and times[PICS] is None
    assert times[LOGS] is not None
    assert measured.recovery_times["P2"] is None
    assert measured.recovery_times["P3"] == times[LOGS]
    assert measured.measurement.verdict is ObjectiveVerdict.MISSED
    assert measured.parts[DOCS].recovery_point.verdict is ObjectiveVerdict.UNKNOWN, "nothing of it is back"
    assert measured.parts[LOGS].recovery_point.verdict is ObjectiveVerdict.MET


def test_a_moment_is_one_for_all_of_them(shelf):
    moment = datetime.now(UTC)
    for name in (DOCS, PICS, LOGS):
        (shelf.directory / name / "after").write_text("after that moment")
    shelf.back_up_all()
    view = shelf.recover(choice={"target": RecoveryTarget(TargetKind.TIME, moment.isoformat())})
    assert view.succeeded
    assert not [name for name in (DOCS, PICS, LOGS) if (shelf.directory / name / "after").exists()]
    measured = measure(shelf.installation, view)
    assert [part.recovery_point for part in measured.parts.values()] == [None, None, None], "left out on purpose"


def test_nobody_asks_about_what_was_not_named(shelf):
    shutil.rmtree(shelf.directory / "pics")
    (shelf.docs / "new").write_text("made after the snapshot")
    view = shelf.recover(PICS, scenario=Scenario.STORAGE_LOSS)
    assert view.succeeded
    assert (shelf.docs / "new").exists()
    assert {step.key.partition("/")[0] for step in view.steps} == {"stack", PICS}
    measured = measure(shelf.installation, view)
    assert measured.objectives.rto == timedelta(minutes=20)
    since = datetime.now(UTC) - timedelta(minutes=3)
    shutil.rmtree(shelf.directory / "pics")
    measured = measure(shelf.installation, shelf.recover(PICS, scenario=Scenario.DATA_LOSS, since=since))
    assert measured.disruption == Disruption.exactly(since, KnownBy.PERSON)
    assert measured.measurement.recovery_time > timedelta(minutes=3)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (lambda shelf: shelf.recover(scenario=Scenario.STORAGE_LOSS), "no_such_resource"),
        (lambda shelf: shelf.recover(scenario=Scenario.DATABASE_CORRUPTION), "no_such_resource"),
        (lambda shelf: shelf.recover(DOCS, scenario=Scenario.DATABASE_CORRUPTION), "resource_is_no_database"),
        (lambda shelf: shelf.recover("dogs"), "no_such_resource"),
        (lambda shelf: shelf.recover(choice={"label": "20200101-000000S"}), "target_of_one_resource"),
        (lambda shelf: shelf.recover(DOCS, choice={"label": "20200101-000000S"}), "no_such_backup"),
        (lambda shelf: shelf.recover(DOCS, choice={"target": RecoveryTarget(TargetKind.LSN, "0/3")}), "target_needs_a_database"),
        (lambda shelf: shelf.recover(choice={"target": RecoveryTarget(TargetKind.NAME, "x")}), "target_of_one_resource"),
        (lambda shelf: shelf.recover(since=datetime.now(UTC) + timedelta(hours=1)), "since_implausible"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_begins(shelf, asked, code):
    runs = len(shelf.installation.records.runs())
    with pytest.raises(Refusal) as refused:
        asked(shelf)
    assert refused.value.code == code
    assert refused.value.hint
    assert len(shelf.installation.records.runs()) == runs


def test_everything_that_is_missing_is_said_at_once(shelf):
    for name in (DOCS, LOGS):
        for repository in (NEAR, FAR):
            shutil.rmtree(shelf.directory / repository / "files" / name)
    with pytest.raises(Refusal) as refused:
        shelf.recover()
    assert refused.value.code == "prerequisites_missing"
    assert "docs: no_backup" in refused.value.found
    assert "logs: no_backup" in refused.value.found
    assert "pics" not in refused.value.found


class Cancelling(SilentWatcher):
    """Asks for the end as soon as the first resource is back."""

    def __init__(self, shelf):
        self._shelf = shelf

    def show(self, view):
        done = {step.key for step in view.steps if step.state.is_final}
        if "docs/release-target" in done and view.run.cancel_requested_by is None and not view.run.state.is_final:
            self._shelf.installation.records.request_cancel(view.run.run, Person("anna"))


def test_who_does_not_agree_touched_nothing_and_who_cancels_keeps_what_is_back(shelf):
    for name in (DOCS, PICS):
        shutil.rmtree(shelf.directory / name)
    view = shelf.recover(watcher=Cancelling(shelf))
    assert view.run.state is RunState.CANCELLED
    assert tree(shelf.docs)
    assert not list(shelf.directory.rglob(".understudy-run*"))


# What could not be put in its place, or would take away what the recovery needs


def refused_untouched(shelf, *names, **wish):
    before = sorted(path.name for path in shelf.directory.iterdir())
    with pytest.raises(Refusal) as refused:
        shelf.recover(*names, **wish)
    assert sorted(path.name for path in shelf.directory.iterdir()) == before
    return refused.value


def test_what_the_recovery_needs_is_not_set_aside_with_what_it_lies_in_however_it_is_called(shelf):
    shelf.directory.joinpath("link").symlink_to(shelf.docs)
    for needed, what in (("near", "the repository near"), ("state", "the state directory"), ("identity", "the age identity")):
        (shelf.docs / needed).parent.mkdir(exist_ok=True)
        (shelf.directory / needed).rename(shelf.docs / needed)
        (shelf.directory / needed).symlink_to(shelf.directory / "link" / needed)
        shelf.write()
        error = refused_untouched(shelf, DOCS)
        assert error.code == "place_is_needed" and what in error.found, error
        warned = [each for each in check(shelf.stack_file, shelf.state).findings if each.aspect == "recovery"]
        assert [(each.subject, each.grade) for each in warned] == [("resource docs", Grade.WARNING)]
        (shelf.directory / needed).unlink()
        (shelf.docs / needed).rename(shelf.directory / needed)


def test_one_directory_by_two_names_is_not_recovered_twice_at_once(shelf):
    shutil.rmtree(shelf.directory / "logs")
    (shelf.docs / "logs").mkdir()
    (shelf.directory / "logs").symlink_to(shelf.docs / "logs")
    error = refused_untouched(shelf)
    assert error.code == "recovered_within_another"
    assert f"--resource {DOCS}, then --resource {LOGS}" in error.hint


def test_where_there_is_no_room_nothing_is_touched(shelf, monkeypatch):
    facts = LocalPlaces.facts
    monkeypatch.setattr(LocalPlaces, "facts", lambda self, place: replace(facts(self, place), free_bytes=1000))
    error = refused_untouched(shelf)
    assert error.code == "target_too_small", "of the one that is too large; the others would fit"
    assert "docs" in error.found


def test_a_mount_point_that_holds_something_is_told_by_check_and_refused_before_anything_is_touched(shelf, tiny_file_system):
    mounted = tiny_file_system
    (mounted / "one").write_text("one")
    text = shelf.stack_file.read_text().replace(f"path: {shelf.directory}/logs", f"path: {mounted}")
    shelf.stack_file.write_text(text)
    shelf.installation = Installation.open(shelf.stack_file, shelf.state)
    assert back_up(shelf.installation, LOGS, None, SilentWatcher()).succeeded
    assert refused_untouched(shelf).code == "target_is_mount_point"
    found = next(each for each in check(shelf.stack_file, shelf.state).findings if each.aspect == "recovery")
    assert (found.subject, found.grade) == ("resource logs", Grade.WARNING)
    assert shelf.drill().succeeded, "which needs no place of its own"


def test_status_counts_drills_and_recoveries_as_proof_of_each(shelf):
    assert snapshot_status(shelf.installation, LOGS).last_restore is None
    drilled = shelf.drill()
    assert snapshot_status(shelf.installation, LOGS).last_restore.run == drilled.run.run
    assert snapshot_status(shelf.installation, DOCS).last_restore.run == drilled.run.run
