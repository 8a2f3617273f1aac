"""What is asked before a real recovery touches anything, in the words of what was found there."""

import pytest

from tests.plan.samples import ORDERS
from understudy.plan.fencing import OldServerFacts, question
from understudy.ports.database import Presence
from understudy.ports.instance import InstancePlace
from understudy.steps.fence_old_server import FenceOldServer
from understudy.steps.old_server import AT_THE_ADDRESS, AT_THE_URL, AddressAnswer
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.recovery_target import LATEST

PLACE = InstancePlace("/srv/orders", "/run/understudy/0badcafe", 5433)
GONE = AddressAnswer(AT_THE_ADDRESS, "db1:5432", Presence.NOBODY)
THERE = AddressAnswer(AT_THE_URL, "db1:5432", Presence.LISTENING)
SILENT = AddressAnswer(AT_THE_ADDRESS, "db1:5432", Presence.UNKNOWN)
STRANGER = AddressAnswer(AT_THE_ADDRESS, "db1:5432", Presence.LISTENING, stranger="cluster 7")
MUTE = AddressAnswer(AT_THE_ADDRESS, "db1:5432", Presence.LISTENING, fault="no password")


def ask(override_by=None, to_move=None, set_aside=True, **seen):
    fence = FenceOldServer(ORDERS, PLACE, system_identifier="4", override_by=override_by)
    return question(fence, LATEST, OldServerFacts(**seen), to_move, set_aside=set_aside)


def test_it_says_whether_a_server_ends_by_it():
    assert ask(answers=(GONE,)) == "Nothing runs in /srv/orders. Recover orders there, to latest?"
    assert ask(runs_here=True).startswith("A server runs in /srv/orders: stop it for good and recover orders to latest?")


def test_it_says_that_files_are_set_aside_where_there_are_any():
    assert "set aside" not in ask()
    assert "set aside beside it, not removed" in ask(holds_something=True)


def test_it_says_which_address_a_person_must_move():
    assert "db1:5432, the resource's url, does not lead to port 5433 of this host" in ask(to_move="db1:5432")


@pytest.mark.parametrize(("answer", "words"), [(THERE, "still answers"), (SILENT, "no answer"), (MUTE, "no password")])
def test_what_may_still_serve_others_is_refused_and_a_persons_override_is_part_of_the_question(answer, words):
    with pytest.raises(Refusal) as refused:
        ask(answers=(GONE, answer))
    assert refused.value.code == "old_server_not_fenced"
    assert words in refused.value.found
    told = ask(override_by="anna", answers=(GONE, answer))
    assert "By anna's word" in told and words in told and "is lost" in told


@pytest.mark.parametrize("override_by", [None, "anna"])
def test_another_cluster_is_refused_whoever_overrides(override_by):
    with pytest.raises(Refusal) as refused:
        ask(override_by, answers=(STRANGER,))
    assert refused.value.code == "address_taken"
    assert "cluster 7" in refused.value.found
