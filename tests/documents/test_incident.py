"""The draft of an incident record: what the records know is printed, what they cannot know is left blank."""

from dataclasses import replace

import pytest

from tests.documents.read_pages import ReadPage
from tests.documents.sample_runs import FAILURE, measured_recovery, reported, run_record, step
from understudy.documents.incident import incident_record
from understudy.documents.run_page import run_page
from understudy.judge.recovery_point import RecoveryPoint, RecoveryPointSource
from understudy.judge.run_measurement import ObjectiveVerdict
from understudy.records.run import RunState, StepState
from understudy.vocabulary.disruption import Disruption, KnownBy


def draft(about):
    return ReadPage(incident_record(about).html)


def test_a_real_recovery_ends_with_it_clearly_marked_as_a_draft():
    page = run_page(reported())
    assert page.rindex("<h2>") == page.index("<h2>Incident record</h2>")
    assert "Draft, to be written by a person" in draft(reported()).text


@pytest.mark.parametrize("procedure", ["drill", "restore", "backup", "expiry"])
def test_nothing_else_has_one(procedure):
    assert incident_record(reported(run_record(procedure))) is None


def test_a_recovery_that_was_refused_has_none_and_one_that_failed_has():
    refused = step("orders/fence-old-server", 0, 1, StepState.FAILED, error=replace(FAILURE, refused=True))
    assert incident_record(reported(run_record(state=RunState.FAILED), [refused])) is None
    failed = step("orders/fence-old-server", 0, 1, StepState.FAILED, error=FAILURE)
    assert (
        "Why did orders/fence-old-server meet part_corrupt?" in draft(reported(run_record(state=RunState.FAILED), [failed])).text
    )


def test_what_happened_is_told_in_the_order_of_time():
    told = draft(reported()).text
    parts = (
        "The service counts as lost: when the command was begun.",
        "was begun.",
        "anna agreed to what orders/fence-old-server asked.",
        "(+2.00 s): orders/fence-old-server ended: it is so.",
        "(+5.00 s): orders/restore-base-backup ended: it is so.",
        "(+10.0 s): The service was validated: the recovery time ends here.",
        "(+11.6 s): orders/discard-unfinished had nothing to do: it is so.",
        "ended: succeeded.",
    )
    places = [told.index(part) for part in parts]
    assert places == sorted(places)


def test_what_only_people_know_is_a_heading_with_room_to_write():
    found = draft(reported())
    titles = [title for _, title in found.headings]
    for title in ("Cause", "What went well", "What did not go well", "What is to change", "Who was affected, and how"):
        assert title in titles
    assert sum(each.get("class") == "blank" for each in found.named("div")) >= 10
    assert {"Owner", "Due", "Tested again on"} <= set(" ".join(found.texts).replace("\n", " ").split("  ")) | set(found.texts)
    assert sum(each.get("class") == "blank-cell" for each in found.named("td")) == 16


def test_what_the_records_leave_open_is_asked():
    nothing = RecoveryPoint(RecoveryPointSource.NONE, None, None, ObjectiveVerdict.UNKNOWN)
    aside = step("orders/provision-target", 1, 2, proof={"set_aside": ["/srv/before"], "overridden_by": "bob"})
    told = draft(reported(steps=[aside], measured=measured_recovery(rto=5, recovery_point=nothing, unprotected=("far",)))).text
    for question in (
        "Since when was the service really lost?",
        "Was work of orders lost?",
        "Why was the objective for the recovery time missed?",
        "When is orders protected in far again, which was away?",
        "who removes it (/srv/before)?",
        "Why did bob go on although the old server still answered?",
    ):
        assert question in told


def test_nothing_is_asked_that_the_records_answer():
    watched = Disruption.exactly(measured_recovery().disruption.at, KnownBy.WATCH)
    told = draft(reported(measured=measured_recovery(disruption=watched))).text
    assert "None that follow from the records." in told


def test_what_was_not_measured_is_not_known_and_asked():
    told = draft(reported(measured=None, not_measured="another version planned it")).text
    assert "out of service for not known work lost, at most not known" in told
    assert "It was not measured." in told
