"""The store goes away in the middle of a backup and of a restore, as whole runs. PostgreSQL 18."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.faults.estate import FAR
from tests.faults.midway import Mender, break_midway
from tests.restore_matrix.estate import NEAR, RESOURCE, Estate, dump_of, expect_success, failed_step, proof_of
from tests.restore_matrix.stores import BUCKET, PREFIX, StoreKind, s3_fields
from tests.servers.faulty_proxy import FaultyProxy
from tests.servers.postgres import PostgresServer
from tests.servers.rclone_s3 import RcloneS3
from tests.told import told_whole
from understudy.app.backups import back_up
from understudy.app.recoveries import Choice, restore
from understudy.app.verifying import parse_target, verify
from understudy.vocabulary.identifiers import BackupKind

SMALL_PARTS = {"backup": {"part_size": "4MiB"}}
SIGNED = ("SHA256SUMS", "backup.json")


@dataclass
class LosableStore:
    """An estate whose only repository can be taken away and brought back."""

    estate: Estate
    lose: Callable[[], None]
    bring_back: Callable[[], None]


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with PostgresServer(segment_megabytes=1) as running:
        running.sql("create table t as select i, md5(i::text) as filler from generate_series(1, 50000) i")
        yield running


@pytest.fixture(params=list(StoreKind))
def losable(request: pytest.FixtureRequest, server: PostgresServer) -> Iterator[LosableStore]:
    if request.param is StoreKind.FILE:
        estate = Estate.around(server, resource=SMALL_PARTS)
        place, away = estate.repository_directory, estate.directory / "away"

        def lose() -> None:
            """What a disk that was unmounted leaves: an empty directory, into which nothing may be written."""
            place.rename(away)
            place.mkdir()

        def bring_back() -> None:
            place.rmdir()
            away.rename(place)

        yield LosableStore(estate, lose, bring_back)
        estate.close()
        return
    buckets = server.directory / "buckets"
    buckets.mkdir(mode=0o700)
    with RcloneS3(buckets, BUCKET) as behind, FaultyProxy(behind.port) as proxy:
        place = buckets / BUCKET / PREFIX
        estate = Estate.around(server, s3_fields(proxy, buckets), repository_directory=place, resource=SMALL_PARTS)
        yield LosableStore(estate, proxy.refuse, proxy.pass_all)
        estate.close()


def assert_only_whole_backups(estate: Estate, count: int) -> None:
    """So many usable backups, and in the backups' folders nothing that they do not name."""
    listing = estate.repository.backups(RESOURCE)
    assert (len(listing.usable), listing.unusable) == (count, ())
    named = {f"{each.label}/{name}" for each in listing.usable for name in (*(e.name for e in each.entries), *SIGNED)}
    found = estate.installation.stores[NEAR].list(f"postgres/{RESOURCE}/")
    assert {key for each in found for _, marker, key in [each.key.partition("/backups/")] if marker} == named


def test_a_backup_waits_for_a_store_that_went_away_midway_and_leaves_nothing_of_its_first_attempt(losable):
    estate = losable.estate
    mender = Mender(losable.bring_back)
    break_midway(estate.installation, losable.lose)
    view = expect_success(back_up(estate.installation, RESOURCE, BackupKind.FULL, mender))
    assert (mender.step, told_whole(mender.said)) == ("take-base-backup", "store_unreachable")
    assert [step.attempts for step in view.steps if step.key.endswith("take-base-backup")] == [2]
    assert_only_whole_backups(estate, 1)
    target = parse_target(estate.installation, RESOURCE)
    assert verify(estate.installation, target, None, deep=True, report=lambda *_: None).passed


def test_a_restore_waits_for_a_store_that_went_away_midway_and_brings_everything_back(losable):
    estate = losable.estate
    estate.back_up_well()
    estate.ship()
    mender = Mender(losable.bring_back)
    break_midway(estate.installation, losable.lose)
    copy = estate.server.sibling()
    expect_success(restore(estate.installation, RESOURCE, copy.data, Choice(), mender))
    assert (mender.step, told_whole(mender.said)) == ("restore-base-backup", "store_unreachable")
    assert dump_of(copy.start()) == dump_of(estate.server)


def test_a_backup_into_a_disk_that_fills_up_fails_leaves_nothing_and_the_next_one_succeeds(server, tiny_file_system):
    place = tiny_file_system / "repository"
    ballast = tiny_file_system / "ballast"
    ballast.write_bytes(bytes(13 * 2**20))
    server.sql("create table noise (content bytea); alter table noise alter content set storage external")
    with server.connect(autocommit=True) as connection:
        for _ in range(8):
            connection.execute("insert into noise values (%b)", [os.urandom(2**19)])
    estate = Estate.around(server, {"url": f"file://{place}"}, repository_directory=place, resource=SMALL_PARTS)
    try:
        view = back_up(estate.installation, RESOURCE, BackupKind.FULL, Mender())
        assert failed_step(view) == ("take-base-backup", "store_full")
        assert told_whole(view.failure("store_full")) == "store_full"
        assert_only_whole_backups(estate, 0)
        ballast.unlink()
        estate.back_up_well(BackupKind.FULL)
        assert_only_whole_backups(estate, 1)
    finally:
        estate.close()


def test_a_copy_waits_for_a_bucket_that_went_away_midway_and_goes_on_behind_what_is_there(make_estate):
    estate = make_estate(bucket=True, **SMALL_PARTS)
    mender = Mender(estate.s3.start)
    break_midway(estate.installation, estate.s3.stop, FAR)
    view = expect_success(back_up(estate.installation, RESOURCE, BackupKind.FULL, mender))
    assert (mender.step, told_whole(mender.said)) == ("copy-backup-to-far", "store_unreachable")
    assert proof_of(view, "copy-backup-to-far")["objects_there_already"] == 1
    target = parse_target(estate.installation, RESOURCE)
    assert verify(estate.installation, target, FAR, deep=True, report=lambda *_: None).passed
