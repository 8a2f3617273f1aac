"""What removing snapshots looks at first, and what becomes of it where the store refuses."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.app.shelf import DOCS, NEAR, Shelf, flip
from tests.room import new_path
from tests.servers.rclone_s3 import ACCESS_KEY, SECRET_KEY, RcloneS3
from tests.servers.refusing_proxy import DeletionRefusingProxy
from tests.steps.test_removal import AskedToStop, NothingAsked
from understudy.adapters.s3 import S3Store
from understudy.repository.catalog import Repository
from understudy.steps.remove_snapshots import RemoveSnapshots
from understudy.vocabulary.errors import Cancelled, GiveUp
from understudy.vocabulary.identifiers import BackupKind, RunId
from understudy.vocabulary.secret import Secret

LATER = datetime(2090, 1, 1, tzinfo=UTC).isoformat()
"""As if all of it had been begun long ago."""


@pytest.fixture(scope="module")
def pristine():
    """Three snapshots: the second uses the first one's part, the third stands by itself."""
    directory = new_path("shelf")
    directory.mkdir()
    made = Shelf(directory)
    made.write(repositories=["near"])
    made.fill()
    made.back_up()
    (made.docs / "later.txt").write_text("later")
    made.back_up()
    made.back_up(BackupKind.FULL)
    yield made
    made.close()


@pytest.fixture
def shelf(pristine):
    copy = pristine.copied_to(new_path("shelf"))
    copy.write(repositories=["near"])
    yield copy
    copy.close()


def removal(*labels, unfinished=(), before=LATER):
    return RemoveSnapshots(DOCS, "files", NEAR, labels, unfinished, before)


def world(shelf, store=None, cancellation=None, run="run-1"):
    made = shelf.installation.world_for(RunId(run), NothingAsked(), cancellation or NothingAsked())
    return made if store is None else replace(made, stores={NEAR: store})


def refusal(shelf, step):
    stored = shelf.stored()
    with pytest.raises(GiveUp) as raised:
        step.run(world(shelf))
    assert shelf.stored() == stored
    return raised.value.code


def test_a_part_goes_with_the_last_snapshot_that_refers_to_it(shelf):
    first, second, third = shelf.snapshots()
    told = removal(first.label.text).run(world(shelf))
    assert shelf.parts() == {part.name for each in (second, third) for part in each.parts}
    assert told.proof["snapshots"] == [first.label.text]
    assert told.proof["parts"] == 0
    told = removal(second.label.text).run(world(shelf, run="run-2"))
    assert shelf.parts() == {part.name for part in third.parts}
    assert told.proof["parts"] == 2
    assert told.proof["objects"] == 2 + 3


def test_what_a_killed_attempt_left_goes_once_it_is_old(shelf):
    old, young = (f"{label}-dead1-0001.tar.zst.age" for label in ("20200101-000000S", "20991231-000000S"))
    for name in (old, young):
        (shelf.folder() / "parts" / name).write_bytes(b"half a part")
    (shelf.folder() / "snapshots" / "20200101-000000S").mkdir()
    (shelf.folder() / "snapshots" / "20200101-000000S" / "listing.jsonl.zst.age").write_bytes(b"a listing")
    before = shelf.stored()
    told = removal(unfinished=("20200101-000000S",), before=datetime(2021, 1, 1, tzinfo=UTC).isoformat()).run(world(shelf))
    gone = {f"parts/{old}", "snapshots/20200101-000000S/listing.jsonl.zst.age"}
    assert before - shelf.stored() == gone
    assert (told.proof["unfinished"], told.proof["parts"]) == (["20200101-000000S"], 1)


def test_what_is_not_as_it_was_decided_removes_nothing(shelf):
    first, second, third = shelf.labels()
    assert refusal(shelf, removal(first, second, third)) == "retention_unsure", "nothing would be left"
    assert refusal(shelf, removal(first, unfinished=(second,))) == "retention_unsure", "it has a manifest now"
    flip(shelf.folder() / "snapshots" / third / "snapshot.json")
    assert refusal(shelf, removal(first)) == "retention_unsure", "it may name any part"


def test_what_another_controller_took_over_is_left_to_it(shelf):
    first, *_ = shelf.labels()
    Repository.of(world(shelf), NEAR).claim_epoch("somebody-else", datetime.now(UTC))
    assert refusal(shelf, removal(first)) == "controller_superseded"


class TakenOverMeanwhile(NothingAsked):
    """Another controller claims the repository while parts are being removed."""

    def __init__(self, shelf):
        self._repository = shelf.installation.repository(NEAR)

    def report(self, activity, done, total=None, unit="bytes"):
        if (activity, done) == ("removing parts", 20):
            self._repository.claim_epoch("somebody-else", datetime.now(UTC))


def test_where_another_controller_takes_over_in_the_middle_most_of_the_parts_are_left_to_it(shelf):
    loose = [f"20200101-000000S-dead1-{number:04d}.tar.zst.age" for number in range(1, 131)]
    for name in loose:
        (shelf.folder() / "parts" / name).touch()
    step = removal(before=datetime(2021, 1, 1, tzinfo=UTC).isoformat())
    with pytest.raises(GiveUp) as raised:
        step.run(replace(world(shelf), progress=TakenOverMeanwhile(shelf)))
    assert raised.value.code == "controller_superseded"
    assert shelf.parts() >= set(loose[100:])


def test_it_stops_between_two_snapshots_where_that_is_asked_for(shelf):
    first, *_ = shelf.labels()
    with pytest.raises(Cancelled):
        removal(first).run(world(shelf, cancellation=AskedToStop()))
    assert len(shelf.labels()) == 3


def test_a_snapshot_that_the_store_keeps_stays_whole(shelf, tmp_path):
    first, second, third = shelf.snapshots()
    with RcloneS3(tmp_path / "buckets", "recovery") as server, DeletionRefusingProxy(server.port) as proxy:
        store = S3Store("recovery", "", proxy.endpoint, Secret(ACCESS_KEY), Secret(SECRET_KEY))
        ours = shelf.installation.stores[NEAR]
        for each in ours.list():
            store.put(each.key, ours.read(each.key))
        proxy.locked = (f"{second.label}/snapshot.json",)
        told = removal(first.label.text, second.label.text).run(world(shelf, store))
        assert [*told.proof["kept_by_store"]] == [second.label.text]
        assert "locked" in told.hint
        left = {each.key.rpartition("/")[2] for each in store.list("files/docs/parts/")}
        assert left == {part.name for each in (second, third) for part in each.parts}, "all that it names"
        proxy.locked = ()
        told = removal(second.label.text).run(world(shelf, store, run="run-2"))
        assert told.hint == ""
        assert {each.key.rpartition("/")[2] for each in store.list("files/docs/parts/")} == {part.name for part in third.parts}
