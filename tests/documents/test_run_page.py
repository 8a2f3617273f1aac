"""The page about a run: each section says what was recorded, and what is not known says so."""

import re
from dataclasses import replace
from itertools import pairwise

import pytest

from tests.documents.read_pages import ReadPage
from tests.documents.sample_runs import (
    BEGAN,
    CHAIN,
    FAILURE,
    agreed,
    measured_recovery,
    measured_stack,
    never_begun,
    recorded,
    recovery_steps,
    reported,
    run_record,
    seconds,
    step,
)
from understudy.documents.run_page import run_page
from understudy.judge.recovery_point import RecoveryPoint, RecoveryPointSource
from understudy.judge.run_measurement import ObjectiveVerdict
from understudy.records.run import RecordedError, RunState, StepState
from understudy.vocabulary.disruption import Disruption, KnownBy
from understudy.vocabulary.identifiers import Person, RunId

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>&amp;"
REFUSED = step("orders/fence-old-server", 0, 1, StepState.FAILED, error=replace(FAILURE, refused=True))
LOST_UNKNOWN = RecoveryPoint(RecoveryPointSource.NONE, None, None, ObjectiveVerdict.UNKNOWN)


def read(about):
    page = run_page(about)
    return page, ReadPage(page)


def section(about, title):
    page, found = read(about)
    return found.section(page, title)


def stack_report(**more):
    steps = (
        agreed("stack/check-prerequisites", 0, 0.5, "Recover docs (P1), pics (P2)?"),
        step("docs/restore-snapshot", 1, 3, proof={"label": "20261124-030000S", "repository": "far", "entries": 4}),
        step("docs/compare-restored", 3, 4, claim="what lies there is what the snapshot holds"),
        step("pics/restore-snapshot", 4, 5, StepState.FAILED, error=FAILURE),
        never_begun("pics/compare-restored", "pics/restore-snapshot did not succeed"),
    )
    parts = (measured_recovery("docs", 4), measured_recovery("pics", None, recovery_point=LOST_UNKNOWN))
    measured = measured_stack(*parts, priorities={"docs": "P1", "pics": "P2"})
    run = run_record(subject="complete_failure", state=RunState.FAILED)
    return reported(run, steps, measured=measured, server_version=None, **more)


def test_it_is_one_document_with_everything_closed_and_headings_in_their_order():
    for about in (reported(), stack_report()):
        page, found = read(about)
        assert page.startswith('<!DOCTYPE html>\n<html lang="en">')
        levels = [int(name[1]) for name, _ in found.headings]
        assert levels.count(1) == 1 and levels[0] == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))
        assert found.named("title") and found.named("main")


