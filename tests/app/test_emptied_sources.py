"""A directory with nothing in it: it was emptied, or its disk is not mounted."""

import shutil

import pytest

from tests.app.shelf import DOCS, Shelf, SilentWatcher
from tests.room import new_path
from understudy.app.backups import back_up
from understudy.app.preflight_snapshots import check_snapshot_resource
from understudy.judge.preflight import Grade
from understudy.vocabulary.identifiers import BackupKind


@pytest.fixture
def shelf():
    directory = new_path("shelf")
    directory.mkdir()
    made = Shelf(directory)
    made.write(repositories=["near"])
    made.fill()
    made.back_up()
    yield made
    made.close()


def test_a_source_that_was_emptied_is_refused_until_all_of_it_is_asked_for_anew(shelf):
    stored = shelf.stored()
    shutil.rmtree(shelf.docs)
    shelf.docs.mkdir()
    view = back_up(shelf.installation, DOCS, None, SilentWatcher())
    (error,) = [step.error for step in view.steps if step.error and step.error.code != "predecessor_failed"]
    assert error.code == "source_empty"
    assert f"nothing that can be kept in file://{shelf.docs}, and the newest snapshot holds 8 entries" in error.found
    assert "understudy backup docs --full" in error.hint
    assert shelf.stored() == stored

    shelf.back_up(BackupKind.FULL)
    shelf.back_up()
    assert [each.entries for each in shelf.snapshots()[1:]] == [1, 1], "none is also what was there before"


def test_a_source_is_refused_as_empty_also_where_no_listing_can_be_opened(shelf):
    shelf.write(repositories=["near"], identity=False)
    shutil.rmtree(shelf.docs)
    shelf.docs.mkdir()
    view = back_up(shelf.installation, DOCS, None, SilentWatcher())
    assert "source_empty" in [step.error.code for step in view.steps if step.error]


def test_of_an_empty_directory_the_check_before_says_so(shelf):
    found = {each.aspect: each for each in check_snapshot_resource(shelf.installation, DOCS)}
    assert "8 entries" in found["source"].found, "the directory itself is none"
    shutil.rmtree(shelf.docs)
    shelf.docs.mkdir()
    found = {each.aspect: each for each in check_snapshot_resource(shelf.installation, DOCS)}
    assert found["source"].grade is Grade.WARNING
    assert "is empty" in found["source"].found
