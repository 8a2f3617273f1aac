"""Copies in a bucket with object lock (``moto_server``), beside ones on a disk, which cannot lock."""

import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.app.shelf import FAR, NEAR, Shelf, SilentWatcher, proof_of, tree
from tests.room import new_path
from tests.servers.moto_s3 import MotoS3
from understudy.adapters.clock.system import SystemClock
from understudy.app.looking import status
from understudy.app.preflight import check
from understudy.app.retention import decide, expire
from understudy.judge.preflight import Grade
from understudy.plan.retention import KeepReason
from understudy.vocabulary.errors import GiveUp, Refusal

ACCESS = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
DAYS = timedelta(days=1)


@pytest.fixture(scope="module")
def s3():
    with MotoS3() as server:
        yield boto3.client("s3", endpoint_url=server.endpoint, region_name="us-east-1", **ACCESS)


class LockedShelf(Shelf):
    """``near`` is a bucket, ``far`` a directory."""

    def __init__(self, directory, s3, *, object_lock=True, period="30d"):
        self.s3, self.bucket, self.period = s3, f"locked-{secrets.token_hex(4)}", period
        s3.create_bucket(Bucket=self.bucket, ObjectLockEnabledForBucket=object_lock)
        super().__init__(directory)

    def write(self, *lines, **others):
        self.secret_file("key", "key")
        self.secret_file("secret", "secret")
        super().write(*lines, **others)
        lock = f", lock: {{period: {self.period}, mode: compliance}}" if self.period else ""
        text = self.stack_file.read_text().replace(
            f"near: {{url: 'file://{self.directory}/near'}}",
            f"near: {{url: 's3://{self.bucket}/here', endpoint: '{self.s3.meta.endpoint_url}', "
            f"access_key: 'file:{self.directory}/key', secret_key: 'file:{self.directory}/secret'{lock}}}",
        )
        self.stack_file.write_text(text)
        self.installation = self.installation.open(self.stack_file, self.state)

    def versions(self):
        told = self.s3.list_object_versions(Bucket=self.bucket)
        return told.get("Versions", []), told.get("DeleteMarkers", [])

    def locks(self):
        """Of each object, until when."""
        found = {}
        for each in self.versions()[0]:
            told = self.s3.head_object(Bucket=self.bucket, Key=each["Key"], VersionId=each["VersionId"])
            found[each["Key"].removeprefix("here/")] = (told.get("ObjectLockMode"), told.get("ObjectLockRetainUntilDate"))
        return found

    def shorten(self, keys, until):
        """As time would: moto lets it be set back."""
        for key in keys:
            self.s3.put_object_retention(
                Bucket=self.bucket, Key=f"here/{key}", Retention={"Mode": "COMPLIANCE", "RetainUntilDate": until}
            )


@pytest.fixture
def shelf(s3):
    directory = new_path("shelf")
    directory.mkdir()
    made = LockedShelf(directory, s3)
    made.fill()
    yield made
    made.close()


def test_everything_that_is_put_is_locked_and_what_a_later_snapshot_shares_is_locked_anew(shelf):
    before = datetime.now(UTC)
    view = shelf.back_up()
    locks = shelf.locks()
    assert len(locks) > 5
    assert {mode for mode, _ in locks.values()} == {"COMPLIANCE"}
    assert all(before + 30 * DAYS <= until < before + 34 * DAYS for _, until in locks.values())
    told = proof_of(view, "lock-in-near")
    assert told["mode"] == "compliance"
    assert datetime.fromisoformat(told["locked_until"]) == min(until for _, until in locks.values())

    shared = [key for key in locks if "/parts/" in key or key in ("repository.json", "RECOVERY.md")]
    soon = datetime.now(UTC) + timedelta(hours=1)
    shelf.shorten(locks, soon)
    (shelf.docs / "new.txt").write_text("new")
    shelf.back_up()
    anew = shelf.locks()
    assert all(anew[key][1] >= before + 30 * DAYS for key in shared)
    first = next(key for key in locks if key.endswith("snapshot.json"))
    assert abs(anew[first][1] - soon) < timedelta(seconds=1)  # what nothing needs any more is left to run out


def test_expire_keeps_what_is_locked_says_until_when_and_removes_the_rest_for_good(shelf):
    shelf.write("keep: {daily: 0, weekly: 0, monthly: 0, manual: 0s, point_in_time: 0s}")
    for number in range(3):
        (shelf.docs / "new.txt").write_text(f"new {number}")
        shelf.back_up()
    in_near, in_far = decide(shelf.installation, "docs", None)
    oldest, older, newest = in_near.decision.snapshots
    assert [kept.reason for kept in oldest.kept] == [KeepReason.LOCKED]
    assert datetime.fromisoformat(oldest.kept[0].detail) > datetime.now(UTC) + 30 * DAYS
    assert KeepReason.LOCKED in [kept.reason for kept in newest.kept]
    assert not in_near.removes
    assert [fate.stays for fate in in_far.decision.snapshots] == [False, False, True]  # a directory locks nothing

    ago = datetime.now(UTC) - DAYS
    folders = {each: [key for key in shelf.locks() if f"snapshots/{each.snapshot.label}/" in key] for each in (oldest, older)}
    shelf.shorten(folders[older], ago)
    # Of the oldest one the manifest alone is free: what the store refuses of the rest is said, and is no failure.
    shelf.shorten([key for key in folders[oldest] if key.endswith("snapshot.json")], ago)
    (view,) = expire(shelf.installation, decide(shelf.installation, "docs", "near"), SilentWatcher()).views
    assert view.succeeded
    told = proof_of(view, "remove-snapshots-from-near")
    assert told["snapshots"] == [older.snapshot.label.text]
    assert list(told["kept_by_store"]) == [oldest.snapshot.label.text]
    assert "is locked until" in next(step.evidence.hint for step in view.steps)
    versions, markers = shelf.versions()
    assert not [each for each in versions if older.snapshot.label.text in each["Key"] and "/snapshots/" in each["Key"]]
    assert markers == []
    assert shelf.labels(NEAR) == [newest.snapshot.label.text]


