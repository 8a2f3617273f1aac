"""A drill that opens what is stored with another identity than the stack file's: whether the key in the safe opens it."""

import pytest

from tests.app.shelf import Shelf, SilentWatcher, proof_of
from tests.told import told_whole
from understudy.adapters.age import new_identity
from understudy.app.installation import Installation
from understudy.app.other_identity import checked_reference, keys_of_run
from understudy.app.recoveries import drill
from understudy.app.run_secrets import require_secrets
from understudy.plan.request import Choice
from understudy.stack.models import Scenario
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.secret import Secret


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """Sealed to the host and to the kit; ``kit`` is a file as it would come out of the safe."""
    made = Shelf(tmp_path_factory.mktemp("shelf"))
    made.host = made.recipient
    identity, made.kit = new_identity()
    made.secret_file("kit", f"# from the safe\n{identity.reveal()}\n")
    made.recipient = f"{made.host}, {made.kit}"
    made.docs.mkdir()
    made.fill()
    made.write()
    made.back_up()
    return made


def drilled(shelf, name=None):
    reference = None if name is None else f"file:{shelf.directory}/{name}"
    choice = Choice(opened_with=reference)
    return drill(shelf.installation, Scenario.STORAGE_LOSS, ("docs",), choice, SilentWatcher())


def test_the_evidence_says_which_recipient_opened_the_backup(shelf):
    assert proof_of(drilled(shelf), "restore-snapshot")["opened_by"] == shelf.host
    assert proof_of(drilled(shelf, "kit"), "restore-snapshot")["opened_by"] == shelf.kit


def test_the_kits_identity_is_drilled_where_the_stack_file_names_none(shelf):
    shelf.write(identity=False)
    view = drilled(shelf, "kit")
    shelf.write()
    assert view.succeeded
    assert proof_of(view, "restore-snapshot")["opened_by"] == shelf.kit


def test_an_identity_that_opens_nothing_fails_the_drill_although_the_stack_files_would_open_it(shelf):
    shelf.secret_file("stranger", new_identity()[0].reveal())
    view = drilled(shelf, "stranger")
    assert not view.succeeded
    assert "wrong_key" in {step.error.code for step in view.steps if step.error}


def test_who_goes_on_with_the_run_opens_with_the_same_identity_and_waits_where_that_is_gone(shelf):
    run = drilled(shelf, "kit").run.run
    later = Installation.open(shelf.stack_file, shelf.state)
    kit = shelf.directory / "kit"
    assert keys_of_run(later, run).identity == Secret(kit.read_text().strip())
    assert keys_of_run(later, drilled(shelf).run.run).identity == later.keys.keys.identity
    kit.rename(kit.with_name("away"))
    with pytest.raises(Refusal) as refused:
        require_secrets(later, run)
    kit.with_name("away").rename(kit)
    assert told_whole(refused.value) == "secret_missing"


def test_an_identity_that_is_not_there_is_told_before_anything_runs(shelf):
    before = shelf.installation.records.runs()
    with pytest.raises(GiveUp) as refused:
        drilled(shelf, "no-such-file")
    assert told_whole(refused.value) == "secret_missing"
    assert shelf.installation.records.runs() == before


def test_a_key_in_place_of_its_reference_is_refused_and_not_repeated():
    with pytest.raises(Refusal) as refused:
        checked_reference("AGE-SECRET-KEY-1NONSENSE")
    assert told_whole(refused.value) == "option_malformed"
    assert "NONSENSE" not in str(refused.value)
