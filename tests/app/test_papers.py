"""Documents about a real stack of directories that was drilled and recovered: what they say was declared, planned, or "
"measured."""

import json
import re
import shutil
from datetime import date

import pytest
from click.testing import CliRunner

from tests.app.shelves import PICS, Shelves
from tests.documents.read_pages import ReadPage
from tests.room import new_path
from understudy.app.disaster_planning import disaster_plan
from understudy.app.findings import add_finding, close_finding
from understudy.app.incidents import incident_file, incident_of
from understudy.app.known_errors import known_errors
from understudy.app.proving import verify_evidence
from understudy.app.reporting import report_run
from understudy.cli.main import cli
from understudy.documents.paper_html import html_page
from understudy.documents.paper_markdown import markdown
from understudy.documents.plan_paper import plan_paper
from understudy.documents.run_page import run_page
from understudy.documents.words import duration
from understudy.stack.models import Scenario
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import Person

ANNA = Person("anna")
CHAPTERS = (
    "Summary and objectives", "Critical services, in the order of recovery", "Backup strategy", "Scenarios and procedures",
    "Testing protocol and calendar", "Automation", "Monitoring and alerting", "Roles and contacts", "Communication templates",
    "Locations", "Dependencies", "Health checks", "Troubleshooting", "After a recovery",
)  # fmt: skip


def typed(*words):
    return " ".join(("understudy", *words))


@pytest.fixture(scope="module")
def shelf():
    """Everything was drilled and recovered; a directory was recovered alone; a second drill of everything came last."""
    directory = new_path("shelf")
    directory.mkdir()
    made = Shelves(directory)
    made.fill()
    made.back_up_all()
    made.drilled = made.drill()
    shutil.rmtree(directory / PICS)
    made.recovered = made.recover(PICS, scenario=Scenario.STORAGE_LOSS)
    made.plan = disaster_plan(made.installation, made.stack_file, typed)
    made.incident = markdown(incident_of(made.installation, made.recovered.run.run))
    yield made
    made.close()


@pytest.fixture(scope="module")
def plan(shelf):
    """As it was before any test drilled anything else."""
    return shelf.plan


@pytest.fixture(scope="module")
def page(plan):
    return html_page(plan_paper(plan))


def section(page, title):
    return ReadPage(page).section(page, title)


# The plan


def test_it_has_every_chapter_in_each_form(plan, page):
    titles = [title for level, title in ReadPage(page).headings if level == "h2"]
    assert titles == ["Contents", *CHAPTERS]
    text = markdown(plan_paper(plan))
    assert re.findall(r"^## (.*)$", text, re.M) == ["Contents", *CHAPTERS]


def test_its_figures_are_those_of_the_newest_proof_with_its_run_and_what_was_never_measured_says_so(shelf, plan, page):
    summary = section(page, "Summary and objectives")
    everything = plan.last_of("complete_failure")
    assert everything.run == shelf.drilled.run.run and everything.met
    assert f"complete failure docs, pics, logs 1 h 00 min 5 min 00 s {duration(everything.recovery_time)}" in summary
    assert f"drill {everything.run} of" in summary
    assert f"recovery {shelf.recovered.run.run} of" in summary
    assert "data loss docs 4 h 00 min 24 h 00 min never measured no run" in summary
    assert f"2 of {len(plan.procedures)} procedures are proven" in ReadPage(page).text


def test_what_comes_back_first_stands_first(page):
    assert re.findall(r"(docs|pics|logs) (\d) files (P\d)", section(page, "Critical services, in the order of recovery")) == [
        ("docs", "1", "P2"),
        ("pics", "2", "P2"),
        ("logs", "3", "P3"),
    ]


def test_the_steps_are_those_that_the_recovery_had_with_what_each_took_last(shelf, plan, page):
    alone = next(each for each in plan.procedures if each.scenario == "storage_loss" and each.resources == (PICS,))
    assert alone.command == "understudy recover storage_loss --resource pics"
    assert [each.key for each in alone.steps] == [each.key for each in shelf.recovered.steps]
    restored = next(each for each in alone.steps if each.key == "pics/restore-snapshot")
    assert restored.last.run == shelf.recovered.run.run
    assert alone.stands_against is None and alone.steps[0].asks is not None
    assert "Recover pics in" in section(page, "Scenarios and procedures")


