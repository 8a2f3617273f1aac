"""What a bucket is read as, on a server that ignores most conditions and one that honours them and keeps everything."""

import dataclasses
import os

import pytest

from tests.adapters.s3.buckets import OwnPrefix, client_of
from tests.contracts.collections import RUN, CollectionContract, contents, file_of
from tests.servers.faulty_proxy import Direction, FaultyProxy
from tests.servers.moto_s3 import MotoS3
from tests.servers.processes import wait_until
from tests.servers.rclone_s3 import RcloneS3
from understudy.adapters.s3 import BucketCollection
from understudy.ports.collection import EntryKind
from understudy.vocabulary.errors import GiveUp, Refusal, TryAgain
from understudy.vocabulary.secret import Secret

MIB = 1024 * 1024
PAGE = 20
"""Of a listing, so that a few objects are more than one."""
ODD_KEYS = (
    "", "/", "/lead", "a//b", "folder/", ".", "..", "./d", "d/../e", " ", " both ", "tab\t", "cr\r", "\x01", "\x7f", "%2F", "a+b",
    "q?x=1", "h#f", "<&>\"'", "back\\slash", "\ufffe", "😀" * 200, "k" * 900,
)  # fmt: skip


@pytest.fixture(scope="module")
def moto():
    with MotoS3(page_of=PAGE) as running:
        client = client_of(running.endpoint)
        client.create_bucket(Bucket="plain")
        client.create_bucket(Bucket="versioned")
        client.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
        yield running


@pytest.fixture(scope="module")
def rclone(tmp_path_factory):
    with RcloneS3(tmp_path_factory.mktemp("s3"), "plain") as running:
        yield running


@pytest.fixture
def own(moto):
    return OwnPrefix(client_of(moto.endpoint), moto.endpoint, "plain")


def refused_with(code, use):
    with pytest.raises((GiveUp, TryAgain)) as refused:
        use()
    assert refused.value.code == code
    return refused.value


class BucketContract(CollectionContract):
    @pytest.fixture
    def collection(self, own):
        return own.collection()

    @pytest.fixture
    def put(self, own):
        return own.put

    @pytest.fixture
    def remove(self, own):
        return own.remove


class TestBucketThatKeepsEverything(BucketContract):
    pass


class TestBucketWithVersions(BucketContract):
    @pytest.fixture
    def own(self, moto):
        return OwnPrefix(client_of(moto.endpoint), moto.endpoint, "versioned")


class TestBucketThatIgnoresConditions(BucketContract):
    @pytest.fixture
    def own(self, rclone):
        return OwnPrefix(client_of(rclone.endpoint), rclone.endpoint, "plain")


def test_keys_that_no_file_could_have_are_listed_and_read(own):
    for key in ODD_KEYS:
        own.put(key, key.encode())
    collection = own.collection()
    found = contents(collection)
    assert set(found) == set(ODD_KEYS)
    for key, entry in found.items():
        assert b"".join(collection.read(entry)) == key.encode()
        assert collection.look(key) == entry


