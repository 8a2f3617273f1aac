"""What is stored is read back a part at a time; what is damaged is found, marked, and passed over."""

import pytest

from tests.app.shelf import DOCS, NEAR, Shelf, SilentWatcher
from tests.room import new_path
from understudy.app.reading_back import read_back

MUCH = 2**30


@pytest.fixture(scope="module")
def stocked(tmp_path_factory):
    shelf = Shelf(tmp_path_factory.mktemp("stocked"))
    shelf.fill()
    shelf.back_up()
    (shelf.docs / "notes.txt").write_text("other notes")
    shelf.back_up()
    return shelf


@pytest.fixture
def shelf(stocked):
    made = stocked.copied_to(new_path("shelf"))
    yield made
    made.close()


def read(shelf, budget=MUCH):
    return read_back(shelf.installation, budget, SilentWatcher())


def test_each_stored_object_is_read_and_remembered(shelf):
    view = read(shelf)
    assert view.succeeded, [step.error for step in view.steps]
    readings = shelf.installation.records.readings.of(NEAR, DOCS)
    assert all(each.read is not None and each.fault is None for each in readings)
    stored = {f"{each.parent.name}/{each.name}" for each in shelf.folder().rglob("*") if each.is_file()}
    assert {each.unit for each in readings} == {name for name in stored if not name.endswith("snapshot.json")}