def test_a_restore_is_not_disturbed_by_locks(shelf):
    shelf.back_up()
    assert shelf.restore().succeeded
    assert tree(shelf.directory / "found") == tree(shelf.docs)


def test_check_says_what_a_store_promises_and_what_it_lacks(shelf, s3):
    def said(of):
        return {
            (each.subject, each.aspect): each
            for each in check(of.stack_file, of.state).findings
            if each.aspect in ("lock", "removal")
        }

    found = said(shelf)
    assert found["repository near", "lock"].grade is Grade.OK
    assert found["repository near", "lock"].found == "everything is locked for at least 30 days (compliance) from its last use"
    assert "cannot lock" in found["repository far", "lock"].found
    without = new_path("without")
    without.mkdir()
    lacking = LockedShelf(without, s3, object_lock=False)
    assert said(lacking)["repository near", "lock"].grade is Grade.FAILURE
    assert said(lacking)["repository near", "lock"].found.endswith("has no object lock and versions")
    lacking.fill()
    with pytest.raises(GiveUp) as refused:
        lacking.back_up()
    assert refused.value.code == "lock_refused"
    lacking.close()


class GettingLate(SystemClock):
    """The real clock, which leaps ahead at each look once it is told to."""

    def __init__(self):
        self.leaps = False
        self._ahead = timedelta()

    def now(self):
        self._ahead += timedelta(seconds=40) if self.leaps else timedelta()
        return super().now() + self._ahead


class EndsWithItsServer:
    """The store of a server that is stopped in the middle: before the second part is read."""

    def __init__(self, store, stop):
        self._store, self._stop = store, stop
        self._parts = 0

    def __getattr__(self, name):
        return getattr(self._store, name)

    def read(self, key, offset=0):
        self._parts += "/parts/" in key
        if self._parts == 2:
            self._stop()
        return self._store.read(key, offset)


def test_a_restore_whose_server_is_stopped_in_the_middle_goes_on_from_the_next_repository():
    directory = new_path("shelf")
    directory.mkdir()
    with MotoS3() as server:
        client = boto3.client("s3", endpoint_url=server.endpoint, region_name="us-east-1", **ACCESS)
        shelf = LockedShelf(directory, client)
        shelf.write("backup: {part_size: 1MiB}")
        shelf.docs.mkdir()
        for number in range(4):
            (shelf.docs / f"{number}.raw").write_bytes(secrets.token_bytes(2_000_000))
        shelf.back_up()
        clock = GettingLate()
        shelf.installation = replace(shelf.installation, clock=clock)

        def stop():
            server.__exit__()
            clock.leaps = True

        stores = dict(shelf.installation.stores)
        shelf.installation.__dict__["stores"] = stores | {NEAR: EndsWithItsServer(stores[NEAR], stop)}
        view = shelf.restore()
        assert view.succeeded
        assert proof_of(view, "restore-snapshot")["repository"] == FAR
        first = view.follows
        assert first.failure("repository_away") is not None
        assert first.run.run == view.run.follows
        assert tree(shelf.directory / "found") == tree(shelf.docs)
        (near, far) = status(shelf.installation).snapshots[0].kept_in
        assert (near.last_proof, far.last_proof.run, far.behind_seconds) == (None, view.run.run, 0.0)
        assert near.lock is not None
        assert not far.can_lock
        shelf.close()


def test_what_somebody_removes_is_only_hidden_and_told_and_comes_back_once_the_markers_are_gone(shelf, s3):
    shelf.back_up()
    for each in shelf.versions()[0]:
        s3.delete_object(Bucket=shelf.bucket, Key=each["Key"])
        with pytest.raises(ClientError):
            s3.delete_object(Bucket=shelf.bucket, Key=each["Key"], VersionId=each["VersionId"])
    findings = {(each.subject, each.aspect): each for each in check(shelf.stack_file, shelf.state).findings}
    assert findings["repository near", "hidden"].grade is Grade.WARNING
    assert findings["repository near", "repository"].grade is Grade.FAILURE
    with pytest.raises(Refusal):
        shelf.restore(repository=NEAR)
    for marker in shelf.versions()[1]:
        s3.delete_object(Bucket=shelf.bucket, Key=marker["Key"], VersionId=marker["VersionId"])
    assert shelf.restore(repository=NEAR).succeeded
    assert tree(shelf.directory / "found") == tree(shelf.docs)