def test_what_cannot_be_planned_says_why_and_what_to_do(shelf):
    with shelf.stack_file.open("a") as file:
        file.write("  lost: {kind: files, path: /nowhere/at/all}\n")
    shelf.installation = type(shelf.installation).open(shelf.stack_file, shelf.state)
    try:
        found = disaster_plan(shelf.installation, shelf.stack_file, typed)
    finally:
        shelf.write()
    lost = next(each for each in found.procedures if each.resources == ("lost",))  # of whichever scenario
    assert lost.steps == () and lost.stands_against.code in ("no_backup", "prerequisites_missing")
    told = html_page(plan_paper(found))
    assert "As things stand it would be refused: " in told and "It cannot be planned now" in told
    assert "the stack file was changed since" in told, "what was proven was proven of another stack file"


def test_nobody_is_invented_and_whoever_is_declared_is_printed(shelf, page):
    roles = section(page, "Roles and contacts")
    assert "leads leads while it lasts: decides, keeps the log, says when it is over not declared" in roles
    with shelf.stack_file.open("a") as file:
        file.write("contacts: {duty: {who: the one on duty, reach: [the pager], roles: [leads, drives]}}\n")
    shelf.installation = type(shelf.installation).open(shelf.stack_file, shelf.state)
    try:
        declared = html_page(plan_paper(disaster_plan(shelf.installation, shelf.stack_file, typed)))
    finally:
        shelf.write()
    assert "the one on duty the pager" in section(declared, "Roles and contacts")
    assert "drives a role of this stack's own the one on duty the pager" in section(declared, "Roles and contacts")


def test_the_errors_that_a_recovery_can_meet_are_those_of_the_code_with_their_hints():
    known = {each.code: each for each in known_errors()}
    assert len(known) > 30
    assert "stop it on its host" in known["old_server_not_fenced"].hint
    assert all(each.hint and each.expected for each in known.values())


def test_no_secret_of_the_installation_is_in_it(shelf, page):
    secrets = [(shelf.directory / name).read_text().strip() for name in ("identity", "signing-key")]
    assert not [secret for secret in secrets if secret in page]


def test_the_command_writes_what_the_name_says_and_nothing_over_anything(shelf, monkeypatch):
    monkeypatch.chdir(shelf.directory)
    monkeypatch.setenv("UNDERSTUDY_STATE", str(shelf.state))
    told = json.loads(CliRunner().invoke(cli, ["document", "plan", "--to", "plan.html", "--json"]).stdout)
    assert {each["scenario"] for each in told["procedures"]} >= {"data_loss", "storage_loss", "complete_failure"}
    assert section((shelf.directory / "plan.html").read_text(), "Locations")
    again = CliRunner().invoke(cli, ["document", "plan", "--to", "plan.html"])
    assert again.exception.code == "file_unwritable"
    other = CliRunner().invoke(cli, ["document", "plan", "--to", "plan.docx"])
    assert other.exit_code == 2 and ".md, .html or .pdf" in other.output
    run = shelf.recovered.run.run
    for name, begin in (("incident.md", b"# Incident"), ("incident.pdf", b"%PDF")):
        assert CliRunner().invoke(cli, ["evidence", "incident", run, "--to", name]).exit_code == 0
        assert (shelf.directory / name).read_bytes().startswith(begin)


# The incident record


def test_a_recovery_that_ended_leaves_one_beside_its_evidence_and_a_drill_none(shelf):
    kept = incident_file(shelf.state, shelf.recovered.run.run)
    assert kept.read_text().startswith("# Incident record: shelf, storage loss\n")
    assert kept.parent.stat().st_mode & 0o077 == 0
    assert not incident_file(shelf.state, shelf.drilled.run.run).exists()
    with pytest.raises(Refusal, match="no_incident"):
        incident_of(shelf.installation, shelf.drilled.run.run)


def test_it_comes_out_the_same_whenever_it_is_made(shelf):
    """The fixture made it before any finding about it was opened."""
    assert incident_file(shelf.state, shelf.recovered.run.run).read_text() == shelf.incident


