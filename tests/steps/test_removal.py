"""What removing looks at first, and what becomes of it where the store refuses."""

from dataclasses import replace

import pytest

from tests.crash.expiry_scene import (
    CHAIN,
    CONTROLLER,
    KILLED,
    NEWEST,
    NOW,
    PROVEN,
    STAYING_SEGMENTS,
    SYSTEM,
    expiry,
    labels_in,
    repository_in,
    segments_in,
    stock,
    store_backup,
    world_for,
)
from tests.servers.rclone_s3 import ACCESS_KEY, SECRET_KEY, RcloneS3
from tests.servers.refusing_proxy import DeletionRefusingProxy
from understudy.adapters.files import FileStore
from understudy.adapters.s3 import S3Store
from understudy.vocabulary.errors import Cancelled, GiveUp, Refusal
from understudy.vocabulary.identifiers import RunId
from understudy.vocabulary.secret import Secret


class NothingAsked:
    def raise_if_requested(self):
        return

    def report(self, activity, done, total=None, unit="bytes"):
        return

    def held_up(self, reason):
        return


class TakenOverOnceOneIsGone(NothingAsked):
    """Somebody else takes the repository over as soon as a first folder is gone."""

    def __init__(self, directory):
        self._directory = directory
        self._asked = 0

    def raise_if_requested(self):
        self._asked += 1
        if self._asked == 2:
            take_over(self._directory, "somebody-else")


class AskedToStop(NothingAsked):
    def raise_if_requested(self):
        raise Cancelled


@pytest.fixture
def place(tmp_path):
    stock(tmp_path)
    return tmp_path


def world(directory, store=None, cancellation=None):
    return world_for(directory, store)(RunId("run-1"), NothingAsked(), cancellation or NothingAsked())


def steps(directory, store=None):
    _, remove_backups, remove_wal = (planned.step for planned in expiry(directory, store).steps)
    return remove_backups, remove_wal


def keys(directory):
    return [each.key for each in FileStore(directory / "store").list()]


def take_over(directory, controller):
    repository_in(directory).claim_epoch(controller, NOW)


def refusal(step, world):
    with pytest.raises(GiveUp) as refused:
        step.run(world)
    assert refused.value.hint
    return refused.value.code


def test_what_was_decided_is_removed_and_counted(place):
    remove_backups, remove_wal = steps(place)
    before = keys(place)
    gone = remove_backups.run(world(place)).proof
    assert [each.partition("/")[2] for each in gone["backups"]] == [*reversed(CHAIN)]
    assert gone["unfinished"] == [f"{SYSTEM}/{KILLED}"]
    assert gone["objects"] == len(before) - len(keys(place))
    assert gone["kept_by_store"] == {}
    wal = remove_wal.run(world(place)).proof
    assert wal["segments"] == 10
    assert wal["objects"] == len(before) - len(keys(place)) - gone["objects"]
    assert labels_in(place) == [PROVEN, NEWEST]
    assert tuple(segments_in(place)) == STAYING_SEGMENTS


def test_what_every_repository_holds_leaves_the_spool_but_the_newest(place):
    forget = expiry(place).steps[0].step
    world_here = world(place)
    missing = place / "store/postgres/orders" / SYSTEM / "wal/00000001/000000010000000000000010.json"
    missing.unlink()
    assert forget.run(world_here).proof["left"] == [f"0000000100000000000000{number:02X}" for number in (16, 17)]
    assert forget.run(world_here).proof["left"] == [f"0000000100000000000000{number:02X}" for number in (16, 17)]


def test_nothing_goes_when_a_newer_backup_stands_on_it(place):
    remove_backups, _ = steps(place)
    child = "20261123-030000F_20261127-120000I"
    store_backup(FileStore(place / "store"), repository_in(place), child, 16, CHAIN[-1])
    before = keys(place)
    assert refusal(remove_backups, world(place)) == "retention_unsure"
    assert keys(place) == before


def test_nothing_goes_when_a_manifest_cannot_be_believed(place):
    planned = steps(place)
    manifest = place / "store/postgres/orders" / SYSTEM / "backups" / NEWEST / "backup.json"
    manifest.chmod(0o600)
    manifest.write_bytes(manifest.read_bytes().replace(b"zstd-3", b"zstd-4"))
    before = keys(place)
    for step in planned:
        assert refusal(step, world(place)) == "retention_unsure"
    assert keys(place) == before


def test_nothing_goes_when_no_backup_would_be_left(place):
    remove_backups, remove_wal = steps(place)
    every = (*remove_backups.backups, f"{SYSTEM}/{PROVEN}", f"{SYSTEM}/{NEWEST}")
    before = keys(place)
    assert refusal(replace(remove_backups, backups=every), world(place)) == "retention_unsure"
    assert keys(place) == before
    for label in labels_in(place):
        (place / "store/postgres/orders" / SYSTEM / "backups" / label / "backup.json").unlink()
    assert refusal(remove_wal, world(place)) == "retention_unsure"


def test_an_attempt_that_has_its_manifest_by_now_is_not_unfinished(place):
    remove_backups, _ = steps(place)
    store_backup(FileStore(place / "store"), repository_in(place), KILLED, 14)
    before = keys(place)
    assert refusal(remove_backups, world(place)) == "retention_unsure"
    assert keys(place) == before


def test_the_wal_of_a_backup_that_has_a_manifest_is_left_alone_whatever_was_decided(place):
    remove_wal = steps(place)[1]
    remove_wal.run(world(place))
    assert tuple(segments_in(place)) == (3, 4, 6, 7, 9, 10, *STAYING_SEGMENTS)


