"""Locks and versions, as real servers keep them: ``moto_server`` does, ``rclone serve s3`` takes the request and keeps none."""

import secrets
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from tests.adapters.s3.buckets import client_of
from tests.servers.moto_s3 import MotoS3
from tests.servers.rclone_s3 import ACCESS_KEY, SECRET_KEY, RcloneS3
from tests.servers.refusing_proxy import RefusingProxy
from understudy.adapters.clock.system import SystemClock
from understudy.adapters.s3 import S3Store
from understudy.adapters.s3.uploads import PART_BYTES
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.locking import LockMode, LockRule
from understudy.vocabulary.secret import Secret

DAYS = timedelta(days=1)
RULE = LockRule(LockMode.COMPLIANCE, 30 * DAYS)


@pytest.fixture(scope="module")
def server():
    with MotoS3() as running:
        yield running


@pytest.fixture(scope="module")
def client(server):
    made = client_of(server.endpoint)
    made.create_bucket(Bucket="versioned")
    made.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    made.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    made.create_bucket(Bucket="by-default", ObjectLockEnabledForBucket=True)
    made.put_object_lock_configuration(
        Bucket="by-default",
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 7}},
        },
    )
    return made


def store_at(endpoint, bucket, rule=RULE):
    prefix = f"tests/{secrets.token_hex(8)}"
    return S3Store(bucket, prefix, endpoint, Secret(ACCESS_KEY), Secret(SECRET_KEY), lock_rule=rule, clock=SystemClock())


def versions_of(client, store):
    address = urlsplit(store.url)
    told = client.list_object_versions(Bucket=address.netloc, Prefix=address.path.lstrip("/"))
    return told.get("Versions", []), told.get("DeleteMarkers", [])


def lock(client, store, key, mode, until):
    address = urlsplit(store.url)
    retention = {"Mode": mode, "RetainUntilDate": until}
    client.put_object_retention(Bucket=address.netloc, Key=f"{address.path.lstrip('/')}/{key}", Retention=retention)


def test_what_is_put_is_locked_and_its_removal_refused_by_the_store_and_it_is_there_as_before(server, client):
    store, before = store_at(server.endpoint, "locked"), datetime.now(UTC)
    store.put("kept", [b"content"])
    there = store.lock_of("kept")
    assert there.mode is LockMode.COMPLIANCE
    assert before + RULE.period <= there.until <= datetime.now(UTC) + RULE.period + RULE.margin + timedelta(seconds=2)
    with pytest.raises(GiveUp) as refused:
        store.delete("kept")
    assert refused.value.code == "object_locked"
    assert there.until.isoformat() in refused.value.found
    assert b"".join(store.read("kept")) == b"content"
    assert [each.key for each in store.list()] == ["kept"]
    assert versions_of(client, store)[1] == []


def test_a_lock_is_renewed_once_it_has_become_too_short_and_not_before(server, client):
    store = store_at(server.endpoint, "locked")
    store.put("shared", [b"x"])
    first = store.lock_of("shared")
    assert store.renew_lock("shared") == first
    lock(client, store, "shared", "COMPLIANCE", datetime.now(UTC) + 29 * DAYS)
    assert store.renew_lock("shared").until >= datetime.now(UTC) + RULE.period


def test_a_large_object_is_locked_too_at_the_latest_when_its_lock_is_renewed(server, client):
    """This server forgets the lock of an upload in parts."""
    store = store_at(server.endpoint, "locked")
    store.put("large", [bytes(PART_BYTES), b"more"])
    assert store.renew_lock("large").until >= datetime.now(UTC) + RULE.period
    assert store.lock_of("large") is not None


def test_a_stricter_lock_is_never_loosened(server, client):
    store = store_at(server.endpoint, "locked", LockRule(LockMode.GOVERNANCE, 30 * DAYS))
    store.put("strict", [b"x"])
    assert store.lock_of("strict").mode is LockMode.GOVERNANCE
    lock(client, store, "strict", "COMPLIANCE", datetime.now(UTC) + DAYS)
    assert store.renew_lock("strict").mode is LockMode.COMPLIANCE


def test_a_store_that_takes_the_request_and_keeps_no_lock_is_found_out(tmp_path):
    with RcloneS3(tmp_path, "plain") as rclone:
        store = store_at(rclone.endpoint, "plain")
        store.put("free", [b"x"])
        with pytest.raises(GiveUp) as found:
            store.renew_lock("free")
        assert found.value.code == "lock_ignored"
        assert store.lock_of("free") is None
        assert b"".join(store.read("free")) == b"x"  # it would take a request to lock for the new content


def test_a_bucket_without_object_lock_is_refused_by_name(server, client):
    with pytest.raises(GiveUp) as refused:
        store_at(server.endpoint, "versioned").put("never", [b"x"])
    assert refused.value.code == "lock_refused"


def test_a_removal_leaves_neither_version_nor_marker(server, client):
    store = store_at(server.endpoint, "versioned", None)
    for content in (b"one", b"two"):
        store.put("gone", [content])
        store.delete("gone")
    assert versions_of(client, store) == ([], [])


def test_what_somebody_hid_or_overwrote_goes_too(server, client):
    store = store_at(server.endpoint, "versioned", None)
    store.put("gone", [b"ours"])
    store.put("gone.too", [b"another key that begins alike"])
    address = urlsplit(store.url)
    full = f"{address.path.lstrip('/')}/gone"
    client.put_object(Bucket="versioned", Key=full, Body=b"theirs")
    client.delete_object(Bucket="versioned", Key=full)
    store.delete("gone")
    versions, markers = versions_of(client, store)
    assert ([each["Key"].rpartition("/")[2] for each in versions], markers) == (["gone.too"], [])


def test_a_bucket_that_locks_of_itself_is_seen_and_probing_it_fails_nothing(server, client):
    abilities = store_at(server.endpoint, "by-default", None).probe()
    assert abilities.default_lock == LockRule(LockMode.COMPLIANCE, 7 * DAYS)
    assert abilities.object_lock
    assert abilities.versions


class VersionsKept(RefusingProxy):
    """Lets nobody remove a version; an ordinary removal hides."""

    def refusal(self, method, path, headers):
        return (403, "AccessDenied", "Access Denied") if method == "DELETE" and "versionId=" in path else None


def test_who_may_not_remove_versions_hides_what_no_lock_holds_and_the_probe_says_so(server, client):
    with VersionsKept(server.port) as proxy:
        store = store_at(proxy.endpoint, "versioned", None)
        store.put("hidden", [b"x"])
        store.delete("hidden")
        assert store.head("hidden") is None
        assert len(versions_of(client, store)[0]) == 1
        assert not store.probe().removes_versions
        locked = store_at(proxy.endpoint, "locked")
        locked.put("kept", [b"x"])
        with pytest.raises(GiveUp) as refused:
            locked.delete("kept")
        assert refused.value.code == "object_locked"
        assert locked.head("kept") is not None
