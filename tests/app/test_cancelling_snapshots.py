"""A snapshot that is taken, and one that is restored, ended by a person in the middle."""

import os

import pytest

from tests.app.shelf import DOCS, Shelf, SilentWatcher
from tests.room import new_path
from understudy.app.backups import back_up
from understudy.app.recoveries import restore
from understudy.plan.request import Choice
from understudy.records.run import RunState
from understudy.vocabulary.identifiers import Person


class Impatient(SilentWatcher):
    """Asks for the end as soon as the step has told how far it is."""

    def __init__(self, installation, verb):
        self._installation, self._verb = installation, verb

    def show(self, view):
        for step in view.steps:
            if step.key.endswith(self._verb) and step.progress is not None and view.run.cancel_requested_by is None:
                self._installation.records.request_cancel(view.run.run, Person("ann"))


@pytest.fixture
def shelf():
    directory = new_path("shelf")
    directory.mkdir()
    made = Shelf(directory)
    made.write("backup: {part_size: 1MiB}", repositories=["near"])
    made.fill()
    yield made
    made.close()


def fill_more(shelf, megabytes):
    """Much that takes a while."""
    for number in range(megabytes // 4):
        (shelf.docs / f"more-{number:03d}").write_bytes(os.urandom(4 * 2**20))


def test_a_snapshot_that_is_cancelled_leaves_nothing_in_the_repository(shelf):
    shelf.back_up()
    stored = shelf.stored()
    fill_more(shelf, 200)
    view = back_up(shelf.installation, DOCS, None, Impatient(shelf.installation, "take-snapshot"))
    assert view.run.state is RunState.CANCELLED
    assert shelf.stored() == stored
    assert not list(shelf.state.glob("runs/*/scratch/*"))
    assert shelf.installation.records.holds() == ()


def test_a_restore_that_is_cancelled_leaves_nothing_where_it_wrote(shelf):
    fill_more(shelf, 200)
    shelf.back_up()
    place = shelf.directory / "found"
    view = restore(shelf.installation, DOCS, place, Choice(), Impatient(shelf.installation, "restore-snapshot"))
    assert view.run.state is RunState.CANCELLED
    assert not place.exists()
    assert not list(shelf.state.glob("runs/*/scratch/*"))
    assert shelf.restore().succeeded
