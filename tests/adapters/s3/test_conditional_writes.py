"""Stores of three kinds: one honours ``If-None-Match: *``, one ignores it, one refuses it. Nothing is overwritten on any."""

from __future__ import annotations

import os
import secrets
from functools import partial

import boto3
import pytest

from tests.adapters.s3.strays import put_stray
from tests.contracts.object_store import ObjectStoreContract
from tests.servers.faulty_proxy import Direction, FaultyProxy
from tests.servers.moto_s3 import MotoS3
from tests.servers.rclone_s3 import ACCESS_KEY, SECRET_KEY, RcloneS3
from tests.servers.refusing_proxy import ConditionRefusingProxy
from understudy.adapters.s3 import S3Store
from understudy.adapters.s3.uploads import PART_BYTES
from understudy.ports.object_store import StoreAbilities
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.secret import Secret


@pytest.fixture(scope="module")
def server():
    with MotoS3() as running:
        yield running


@pytest.fixture(scope="module")
def client(server):
    made = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name="us-east-1",
    )
    made.create_bucket(Bucket="plain")
    made.create_bucket(Bucket="versioned")
    made.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    made.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    return made


def store_at(endpoint, bucket):
    return S3Store(bucket, f"tests/{secrets.token_hex(8)}", endpoint, Secret(ACCESS_KEY), Secret(SECRET_KEY))


@pytest.fixture
def store(server, client):
    return store_at(server.endpoint, "plain")


class TestStoreThatHonoursConditions(ObjectStoreContract):
    @pytest.fixture
    def store(self, store):
        return store

    @pytest.fixture
    def put_stray(self, server, store):
        return partial(put_stray, server.endpoint, store)


class TestBucketThatKeepsVersions(ObjectStoreContract):
    @pytest.fixture
    def store(self, server, client):
        return store_at(server.endpoint, "versioned")

    @pytest.fixture
    def put_stray(self, server, store):
        return partial(put_stray, server.endpoint, store)


@pytest.fixture(scope="module")
def refusing(tmp_path_factory):
    with RcloneS3(tmp_path_factory.mktemp("s3"), "plain") as behind, ConditionRefusingProxy(behind.port) as proxy:
        yield proxy


class TestStoreThatRefusesConditions(ObjectStoreContract):
    @pytest.fixture
    def store(self, refusing):
        return store_at(refusing.endpoint, "plain")

    @pytest.fixture
    def put_stray(self, refusing, store):
        return partial(put_stray, refusing.endpoint, store)


@pytest.mark.parametrize(
    ("bucket", "abilities"),
    [
        ("plain", StoreAbilities(conditional_put=True, range_reads=True, versions=False, object_lock=False)),
        ("versioned", StoreAbilities(conditional_put=True, range_reads=True, versions=True, object_lock=False)),
        ("locked", StoreAbilities(conditional_put=True, range_reads=True, versions=True, object_lock=True)),
    ],
)
def test_what_this_server_honours_is_observed(server, client, bucket, abilities):
    assert store_at(server.endpoint, bucket).probe() == abilities


def test_a_store_that_refuses_conditions_is_said_not_to_honour_them_and_asked_only_once(refusing):
    store = store_at(refusing.endpoint, "plain")
    before = refusing.refused
    assert not store.probe().conditional_put
    store.put("large", [os.urandom(2 * PART_BYTES)])
    assert refusing.refused == before + 1


@pytest.mark.parametrize("size", [10, 2 * PART_BYTES])
def test_one_who_comes_second_in_a_race_is_refused_without_any_probe_before(server, client, size):
    """The rival's object appears between the look before the put and the request that makes ours visible."""
    store = store_at(server.endpoint, "plain")
    rival = S3Store("plain", store.url.removeprefix("s3://plain/"), server.endpoint, Secret(ACCESS_KEY), Secret(SECRET_KEY))

    def content():
        yield os.urandom(size)
        rival.put("contested", [b"the rival's"])

    with pytest.raises(GiveUp) as refused:
        store.put("contested", content())
    assert refused.value.code == "object_exists"
    assert b"".join(store.read("contested")) == b"the rival's"
    assert client.list_multipart_uploads(Bucket="plain").get("Uploads", []) == []


@pytest.mark.parametrize("size", [10, 2 * PART_BYTES])
def test_a_put_whose_answer_was_lost_does_not_meet_itself(server, client, size):
    """The server stored the object and its answer never came: the condition would refuse our own repetition."""
    with FaultyProxy(server.port) as proxy:
        away = store_at(proxy.endpoint, "plain")
        content = os.urandom(size)

        def broken_at_the_end():
            yield content
            proxy.cut_after(0, Direction.TO_CLIENT, times=2)

        written = away.put("once", broken_at_the_end())
        assert proxy.cuts == 2
        assert written.size_bytes == size
        assert b"".join(away.read("once")) == content


def test_on_a_versioned_bucket_each_key_has_one_version(server, client):
    store = store_at(server.endpoint, "versioned")
    store.put("kept", [b"first"])
    with pytest.raises(GiveUp):
        store.put("kept", [b"second"])
    prefix = store.url.removeprefix("s3://versioned/")
    versions = client.list_object_versions(Bucket="versioned", Prefix=prefix)["Versions"]
    assert [each["Size"] for each in versions] == [5]
