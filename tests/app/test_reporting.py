"""Pages about real runs of directories: what stands on them is what was recorded, signed and measured."""

import json
import shutil
import sqlite3
from contextlib import closing

import pytest

from tests.app.shelf import DOCS, FAR, NEAR
from tests.app.shelves import LOGS, PICS, Shelves
from tests.documents.read_pages import ReadPage
from tests.room import new_path
from understudy.app.measuring import measure
from understudy.app.reporting import report_run, write_report
from understudy.documents.run_page import run_page
from understudy.documents.words import duration
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import RunId

VERIFY = "understudy evidence verify"
ODD = "<b>odd & 'quoted'</b>"


@pytest.fixture(scope="module")
def pristine():
    """Three directories lost at once; of docs the nearest snapshot was damaged, so that it took two runs."""
    directory = new_path("shelf")
    directory.mkdir()
    made = Shelves(directory)
    made.fill()
    (made.docs / ODD.replace("/", "")).write_text("odd")
    made.back_up_all()
    made.drilled = made.drill()
    made.damage(DOCS, NEAR)
    shutil.rmtree(made.directory / "pics")
    made.recovered = made.recover()
    yield made
    made.close()


@pytest.fixture
def shelf(pristine):
    copy = pristine.copied_to(new_path("shelf"))
    yield copy
    copy.close()


def page_of(shelf, view):
    return run_page(report_run(shelf.installation, view.run.run, VERIFY))


def test_the_page_of_a_recovery_says_what_was_measured_and_what_befell_it(pristine):
    view = pristine.recovered
    page = page_of(pristine, view)
    found = ReadPage(page)
    measured = measure(pristine.installation, view)
    assert "Succeeded, and every objective was met." in found.text
    objectives = found.section(page, "Objectives")
    assert f"1 h 00 min {duration(measured.measurement.recovery_time)} ✓ met" in objectives
    for name, part in measured.parts.items():
        assert f"recovery time of {name} ({measured.priorities[name]}) tier standard" in objectives
        assert f"work of {name} lost, at most the scenario 5 min 00 s {duration(part.recovery_point.loss)}" in objectives
    order = [title for level, title in found.headings if level == "h3" and title in (DOCS, PICS, LOGS)]
    assert order == [DOCS, PICS, LOGS], "in their turns, as the run took them"
    assert view.follows.run.run in found.section(page, "Runs of the same request before this one")
    assert "part_corrupt" in found.section(page, "Faults")
    assert "agreed by anna" in found.section(page, "Approval")
    used = found.section(page, "Backups that were used")
    assert "docs 2" in used and " far succeeded" in used and " near failed" in used
    aside = found.section(page, "What lies where, and what was set aside")
    assert f"{pristine.directory}/docs.before-" in aside
    assert found.section(page, "Incident record").startswith("Draft")


def test_each_step_that_was_begun_has_a_bar_and_a_row(pristine):
    view = pristine.recovered
    page = page_of(pristine, view)
    begun = [step for each in (view.follows, view) for step in each.steps if step.attempts]
    found = ReadPage(page)
    assert sum("bar" in each.get("class", "").split() for each in found.named("rect")) == len(begun)
    told = found.section(page, "Timeline")
    assert all(step.key in told for step in begun)


def test_the_page_of_a_drill_names_what_it_was_held_against_and_has_no_incident_record(pristine):
    page = page_of(pristine, pristine.drilled)
    found = ReadPage(page)
    assert "Recovery drill: docs, pics, logs after complete failure" in found.text
    assert "every objective was met" in found.text
    assert "A drill restores into sandboxes" in found.text
    assert "Incident record" not in found.text


def test_a_backup_and_a_restore_have_the_same_page_without_objectives(shelf):
    taken = page_of(shelf, shelf.back_up())
    restored = page_of(shelf, shelf.restore(repository=FAR))
    for page in (taken, restored):
        found = ReadPage(page)
        assert "Succeeded." in found.text and "as it was signed, by a key" in found.text
        assert "Objectives" not in [title for _, title in found.headings]
    assert shelf.labels()[-1] in ReadPage(taken).section(taken, "Backups that were taken")
    assert f"{shelf.directory}/found" in ReadPage(restored).section(restored, "What lies where, and what was set aside")


def test_objectives_that_were_changed_since_change_nothing_on_the_page(shelf):
    before = page_of(shelf, shelf.recovered)
    with shelf.stack_file.open("a") as file:
        file.write("objectives: {complete_failure: {rto: 1s, rpo: 1s}}\n")
    shelf.installation = type(shelf.installation).open(shelf.stack_file, shelf.state)
    assert not measure(shelf.installation, shelf.recovered).met, "by today's objectives it is not"
    after = page_of(shelf, shelf.recovered)
    assert ReadPage(after).section(after, "Objectives") == ReadPage(before).section(before, "Objectives")