def test_a_key_of_1024_bytes_is_listed_and_read(moto):
    own = OwnPrefix(client_of(moto.endpoint), moto.endpoint, "plain")
    key = "ä" * ((1024 - len(own.prefix) - 1) // 2)
    own.put(key, b"long")
    collection = own.collection()
    assert b"".join(collection.read(contents(collection)[key])) == b"long"


def test_everything_that_an_object_wears_is_told(own):
    own.put(
        "dressed",
        b"x",
        ContentType="text/plain; charset=utf-8",
        CacheControl="max-age=60",
        ContentDisposition='attachment; filename="x"',
        ContentEncoding="gzip",
        ContentLanguage="de",
        Expires="Wed, 21 Oct 2026 07:28:00 GMT",
        Metadata={"Camera": "analogue", "empty": ""},
        Tagging="kind=photo&owner=ada%20l",
    )
    collection = own.collection()
    entry = contents(collection)["dressed"]
    told = dict(entry.attributes)
    assert told.pop("last_modified").startswith("20")
    assert told == {
        "content_type": "text/plain; charset=utf-8",
        "cache_control": "max-age=60",
        "content_disposition": 'attachment; filename="x"',
        "content_encoding": "gzip",
        "content_language": "de",
        "expires": "Wed, 21 Oct 2026 07:28:00 GMT",
        "metadata": {"camera": "analogue", "empty": ""},
        "tags": {"kind": "photo", "owner": "ada l"},
    }
    assert b"".join(collection.read(entry)) == b"x"  # as it is stored, and not as a browser would unpack it


def test_a_store_that_knows_no_tags_is_not_asked_for_them(rclone):
    own = OwnPrefix(client_of(rclone.endpoint), rclone.endpoint, "plain")
    own.put("a", b"x", Tagging="k=v")
    assert "tags" not in contents(own.collection())["a"].attributes


def test_listings_go_on_page_by_page(own):
    for number in range(2 * PAGE + 1):
        own.put(f"{number:04d}", b"")
    assert set(contents(own.collection())) == {f"{number:04d}" for number in range(2 * PAGE + 1)}


def test_another_prefix_is_no_part_of_it(own):
    own.put("a", b"")
    other = dataclasses.replace(own, prefix=f"{own.prefix}-other")
    other.put("b", b"")
    assert set(contents(own.collection())) == {"a"}
    assert own.collection().url == f"s3://plain/{own.prefix}"


def test_a_whole_bucket_is_a_collection_too(moto):
    client_of(moto.endpoint).create_bucket(Bucket="whole")
    own = OwnPrefix(client_of(moto.endpoint), moto.endpoint, "whole", prefix="")
    own.put("a", b"1")  # the key has a slash before it, as some programs have it
    collection = own.collection()
    assert set(contents(collection)) == {"/a"}
    assert b"".join(collection.read(collection.look("/a"))) == b"1"
    assert collection.look("") is None


def test_only_what_is_there_now_is_listed_where_versions_are_kept(moto):
    own = OwnPrefix(client_of(moto.endpoint), moto.endpoint, "versioned")
    for content in (b"1", b"22"):
        own.put("kept", content)
    own.put("gone", b"x")
    own.remove("gone")
    found = contents(own.collection())
    assert {key: each.size_bytes for key, each in found.items()} == {"kept": 2}


@pytest.mark.parametrize("exclude", [[], ["*"]])
def test_what_a_run_is_still_restoring_is_refused_and_taken_when_it_is_through(own, exclude):
    target = own.target()
    target.claim(RUN)
    target.write(file_of("a", b"x"), [b"x"])
    refused_with("source_being_restored", lambda: [*own.collection(exclude=exclude).entries()])
    target.finish([file_of("a", b"x")], RUN)
    own.put("below/.understudy-run", b"")
    assert set(contents(own.collection())) == {"a", "below/.understudy-run"}


def test_what_patterns_name_is_left_out(own):
    for key in ("a.tmp", "cache/x", "keep/a.txt"):
        own.put(key, b"")
    assert set(contents(own.collection(exclude=["*.tmp", "/cache/"]))) == {"keep/a.txt"}
    with pytest.raises(Refusal):
        own.collection(exclude=["!"])


def test_what_is_known_already_is_not_asked_for_again(own):
    """It takes a request for each object: the listing alone tells what did not change."""
    for key in ("same", "changed", "tagged"):
        own.put(key, b"first", Metadata={"v": "1"}, **({"Tagging": "k=v"} if key == "tagged" else {}))
    before = contents(own.collection())
    told = {key: dataclasses.replace(entry, attributes={**entry.attributes, "told": "before"}) for key, entry in before.items()}
    own.put("changed", b"second", Metadata={"v": "2"})
    own.put("new", b"")
    own.client.put_object_tagging(
        Bucket=own.bucket, Key=f"{own.prefix}/tagged", Tagging={"TagSet": [{"Key": "k", "Value": "other"}]}
    )
    found = {each.key: each for each in own.collection().entries(told.get)}
    assert set(found) == {"same", "changed", "tagged", "new"}
    assert found["same"] == told["same"]
    assert found["changed"].attributes["metadata"] == {"v": "2"}
    assert found["tagged"].attributes["tags"] == {"k": "other"}
    everything = {each.key: each for each in own.collection(ask_for_every_object=True).entries(told.get)}
    assert "told" not in everything["same"].attributes


def test_a_read_goes_on_where_connections_broke(own, moto):
    content = os.urandom(5 * MIB)
    own.put("large", content)
    entry = contents(own.collection())["large"]
    with FaultyProxy(moto.port) as proxy:
        proxy.cut_after(MIB, Direction.TO_CLIENT, times=4)
        assert b"".join(own.collection(proxy.endpoint).read(entry)) == content
        assert proxy.cuts == 4


@pytest.mark.parametrize("later_bytes", [5 * MIB, MIB])
@pytest.mark.parametrize("kind", ["moto", "rclone"])
def test_an_object_that_is_replaced_while_connections_break_is_not_read_as_a_mixture(request, kind, later_bytes):
    server = request.getfixturevalue(kind)
    own = OwnPrefix(client_of(server.endpoint), server.endpoint, "plain")
    own.put("replaced", os.urandom(5 * MIB))
    entry = contents(own.collection())["replaced"]
    with FaultyProxy(server.port) as proxy:
        proxy.cut_after(3 * MIB, Direction.TO_CLIENT, times=1)
        reading = own.collection(proxy.endpoint).read(entry)
        next(reading)
        own.put("replaced", os.urandom(later_bytes))
        # Not before the server shows it: rclone remembers what lies in a directory.
        wait_until(
            lambda: contents(own.collection())["replaced"].fingerprint != entry.fingerprint, "the other object to be shown"
        )
        refused_with("entry_changed", lambda: [*reading])


def test_a_bucket_that_is_away_missing_or_closed_is_said_to_be(own, moto, rclone):
    own.put("a", b"x")
    entry = contents(own.collection())["a"]
    nowhere = dataclasses.replace(own, bucket="nowhere").collection()
    behind_rclone = OwnPrefix(client_of(rclone.endpoint), rclone.endpoint, "plain")
    closed = behind_rclone.collection(secret_key=Secret("wrong"))
    with FaultyProxy(moto.port) as proxy:
        proxy.refuse()
        away = own.collection(proxy.endpoint)
        for collection, code in ((away, "source_unreachable"), (nowhere, "source_missing"), (closed, "source_denied")):
            for use in (lambda c: [*c.entries()], lambda c: c.look("a"), lambda c: [*c.read(entry)]):
                assert "wrong" not in str(refused_with(code, lambda use=use, collection=collection: use(collection)))


def test_what_lies_in_an_archive_is_said_to(own):
    own.put("frozen", b"x", StorageClass="GLACIER")
    collection = own.collection()
    entry = contents(collection)["frozen"]
    assert entry.kind is EntryKind.FILE
    assert "archive" in refused_with("source_unreadable", lambda: [*collection.read(entry)]).hint


def test_nothing_is_asked_before_it_is_used():
    assert BucketCollection("bucket", "/p/", "http://127.0.0.1:1").url == "s3://bucket/p"