def test_who_is_asked_to_stop_stops_between_two_folders(place):
    remove_backups, remove_wal = steps(place)
    before = keys(place)
    for step in (remove_backups, remove_wal):
        with pytest.raises(Cancelled):
            step.run(world(place, cancellation=AskedToStop()))
    assert keys(place) == before


def test_a_superseded_controller_removes_nothing_and_does_when_the_repository_is_its_own_again(place):
    planned = steps(place)
    take_over(place, "somebody-else")
    before = keys(place)
    for step in planned:
        with pytest.raises(Refusal) as refused:
            step.run(world(place))
        assert refused.value.code == "controller_superseded"
        assert keys(place) == before
    take_over(place, CONTROLLER)
    for step in planned:
        step.run(world(place))
    assert labels_in(place) == [PROVEN, NEWEST]
    assert tuple(segments_in(place)) == STAYING_SEGMENTS


def test_who_is_superseded_midway_stops_before_the_next_folder(place):
    remove_backups, _ = steps(place)
    with pytest.raises(Refusal) as refused:
        remove_backups.run(world(place, cancellation=TakenOverOnceOneIsGone(place)))
    assert refused.value.code == "controller_superseded"
    assert labels_in(place) == [*CHAIN[:2], PROVEN, NEWEST]
    assert any(f"/{KILLED}/" in key for key in keys(place))


def test_who_is_superseded_midway_removes_no_further_wal(place):
    remove_backups, remove_wal = steps(place)
    remove_backups.run(world(place))
    with pytest.raises(Refusal) as refused:
        remove_wal.run(world(place, cancellation=TakenOverOnceOneIsGone(place)))
    assert refused.value.code == "controller_superseded"
    assert tuple(segments_in(place)) == tuple(range(4, 18))


def test_what_the_spool_has_of_another_history_is_not_forgotten(place):
    forget = expiry(place).steps[0].step
    spooled = place / "spool/wal/00000001000000000000000F"
    spooled.write_bytes(b"other".ljust(2**20, b"\0"))
    assert refusal(forget, world(place)) == "wal_conflict"
    assert spooled.exists()


@pytest.fixture
def locking_store(tmp_path):
    """A bucket whose server keeps what ``proxy.locked`` names."""
    with RcloneS3(tmp_path / "buckets", "recovery") as server, DeletionRefusingProxy(server.port) as proxy:
        store = S3Store("recovery", "", proxy.endpoint, Secret(ACCESS_KEY), Secret(SECRET_KEY))
        stock(tmp_path, store)
        yield proxy, store


def test_a_backup_that_the_store_keeps_stays_whole_with_what_it_stands_on_and_its_wal(locking_store, tmp_path):
    proxy, store = locking_store
    remove_backups, remove_wal = steps(tmp_path, store)
    before = {each.key for each in store.list()}
    [data] = [key for key in before if "/000000010000000000000005." in key and key.endswith(".zst.age")]
    proxy.locked = (f"{CHAIN[1]}/", data.rpartition("/")[2])
    told = remove_backups.run(world(tmp_path, store))
    assert [*told.proof["kept_by_store"]] == [f"{SYSTEM}/{label}" for label in (CHAIN[1], CHAIN[0])]
    assert "locked" in told.hint
    assert labels_in(tmp_path, store) == [CHAIN[0], CHAIN[1], PROVEN, NEWEST]
    kept = {key for key in before if f"/{CHAIN[0]}/" in key or f"/{CHAIN[1]}/" in key}
    assert kept <= {each.key for each in store.list()}
    wal = remove_wal.run(world(tmp_path, store))
    assert tuple(segments_in(tmp_path, store)) == (3, 4, 6, 7, *STAYING_SEGMENTS)
    assert wal.proof["kept_by_store"]["objects"] == 1
    assert wal.hint
    # Once the lock is gone, so is the rest.
    proxy.locked = ()
    for planned in expiry(tmp_path, store).steps:
        assert planned.step.run(world_for(tmp_path, store)(RunId("run-2"), NothingAsked(), NothingAsked())).hint == ""
    assert labels_in(tmp_path, store) == [PROVEN, NEWEST]
    assert tuple(segments_in(tmp_path, store)) == STAYING_SEGMENTS


def test_data_whose_sidecar_the_store_keeps_stays(locking_store, tmp_path):
    proxy, store = locking_store
    remove_backups, remove_wal = steps(tmp_path, store)
    proxy.locked = ("000000010000000000000005.json",)
    remove_backups.run(world(tmp_path, store))
    remove_wal.run(world(tmp_path, store))
    assert tuple(segments_in(tmp_path, store)) == (5, *STAYING_SEGMENTS)
    segment = next(each for each in repository_in(tmp_path, store).wal("orders", SYSTEM, 2**20).contents().segments)
    archive = repository_in(tmp_path, store).wal("orders", SYSTEM, 2**20)
    assert b"".join(archive.fetch_segment(segment)) == bytes([5]) * 2**20


def test_a_store_that_denies_everything_is_a_fault_and_no_lock(locking_store, tmp_path):
    proxy, store = locking_store
    planned = steps(tmp_path, store)
    stranger = S3Store("recovery", "", proxy.endpoint, Secret("stranger"), Secret(SECRET_KEY))
    for step in planned:
        assert refusal(step, world(tmp_path, stranger)) == "store_denied"