def test_nothing_comes_from_elsewhere_and_nothing_runs():
    page, found = read(reported())
    names = {name for name, _ in found.elements}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "form", "input", "base", "a"}
    attributes = {attribute for _, each in found.elements for attribute in each}
    assert not {each for each in attributes if each.startswith("on") or each in ("src", "href", "xlink:href", "style")}
    assert not re.search(r"url\(|@import|https?://|expression\(", page)
    [policy] = [each["content"] for each in found.named("meta") if each.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy


def test_tables_say_what_their_rows_and_columns_are_and_drawings_are_told():
    _, found = read(stack_report())
    tables = len(found.named("table"))
    assert tables and len(found.named("caption")) == tables
    assert all(each.get("scope") in ("row", "col") for each in found.named("th"))
    drawings = [each for each in found.named("svg") if each.get("class") == "drawing"]
    assert len(drawings) == 4, "the objectives, the whole, docs, and pics"
    assert all(each["role"] == "img" and each["aria-label"] for each in drawings)


def test_it_says_how_it_looks_in_the_dark_and_on_paper():
    page, _ = read(reported())
    assert "@media screen and (prefers-color-scheme:dark)" in page
    assert re.search(r"@page\{size:A4", page)
    assert re.search(r"@media print\{.*tr,figure.*\{break-inside:avoid\}", page, re.S)


@pytest.mark.parametrize("hostile", [HOSTILE, "</style></title>", "a\u202eb\x00"])
def test_nothing_that_was_recorded_becomes_markup(hostile):
    steps = (
        agreed(f"orders/{hostile}", 1, 2, hostile, by=hostile),
        step(
            "orders/verify-database",
            2,
            3,
            claim=hostile,
            proof={hostile: hostile, "checks": [{"name": hostile, "sql": hostile, "answer": hostile}]},
        ),
        step("orders/provision-target", 2, 3, proof={"set_aside": [hostile], "start_again": hostile}),
        step(f"{hostile}/restore-snapshot", 3, 4, StepState.FAILED, error=RecordedError(hostile, hostile, hostile, hostile)),
        never_begun("orders/replay-wal", hostile),
    )
    run = run_record(
        subject=hostile, run=RunId(hostile), error=RecordedError(hostile, hostile), cancel_requested_by=Person(hostile)
    )
    chain = replace(CHAIN, controller=hostile, signer=hostile, findings=(hostile,), unproven=(hostile,))
    measured = measured_recovery(hostile, tier=hostile, unprotected=(hostile,))
    about = reported(run, steps, measured=measured, stack=hostile, chain=chain, server_version=hostile, verify=hostile)
    _, found = read(replace(about, not_followed=RecordedError(hostile, hostile), evidence_file=hostile))
    names = {name for name, _ in found.elements}
    assert not names & {"script", "img"}
    assert len(found.named("style")) == len(found.named("head")) == 1
    assert not {attribute for _, each in found.elements for attribute in each if attribute.startswith("on")}


def test_each_objective_stands_there_with_what_it_came_to_and_its_verdict():
    told = section(reported(), "Objectives")
    for row in (
        "recovery time the scenario 1 h 00 min 10.0 s ✓ met",
        "recovery time the scenario, as what is aimed at 8.00 s 10.0 s ✗ missed",
        "recovery time of orders tier standard 4 h 00 min 10.0 s ✓ met",
        "work of orders lost, at most the scenario 5 min 00 s 2.50 s ✓ met",
        "work of orders lost, at most tier standard 15 min 00 s 2.50 s not judged",
    ):
        assert row in told, told


def test_several_resources_are_judged_as_a_whole_by_priority_and_by_tier():
    told = section(stack_report(), "Objectives")
    for row in (
        "recovery time of the whole the scenario 1 h 00 min not recovered ✗ missed",
        "recovery time of P1 nobody 4.00 s not judged",
        "recovery time of P2 nobody not recovered not judged",
        "recovery time of docs (P1) tier standard 4 h 00 min 4.00 s ✓ met",
        "recovery time of pics (P2) tier standard 4 h 00 min not recovered ✗ missed",
        "work of pics lost, at most the scenario 5 min 00 s not known ? not known",
    ):
        assert row in told, told


@pytest.mark.parametrize(
    ("about", "said"),
    [
        (reported(), "Succeeded, and every objective was met."),
        (reported(measured=measured_recovery(rto=5)), "Succeeded, and an objective was missed."),
        (reported(measured=measured_recovery(recovery_point=LOST_UNKNOWN)), "whether every objective was met is not known"),
        (reported(measured=None, not_measured="no_such_resource: gone"), "Succeeded; not measured."),
        (reported(run_record(state=RunState.FAILED)), "Failed."),
        (stack_report(), "Failed: docs came back; pics did not."),
        (reported(run_record(state=RunState.CANCELLED)), "Cancelled before it was complete."),
        (reported(run_record(state=RunState.AWAITING_APPROVAL)), "Not ended: awaiting approval."),
        (
            reported(run_record(state=RunState.FAILED), [REFUSED]),
            "Refused before anything was touched.",
        ),
        (reported(run_record("backup", "orders"), measured=None), "Succeeded."),
    ],
)  # fmt: skip
def test_the_first_sentence_says_how_it_ended_and_no_more_than_is_known(about, said):
    page, _ = read(about)
    [headline] = re.findall(r'<p class="verdict (?:good|bad|open)">(.*?)</p>', page.split("<dl")[0])
    assert said in headline


def test_who_agreed_to_what_and_when():
    told = section(reported(), "Approval")
    assert "Nobody answers. Recover orders?" in told
    assert "agreed by anna agreed at 2026-11-24 03:10:01 UTC" in told
    unasked = section(reported(steps=[step("orders/replay-wal", 0, 1)]), "Approval")
    assert unasked == "Nobody was asked: the plan asks nothing."


def test_a_question_that_nobody_answered_says_so():
    waiting = step("orders/fence-old-server", 0, 0, StepState.AWAITING_APPROVAL, approval_question="Recover?")
    assert "agreed by nobody" in section(reported(run_record(state=RunState.AWAITING_APPROVAL), [waiting]), "Approval")


def test_what_was_lost_and_how_that_is_known():
    told = section(reported(), "Work lost, and how that is known")
    assert "since 2026-11-24 03:10:00 UTC (when the command was begun)" in told
    assert "work lost, at most 2.50 s" in told and "by heartbeat" in told
    unknown = section(reported(measured=measured_recovery(recovery_point=LOST_UNKNOWN)), "Work lost, and how that is known")
    assert "work lost, at most not known it is as of not known" in unknown
    past = section(reported(measured=measured_recovery(recovery_point=None)), "Work lost, and how that is known")
    assert "An earlier state was asked for" in past
    watched = Disruption(BEGAN, KnownBy.WATCH, BEGAN + seconds(0.5))
    later = section(reported(measured=measured_recovery(disruption=watched)), "Work lost, and how that is known")
    assert "Work may have been committed until 2026-11-24 03:10:00 UTC" in later


def test_faults_have_a_code_what_was_found_what_was_expected_and_a_hint():
    told = section(stack_report(not_followed=RecordedError("no_sound_backup", "none is left")), "Faults")
    assert "pics/restore-snapshot code part_corrupt found a part is damaged expected the bytes that were stored" in told
    assert "hint restore from another repository" in told
    assert "planning what was to follow code no_sound_backup found none is left" in told
    assert "compare-restored" not in told, "it was left out, and met no fault"
    assert section(reported(), "Faults") == "None."


def test_backups_that_were_read_and_taken_are_named_with_where_they_lay():
    told = section(reported(), "Backups that were used")
    assert "orders 20261124-030000F near succeeded WAL replayed up to 0/3000060 on timeline 1, no commit behind" in told
    assert "orders 20261124-031010F succeeded protection begins anew" in told
    assert "docs 20261124-030000S far succeeded" in section(stack_report(), "Backups that were used")


def test_checks_say_what_was_asked_and_answered():
    assert "words select 1 1" in section(reported(), "Checks")
    assert "what lies there is what the snapshot holds" in section(stack_report(), "Checks")


def test_what_was_set_aside_is_named_also_where_the_step_failed():
    steps = (
        step(
            "orders/provision-target", 1, 2, StepState.FAILED, error=FAILURE, proof={"set_aside": "/srv/a.before, /srv/b.before"}
        ),
        step("docs/provision-target", 1, 2, proof={"set_aside": ["/srv/docs.before"]}),
    )
    told = section(reported(steps=steps), "What lies where, and what was set aside")
    assert all(each in told for each in ("/srv/a.before", "/srv/b.before", "/srv/docs.before"))
    assert "Nothing was set aside." in section(reported(), "What lies where, and what was set aside")
    away = reported(measured=measured_recovery(unprotected=("far",)))
    assert "Not protected yet: orders in far, which was away" in section(away, "What lies where, and what was set aside")


def test_earlier_runs_of_the_request_are_on_the_page_and_in_the_timeline():
    earlier = run_record(state=RunState.FAILED, run=RunId("20261124-030900-000001"), took=3)
    failed = step("orders/restore-base-backup", 0.2, 0.8, StepState.FAILED, error=FAILURE)
    about = reported(before=[recorded(earlier, [failed])])
    told = section(about, "Runs of the same request before this one")
    assert "20261124-030900-000001 2026-11-24 03:10:00 UTC 3.00 s failed orders/restore-base-backup: part_corrupt" in told
    assert "restore-base-backup · run 1" in section(about, "Timeline")
    assert "Runs of the same request" not in read(reported())[1].text


def test_the_place_in_the_chain_is_told_with_how_to_verify_it():
    told = section(reported(), "Place in the chain of evidence")
    assert "every link of this run was as it was signed" in told
    assert "links of this run 4 to 11" in told and "a" * 64 in told and "30 links up to " + "b" * 64 in told
    assert "signer (Ed25519) PUBLICKEY=" in told
    assert f"understudy evidence verify {reported().recorded.run.run}.json --signer PUBLICKEY=" in told


def test_a_run_that_is_not_as_it_was_signed_or_not_chained_is_never_said_to_be():
    forged = section(reported(chain=replace(CHAIN, findings=("a record was edited",))), "Place in the chain of evidence")
    assert "not as it was signed" in forged and "a record was edited" in forged
    assert "as it was signed, by a key" not in forged
    none = replace(CHAIN, first=None, last=None, last_digest=None, signer=None)
    unchained = section(reported(chain=none), "Place in the chain of evidence")
    assert "nothing of this run was chained" in unchained and "not signed" in unchained
    assert "as it was signed" not in unchained


def test_versions_say_which_is_not_known():
    told = section(reported(server_version=None, understudy_version=None), "Versions")
    assert "Understudy, which ended the run not known" in told
    assert "not known: no server was asked in this run" in told
    assert "PostgreSQL" not in section(stack_report(), "Versions")


@pytest.mark.parametrize("procedure", ["backup", "restore", "expiry"])
def test_what_is_no_drill_and_no_recovery_has_no_objectives(procedure):
    run = run_record(procedure, "orders")
    _, found = read(reported(run, recovery_steps(), measured=None))
    titles = [title for _, title in found.headings]
    assert not {"Objectives", "Where the time went", "Work lost, and how that is known", "Incident record"} & set(titles)
    assert {"Timeline", "Faults", "Place in the chain of evidence"} <= set(titles)


def test_every_step_stands_in_the_appendix_with_its_proof():
    told = section(stack_report(), "Appendix: every step and its proof")
    for each in stack_report().recorded.steps:
        assert f"{each.key} — {each.state.value}" in told
    assert "repository: far" in told


def test_a_long_group_is_drawn_in_parts_that_fit_on_paper():
    steps = [step(f"orders/step-{number}", number, number + 1) for number in range(95)]
    _, found = read(reported(steps=steps, measured=None))
    heights = [float(each["viewbox"].split()[3]) for each in found.named("svg") if each.get("class") == "drawing"]
    assert len(heights) == 3 and max(heights) < 900