def test_it_tells_who_agreed_what_it_took_and_leaves_blank_what_nobody_said(shelf):
    page = html_page(incident_of(shelf.installation, shelf.recovered.run.run))
    assert "agreed to by anna at" in section(page, "Detection and decision")
    took = report_run(shelf.installation, shelf.recovered.run.run, "").measured.measurement.recovery_time
    assert f"out of service for {duration(took)}" in section(page, "In figures")
    titles = [title for _, title in ReadPage(page).headings]
    assert {"Cause", "What went well", "Who was affected, and how"} <= set(titles)


# Findings


def test_a_finding_is_closed_by_a_later_run_of_its_scenario_that_met_everything_and_shows_until_then(shelf):
    installation, run = shelf.installation, shelf.recovered.run.run
    found = add_finding(installation, "nobody knew the way", "operations", date(2020, 1, 1), ANNA, run, None)
    assert found.scenario == "storage_loss"
    for page in (run_page(report_run(installation, run, "")), html_page(incident_of(installation, run))):
        assert "nobody knew the way operations 2020-01-01 not yet" in ReadPage(page).text
    assert "Overdue findings of other runs" in run_page(report_run(installation, shelf.drilled.run.run, ""))
    for other in (shelf.drilled.run.run, run):
        with pytest.raises(Refusal, match="retest_not_passed"):
            close_finding(installation, found.finding, ANNA, other, "")
    with pytest.raises(Refusal, match="finding_malformed"):
        close_finding(installation, found.finding, ANNA, None, " ")
    retest = shelf.drill(PICS, scenario=Scenario.STORAGE_LOSS).run.run
    closed = close_finding(installation, found.finding, ANNA, retest, "")
    assert closed.closing.retest == retest
    assert f"yes , in {retest}" in ReadPage(html_page(incident_of(installation, run))).text
    assert verify_evidence(installation, None).findings == ()


def test_the_commands_open_list_and_close_one(shelf, monkeypatch):
    monkeypatch.chdir(shelf.directory)
    monkeypatch.setenv("UNDERSTUDY_STATE", str(shelf.state))

    def done(*words, code=0):
        result = CliRunner().invoke(cli, [*words])
        assert result.exit_code == code, f"{words}: {result.output} {result.exception}"
        return result.stdout

    name = done("findings", "add", "too slow", "--owner", "ops", "--due", "2020-02-03", "--scenario", "data_loss").split()[0]
    assert f"{name}: overdue since 2020-02-03, ops: too slow" in done("status")
    [listed] = json.loads(done("findings", "list", "--json", code=1))["findings"]
    assert (listed["finding"], listed["state"], listed["due"]) == (name, "overdue", "2020-02-03")
    assert done("findings", "add", "x", "--owner", "ops", "--due", "soon", code=2) == ""
    assert done("findings", "close", name, code=2) == ""
    done("findings", "close", name, "--reason", "the shelf is gone")
    assert "no finding is open" in done("findings", "list")
    assert "without a retest: the shelf is gone" in done("findings", "list", "--all")


# Readiness


def test_the_checklist_ticks_what_was_measured_with_its_run_and_ends_with_1_while_something_is_wanting(shelf, monkeypatch):
    monkeypatch.chdir(shelf.directory)
    monkeypatch.setenv("UNDERSTUDY_STATE", str(shelf.state))
    done = CliRunner().invoke(cli, ["readiness", "--to", "ready.html", "--json"])
    assert done.exit_code == 1, done.output
    told = json.loads(done.stdout)
    lines = {(each["name"], each["subject"]): each for each in told["lines"]}
    assert told["ready"] is False
    proven = lines["proven", "complete_failure of docs, pics, logs"]
    assert (proven["state"], proven["run"]) == ("met", shelf.drilled.run.run)
    assert lines["proven", "data_loss of docs"]["state"] == "unknown"
    assert lines["usable_backup", "docs"]["state"] == "met" and lines["usable_backup", "docs"]["run"]
    assert lines["serving", ""]["state"] == "not_met"
    assert lines["evidence", ""]["state"] == "met"
    assert lines["messages", ""]["state"] == "not_built"
    page = ReadPage((shelf.directory / "ready.html").read_text())
    assert f"✓ met it passed {shelf.drilled.run.run} of" in page.text
    shown = CliRunner().invoke(cli, ["readiness"])
    assert shown.exit_code == 1 and "not built  " in shown.stdout