def test_the_place_in_the_chain_is_that_of_the_evidence_file(shelf):
    page = page_of(shelf, shelf.recovered)
    run = shelf.recovered.run.run
    evidence = json.loads((shelf.state / "evidence" / f"{run}.json").read_text())
    told = ReadPage(page).section(page, "Place in the chain of evidence")
    [end] = [each for each in evidence["links"] if each["run"] == run and each["step"] == "run-ended"]
    assert end["digest"] in told
    assert evidence["head"]["signature"]["signer"] in told
    assert f"{shelf.state}/evidence/{run}.json" in told


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE steps SET evidence = replace(evidence, 'restored everything', 'restored all but one')",
        "UPDATE runs SET state = 'failed'",
        "UPDATE chain SET record = replace(record, 'anna', 'bert')",
    ],
)
def test_records_that_were_edited_are_never_called_as_they_were_signed(shelf, change):
    with closing(sqlite3.connect(shelf.state / "state.db", isolation_level=None)) as database:
        assert database.execute(change).rowcount
    page = page_of(shelf, shelf.recovered)
    told = ReadPage(page).section(page, "Place in the chain of evidence")
    assert "not as it was signed" in told
    assert "by a key that the stack file trusts" not in told


def test_no_secret_of_the_installation_is_on_a_page(pristine):
    secrets = [(pristine.directory / name).read_text().strip() for name in ("identity", "signing-key")]
    for view in (pristine.recovered, pristine.drilled):
        page = page_of(pristine, view)
        assert not [secret for secret in secrets if secret in page or secret.lower() in page.lower()]


def test_by_itself_it_lies_beside_the_evidence_closed_to_others_and_is_made_anew(shelf):
    run = shelf.recovered.run.run
    file = write_report(shelf.installation, run, None, VERIFY)
    assert file == shelf.state / "evidence" / f"{run}.html"
    assert file.parent.stat().st_mode & 0o077 == 0
    first = file.read_text()
    assert write_report(shelf.installation, run, None, VERIFY).read_text() != first, "it says when it was made"
    assert not list(file.parent.glob(".*")), "and nothing is left beside it"


@pytest.mark.parametrize("there", ["<html>a page of somebody else", ""])
def test_what_is_not_a_page_about_this_run_is_never_overwritten(shelf, there):
    run = shelf.recovered.run.run
    beside, named = shelf.state / "evidence" / f"{run}.html", shelf.directory / "named.html"
    for file in (beside, named):
        file.write_text(there)
    for wanted in (None, named):
        with pytest.raises(Refusal) as refused:
            write_report(shelf.installation, run, wanted, VERIFY)
        assert refused.value.code == "file_unwritable"
    assert beside.read_text() == named.read_text() == there


def test_the_page_about_another_run_is_not_overwritten_either(shelf):
    other = write_report(shelf.installation, shelf.drilled.run.run, None, VERIFY)
    mistaken = other.with_name(f"{shelf.recovered.run.run}.html")
    other.rename(mistaken)
    with pytest.raises(Refusal):
        write_report(shelf.installation, shelf.recovered.run.run, None, VERIFY)


def test_a_run_that_nobody_knows_is_refused_and_no_file_is_made(shelf):
    with pytest.raises(Refusal) as refused:
        write_report(shelf.installation, RunId("20200101-000000-abcdef"), shelf.directory / "page.html", VERIFY)
    assert refused.value.code == "run_unknown"
    assert not (shelf.directory / "page.html").exists()


def test_a_run_that_another_version_planned_is_told_as_far_as_its_records_go(shelf):
    with closing(sqlite3.connect(shelf.state / "state.db", isolation_level=None)) as database:
        database.execute("UPDATE runs SET plan = replace(plan, '\"restore_snapshot\"', '\"of_another_version\"')")
    page = page_of(shelf, shelf.recovered)
    found = ReadPage(page)
    assert "the phase is not known to this version" in found.text
    assert "every objective was met" in found.text, "as it was signed"
    assert "docs/restore-snapshot" in found.section(page, "Timeline")


def test_a_run_that_has_not_ended_is_measured_as_it_stands_and_said_to_be_no_evidence_of_an_end(shelf):
    run = shelf.recovered.run.run
    with closing(sqlite3.connect(shelf.state / "state.db", isolation_level=None)) as database:
        database.execute("UPDATE runs SET state = 'running', ended = NULL WHERE run = ?", (run,))
        database.execute("DELETE FROM chain WHERE run = ? AND step = 'run-ended'", (run,))
    page = page_of(shelf, shelf.recovered)
    found = ReadPage(page)
    assert "Not ended: interrupted." in found.text
    assert "recovery time of the whole the scenario 1 h 00 min" in found.section(page, "Objectives")
    assert "written when the run has ended" in found.section(page, "Place in the chain of evidence")
