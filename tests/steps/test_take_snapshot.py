"""What the step says of a source that does not stand still, and what it looks for before it acts."""

from dataclasses import replace

import pytest

from tests.app.shelf import DOCS, Shelf
from tests.contracts.collections_in_memory import MemoryCollection
from tests.repository.test_snapshot_changes import BusyCollection
from tests.room import new_path
from tests.steps.test_removal import NothingAsked
from understudy.app.repositories import prepare_repositories
from understudy.steps.copy_snapshot import CopySnapshot
from understudy.steps.discard_snapshot_leftovers import DiscardSnapshotLeftovers
from understudy.steps.take_snapshot import TakeSnapshot
from understudy.steps.write_snapshot_manifest import WriteSnapshotManifest
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.evidence import Outcome
from understudy.vocabulary.identifiers import RunId

LABEL = "20261123-030000S"


@pytest.fixture
def shelf():
    directory = new_path("shelf")
    directory.mkdir()
    made = Shelf(directory)
    prepare_repositories(made.installation, DOCS)
    yield made
    made.close()


def world(shelf, collection):
    made = shelf.installation.world_for(RunId("20261123-030000-run1"), NothingAsked(), NothingAsked())
    return replace(made, collections={DOCS: collection})


def take(previous=None):
    return TakeSnapshot(DOCS, "files", "near", LABEL, previous, "it was asked for", 2**20, 3, "0" * 64, "manual")


MANIFEST = WriteSnapshotManifest(DOCS, "files", "near")
COPY = CopySnapshot(DOCS, "files", "near", "far")
DISCARD = DiscardSnapshotLeftovers(DOCS, "files", "near", LABEL)


def test_what_changed_each_time_is_named_for_people_and_in_the_proof(shelf):
    collection = BusyCollection()
    collection.put("still", b"still")
    collection.put("log", b"0")
    collection.meanwhile["log"] = [lambda number=number: collection.put("log", b"%d" % number) for number in range(1, 20)]
    told = take().run(world(shelf, collection))
    assert told.proof["changed_while_read"] == 1
    assert told.proof["names_changed_while_read"] == ["log"]
    assert "1 changed each time they were read" in told.hint
    assert "log" in told.hint


def test_a_source_that_stands_still_is_told_without_a_word(shelf):
    collection = MemoryCollection()
    collection.put("still", b"still")
    told = take().run(world(shelf, collection))
    assert told.hint == ""
    assert not any(name.startswith("names_") for name in told.proof)


def test_a_step_that_is_run_again_proves_the_same_and_reads_nothing(shelf):
    collection = MemoryCollection()
    collection.put("still", b"still")
    first = take().run(world(shelf, collection))
    collection.put("new", b"new")
    again = take().run(world(shelf, collection))
    assert again.proof == first.proof
    assert again.proof["entries"] == 1
    for step in (MANIFEST, COPY):
        done = step.run(world(shelf, collection))
        proof = step.run(world(shelf, collection)).proof
        assert {"manifest_sha256", "label"} <= proof.keys()
        assert proof["manifest_sha256"] == done.proof["manifest_sha256"]


def test_without_its_receipt_nothing_is_signed_or_copied(shelf):
    for step in (MANIFEST, COPY):
        with pytest.raises(GiveUp, match="receipt_missing"):
            step.run(world(shelf, MemoryCollection()))
    assert shelf.stored() == set()


def test_of_what_was_signed_nothing_is_discarded_and_of_what_was_not_everything(shelf):
    collection = MemoryCollection()
    collection.put("still", b"still")
    take().run(world(shelf, collection))
    assert shelf.stored() != set()
    assert DISCARD.run(world(shelf, collection)).outcome is Outcome.DONE
    assert shelf.stored() == set()

    (shelf.state / "runs" / "20261123-030000-run1" / "receipts" / "docs-snapshot.json").unlink()
    take().run(world(shelf, collection))
    MANIFEST.run(world(shelf, collection))
    stored = shelf.stored()
    assert DISCARD.run(world(shelf, collection)).outcome is Outcome.SKIPPED
    assert shelf.stored() == stored


def test_a_repository_that_is_away_keeps_what_is_to_be_discarded_and_fails_nothing(shelf):
    collection = MemoryCollection()
    collection.put("still", b"still")
    take().run(world(shelf, collection))
    near = shelf.directory / "near"
    near.rename(shelf.directory / "away")
    told = DISCARD.run(world(shelf, collection))
    assert told.outcome is Outcome.SKIPPED
    assert "retention will do it" in told.proof["reason"]


def test_what_is_to_be_discarded_is_left_where_another_controller_took_over_meanwhile(shelf):
    collection = MemoryCollection()
    collection.put("still", b"still")
    take().run(world(shelf, collection))
    stored = shelf.stored()
    shelf.installation.repository("near").claim_epoch("somebody-else", shelf.installation.clock.now())
    told = DISCARD.run(world(shelf, collection))
    assert told.outcome is Outcome.SKIPPED
    assert "somebody-else" in told.proof["reason"]
    assert shelf.stored() == stored


def test_nothing_is_signed_where_another_controller_took_over_meanwhile(shelf):
    collection = MemoryCollection()
    collection.put("still", b"still")
    take().run(world(shelf, collection))
    shelf.installation.repository("near").claim_epoch("somebody-else", shelf.installation.clock.now())
    with pytest.raises(GiveUp, match="controller_superseded"):
        MANIFEST.run(world(shelf, collection))
    assert shelf.labels() == []
